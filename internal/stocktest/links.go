package stocktest

import (
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/overlay"
)

// linkState is what a stock node knows of the link to its neighbour
// (docs/overlay.md §8).
type linkState struct {
	heardAt    time.Time
	sender     overlay.SID // the neighbour; zero if it was not heard yet
	iface      byte        // its interface
	window     overlay.AckWindow
	numbered   bool // the neighbour's packets
	numbering  bool // ours, from its first link record on
	seq        byte
	reachable  time.Time // until when
	using      bool      // it says that it reaches us directly
	since      time.Time // since when it is reachable without a break
	breaks     int
	advertised map[overlay.SID]overlay.SID // the transmitter that it tells for each receiver
}

// arrived notes the arrival of a packet.
func (l *linkState) arrived(e *overlay.Envelope, unicast bool) error {
	l.heardAt, l.sender = time.Now(), e.Sender.SID
	l.iface = e.Interface
	if e.Flags&overlay.PacketSeq != 0 && unicast {
		l.window.Receive(e.Seq)
		l.numbered = true
	}
	return nil
}

// number gives the number of the next packet.
func (l *linkState) number(flags overlay.PacketFlags) (byte, overlay.PacketFlags) {
	if !l.numbering {
		return 0, flags
	}
	l.seq++
	return l.seq, flags | overlay.PacketSeq
}

// hear takes what the neighbour says about links.
func (l *linkState) hear(h *Heard, self overlay.SID, known overlay.Resolver) {
	now := time.Now()
	if l.advertised == nil {
		l.advertised = map[overlay.SID]overlay.SID{}
	}
	state := overlay.NewLinkState(h.Data, overlay.BodyContext(h.Source.SID, known))
	for r := (overlay.LinkRecord{}); state.Next(&r); {
		source := h.Source.SID
		switch direct := r.Receiver.SID == source && r.Transmitter.SID == self; {
		case direct && r.Flags&overlay.LinkInterface != 0 && r.Interface == 0 && r.Flags&overlay.LinkUnicast != 0:
			if now.After(l.reachable) {
				if !l.since.IsZero() {
					l.breaks++
				}
				l.since = now
			}
			l.reachable, l.numbering = now.Add(lifetime), true
		case r.Receiver.SID == self:
			l.using = r.Flags&overlay.LinkNoPath == 0 && r.Transmitter.SID == source
		case r.Flags&overlay.LinkNoPath != 0:
			delete(l.advertised, r.Receiver.SID)
		default:
			l.advertised[r.Receiver.SID] = r.Transmitter.SID
		}
	}
}

// record makes the node's own link record.
func (l *linkState) record(self overlay.SID) overlay.LinkRecord {
	r := overlay.LinkRecord{
		Flags: overlay.LinkInterface | overlay.LinkUnicast, Receiver: overlay.To(self), Version: 1,
		Transmitter: short(l.sender, 1), Interface: l.iface,
	}
	if l.numbered {
		r.Flags |= overlay.LinkAck
		r.Ack, _ = l.window.Ack()
	}
	return r
}

// short gives a SID abbreviated.
func short(sid overlay.SID, n int) overlay.Address {
	a := overlay.To(sid)
	a.Code = overlay.Code(n)
	return a
}

// Reachable reports whether the node has a route to ours now, since when it had one
// without a break, how often there was a break, and whether it holds itself used by
// ours, so that it acknowledges promptly.
func (p *Peer) Reachable() (now bool, since time.Time, breaks int, using bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &p.links
	return time.Now().Before(l.reachable), l.since, l.breaks, l.using
}

// Way gives the transmitter through which our node says that it reaches sid.
func (p *Peer) Way(sid mdpconn.SID) (mdpconn.SID, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.links.advertised[overlay.SID(sid)]
	return mdpconn.SID(t), ok
}

// periodic sends what stock sends every tick.
func (p *Peer) periodic() {
	p.mu.Lock()
	var payloads []overlay.Payload
	heard := p.links.sender != overlay.SID{} && time.Since(p.links.heardAt) < lifetime
	if heard {
		payloads = append(payloads, p.linkPayload(p.links.record(overlay.SID(p.id.SID()))))
	}
	p.mu.Unlock()
	p.Tick()
	if heard {
		p.transmit(overlay.Overlay, false, payloads...)
	}
}

// linkPayload makes a link-state message for the neighbour. Caller holds mu.
func (p *Peer) linkPayload(records ...overlay.LinkRecord) overlay.Payload {
	body, _ := overlay.AppendPorts(nil, overlay.Ports{Destination: overlay.PortLinkState, Source: overlay.PortLinkState})
	ctx := overlay.BodyContext(overlay.SID(p.id.SID()), nil)
	for i := range records {
		var err error
		if body, err = overlay.AppendLinkRecord(body, &records[i], &ctx); err != nil {
			p.failures = append(p.failures, err.Error())
		}
	}
	p.next++
	return overlay.Payload{
		Flags: overlay.OneHop, Destination: short(p.links.sender, 1), Type: overlay.TypeData, Seq: p.next, Body: body,
	}
}
