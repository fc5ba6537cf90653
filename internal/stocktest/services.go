package stocktest

import (
	"bytes"
	"time"

	"mesh.example/msp/mdpconn/overlay"
	"mesh.example/msp/mdpconn/session"
)

// An answer is what a service of stock sends.
type answer struct {
	full    bool // the sender is written in full
	payload overlay.Payload
}

// heard takes a payload, and gives stock's answers to it. Caller holds mu.
func (p *Peer) heard(h *Heard) []answer {
	self := overlay.SID(p.id.SID())
	if h.Type == overlay.TypeExplain {
		return p.explain(h)
	}
	if h.Ports.Destination == session.HelloPort {
		p.hellos = append(p.hellos, time.Now())
		return nil // nobody listens there
	}
	if packet, ok := h.MSP(); ok {
		s := h.stream()
		if p.streams[s] == nil {
			p.streams[s] = NewStream()
		}
		p.streams[s].Hear(packet)
		return nil
	}
	if h.Flags&overlay.ToBroadcast == 0 && h.Destination.SID != self {
		return nil
	}
	switch {
	case h.Ports.Source == overlay.PortEcho:
		p.echoes[string(h.Data)] = true
	case h.Ports.Destination == overlay.PortLinkState:
		p.links.hear(h, self, &p.rules.known)
	case h.Ports.Destination == overlay.PortEcho && h.Ports.Source != overlay.PortEcho:
		return p.sealed(h, overlay.PortEcho, h.Data)
	case h.Ports.Source == overlay.PortKeyMap || h.Ports.Destination == overlay.PortKeyMap:
		m, err := overlay.ParseKeyMap(h.Data)
		if err == nil && m.Response {
			p.keyMaps++
		}
	}
	return nil
}

// sealed makes the answer of a service.
func (p *Peer) sealed(h *Heard, port uint32, data []byte) []answer {
	plain, err := overlay.AppendPorts(nil, overlay.Ports{Destination: h.Ports.Source, Source: port})
	key := sharedKey(p.record.all(), overlay.SID(p.id.SID()), h.Source.SID)
	if err != nil || key == nil {
		return nil
	}
	p.nonce[0] = (p.nonce[0] + 1) & 0x7f // stock's count repeats, too
	body, err := overlay.SealBody(nil, key, &p.nonce, append(plain, data...))
	if err != nil {
		return nil
	}
	p.next++
	pl := overlay.Payload{
		Flags:       overlay.OneHop | overlay.Ciphered | overlay.Signed | p.ackSoon(),
		Destination: short(h.Source.SID, 1), Type: overlay.TypeData, Seq: p.next, Body: body,
	}
	if h.Source.SID != p.links.sender { // it lies behind our node
		pl.Flags &^= overlay.OneHop
		pl.NextHop, pl.TTL, pl.Queue = short(p.links.sender, 1), overlay.MaxTTL, overlay.QueueOrdinary
	}
	return []answer{{payload: pl}}
}

func (p *Peer) ackSoon() overlay.PayloadFlags {
	if p.links.numbering {
		return overlay.AckSoon
	}
	return 0
}

// explain answers questions: an own SID in the envelope, others by their sign key.
func (p *Peer) explain(h *Heard) []answer {
	var body []byte
	asked := false
	e := overlay.NewExplain(h.Body)
	for item := (overlay.ExplainItem{}); e.Next(&item); {
		if item.Kind != overlay.AskPrefix {
			continue
		}
		asked = true
		for name, id := range p.record.Identities {
			if sid := id.SID(); name != p.name && name != p.us && bytes.HasPrefix(sid[:], item.Prefix) {
				body, _ = overlay.AppendExplainItem(body, overlay.ExplainItem{Kind: overlay.TellSignKey, SignKey: id.SignKey()})
			}
		}
	}
	if !asked {
		return nil
	}
	p.questions++
	p.next++
	return []answer{{full: true, payload: overlay.Payload{
		Flags: overlay.OneHop, Destination: short(h.Source.SID, 1), Type: overlay.TypeExplain, Seq: p.next, Body: body,
	}}}
}

// note notes what the peer sends, so that it may be acknowledged. Caller holds mu.
func (p *Peer) note(pl *overlay.Payload) {
	h := Heard{Payload: *pl}
	if h.Source.SID == (overlay.SID{}) {
		h.Source.SID = overlay.SID(p.id.SID())
	}
	if mode, err := pl.Flags.Mode(); err != nil || mode != overlay.ModeCiphered || pl.Type != overlay.TypeData {
		return
	}
	h.Mode = overlay.ModeCiphered
	key := sharedKey(p.record.all(), h.Source.SID, h.Destination.SID)
	if key == nil {
		return
	}
	plain, err := overlay.OpenBody(nil, key, pl.Body)
	if err == nil {
		if h.Ports, h.Data, err = overlay.ParsePorts(plain); err == nil {
			p.rules.Sent(&h)
		}
	}
}
