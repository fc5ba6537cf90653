package mdpconn

import (
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

// shortSID is how many bytes of a SID are written where the reader knows it. More
// than anybody has in common by chance. Implementation.
const shortSID = 8

// shortLocked gives a SID in the short form, unless another one known here begins
// in the same way. Caller holds mu.
func (n *Node) shortLocked(sid SID) overlay.Address {
	a := overlay.To(overlay.SID(sid))
	if _, k := n.peers.remotes.match(sid[:shortSID]); k <= 1 {
		a.Code = shortSID
	}
	return a
}

// fullSID gives a SID in full, whatever the context.
func fullSID(sid SID) overlay.Address {
	a := overlay.To(overlay.SID(sid))
	a.Code = overlay.CodeSID
	return a
}

// A stateWriter writes link-state messages into packets (docs/overlay.md §8.1).
type stateWriter struct {
	own     *ownIdentity
	to      SID
	number  *numbering
	packets [][]byte
	ctx     overlay.Context // of the last packet
	body    []byte
	bodyCtx overlay.Context
	records int // in body
}

// record writes one record. What cannot be written is a fault of the caller.
func (s *stateWriter) record(r *overlay.LinkRecord) {
	if s.records == 0 {
		s.begin()
	}
	b, err := overlay.AppendLinkRecord(s.body, r, &s.bodyCtx)
	if err == nil && len(b) > overlay.MaxLinkState {
		s.flush()
		s.begin()
		b, err = overlay.AppendLinkRecord(s.body, r, &s.bodyCtx)
	}
	if err != nil {
		panic("BUG: mdpconn: " + err.Error())
	}
	s.body = b
	s.records++
}

func (s *stateWriter) begin() {
	s.body, _ = overlay.AppendPorts(s.body[:0], overlay.Ports{Destination: uint32(portLinkState), Source: uint32(portLinkState)})
	s.bodyCtx = overlay.BodyContext(overlay.SID(s.own.sid), nil)
}

// flush puts the message into a packet.
func (s *stateWriter) flush() {
	if s.records == 0 {
		return
	}
	s.records = 0
	p := overlay.Payload{
		Flags:       overlay.OneHop,
		Destination: overlay.To(overlay.SID(s.to)),
		Type:        overlay.TypeData,
		Seq:         byte(s.own.sequence.Add(1)),
		Body:        s.body,
	}
	if k := len(s.packets); k > 0 {
		before := s.ctx
		if b, err := overlay.AppendPayload(s.packets[k-1], &p, &s.ctx); err == nil && len(b) <= overlay.MaxPacket {
			s.packets[k-1] = b
			return
		}
		s.ctx = before
	}
	e := overlay.Envelope{Version: 1, Sender: fullSID(s.own.sid), Flags: overlay.PacketUnicast}
	if seq, ok := s.number.take(); ok {
		e.Flags |= overlay.PacketSeq
		e.Seq = seq
	}
	s.ctx = overlay.Context{}
	b, err := overlay.AppendEnvelope(make([]byte, 0, 256), &e, &s.ctx)
	if err == nil {
		b, err = overlay.AppendPayload(b, &p, &s.ctx)
	}
	if err != nil {
		panic("BUG: mdpconn: " + err.Error())
	}
	s.packets = append(s.packets, b)
}

// A meshPacket is a packet with link state.
type meshPacket struct {
	to   endpoint
	data []byte
	tick bool // without link state
}

// recordsLocked collects a link record for a neighbour, and the advertisements
// that are to go along. Caller holds mu.
func (n *Node) recordsLocked(nb *neighbour, now time.Time, w *work, tell func(*advert) bool) {
	own := n.own.Load().order[0]
	s := stateWriter{own: own, to: nb.sid, number: nb.number}
	s.record(linkRecord(own.sid, nb, now))
	direct := overlay.LinkRecord{Receiver: overlay.To(overlay.SID(nb.sid)), Version: 1, Transmitter: overlay.To(overlay.SID(own.sid)), Flags: overlay.LinkDropRate}
	if a := n.mesh.adverts[nb.sid]; nb.news > 0 || a == nil || tell(a) {
		direct.DropRate = nb.dropRate()
		if a != nil && !a.lost && a.transmitter == own.sid {
			direct.Version = a.version
		}
		s.record(&direct)
	}
	for _, a := range n.mesh.order {
		switch back := a.via == nb && a.transmitter != nb.sid; {
		case a.sid == nb.sid || !tell(a):
		case !back:
			s.record(n.advertRecordLocked(a, a.lost, a.news > 0 || nb.news > 0))
		case a.news > 0: // it is no way for a neighbour through whom it leads
			s.record(n.advertRecordLocked(a, true, true))
		}
	}
	s.flush()
	for _, b := range s.packets {
		w.records = append(w.records, meshPacket{nb.peer.path.current.endpoint, b, false})
	}
	nb.recordAt, nb.unacked, nb.holes = time.Time{}, 0, 0
	nb.owed = nb.again
	if nb.again {
		nb.again = false
		nb.recordAt = now.Add(gapAgain)
	}
}

// linkRecord tells a neighbour that it is heard (docs/overlay.md §8.4).
func linkRecord(own SID, nb *neighbour, now time.Time) *overlay.LinkRecord {
	r := &overlay.LinkRecord{
		Flags:       overlay.LinkInterface,
		Receiver:    overlay.To(overlay.SID(own)),
		Version:     1,
		Transmitter: fullSID(nb.sid),
		Interface:   min(nb.iface, overlay.MaxInterface),
	}
	window := &nb.windows[0]
	if !nb.unicast.IsZero() && now.Sub(nb.unicast) < nb.timing().reachable() {
		window = &nb.windows[1]
		r.Flags |= overlay.LinkUnicast
	} else {
		r.Flags |= overlay.LinkBroadcast
	}
	if ack, ok := window.window.Ack(); ok {
		r.Ack = ack
		r.Flags |= overlay.LinkAck
	}
	return r
}

// advertRecordLocked gives an advertisement, or a withdrawal, with its SID in full
// if the neighbours may not know it. Caller holds mu.
func (n *Node) advertRecordLocked(a *advert, lost, full bool) *overlay.LinkRecord {
	r := &overlay.LinkRecord{Flags: overlay.LinkDropRate, Receiver: fullSID(a.sid), Version: a.version, DropRate: a.drop}
	if !full {
		r.Receiver = n.shortLocked(a.sid)
	}
	if lost {
		r.Flags |= overlay.LinkNoPath
		r.DropRate = overlay.NoPathDropRate
		return r
	}
	r.Transmitter = n.shortLocked(a.transmitter)
	return r
}

// sendRecords sends link state. No lock is held.
func (n *Node) sendRecords(records []meshPacket) {
	var p [1]Packet
	for i := range records {
		p[0] = Packet{Addr: records[i].to.addr, Data: records[i].data}
		if !records[i].tick {
			n.count.mesh.recordsSent.Add(1)
		}
		n.write(records[i].to.link, p[:])
	}
}
