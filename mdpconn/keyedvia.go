package mdpconn

import (
	"time"

	"mesh.example/msp/mdpconn/overlay"
	"mesh.example/msp/mdpconn/session"
)

// Session keys with peers that are reached through others (docs/extension.md §12):
// packets keep the overlay's headers, which relays read, and their bodies are under
// the keys. The sessions are those of the compact form, counters and all, so that a
// peer may be reached directly now and through others a moment later.

// addKeyed adds a datagram under session keys, which the hop is to pass on. The
// counter is for it alone.
func (o *outbox) addKeyed(keys *session.Keys, counter uint64, from, to Port, data []byte, now time.Time) {
	var head [session.HeadSize]byte
	var err error
	o.plain, err = session.AppendRelayed(append(o.plain[:0], head[:]...), overlay.Ports{Destination: uint32(to), Source: uint32(from)}, data)
	if err != nil {
		panic("BUG: mdpconn: " + err.Error()) // the caller checked the ports
	}
	o.putKeyed(keys, counter, now)
}

// putKeyed seals the plaintext in o.plain, behind room for its head, and puts it
// into a packet.
func (o *outbox) putKeyed(keys *session.Keys, counter uint64, now time.Time) {
	body, err := keys.Seal(session.Relayed, o.plain, counter, &o.scratch)
	if err != nil {
		panic("BUG: mdpconn: " + err.Error()) // the caller checked the size
	}
	o.node.count.sessions.sent.Add(1)
	o.put(now, func(b *outPacket) bool {
		if len(b.data)+headerRoom+len(body) > overlay.MaxPacket {
			return false
		}
		p := o.viaPayload()
		p.Flags |= overlay.Ciphered | overlay.Signed
		p.Body = body
		before := b.ctx
		data, err := overlay.AppendPayload(b.data, &p, &b.ctx)
		if err != nil {
			panic("BUG: mdpconn: " + err.Error())
		}
		return o.appendedVia(b, data, before)
	})
}

// sendKeyedVia sends datagrams of a pair under session keys through a neighbour.
func (n *Node) sendKeyedVia(o *outbox, batch []Datagram, now time.Time) {
	bytes := 0
	for i := range batch {
		bytes += session.Overhead + overlay.MaxPortsLen + len(batch[i].Data)
	}
	keys, counter, ok := n.sessions.reserve(o.peer.pair, len(batch), bytes, now)
	if !ok { // they ended this very moment; what is sent next finds no session
		n.count.sessions.unsealed.Add(uint64(len(batch)))
		return
	}
	for i := range batch {
		if d := &batch[i]; n.passable(o, d) {
			o.addKeyed(keys, counter+uint64(i), d.Local.Port, d.Remote.Port, d.Data, now)
		}
	}
}

// confirmVia sends an empty body under session keys, which tells the peer that they
// are there (MSX-10.2).
func (n *Node) confirmVia(p *peer, h *hop, now time.Time) {
	keys, counter, ok := n.sessions.reserve(p.pair, 1, session.Overhead, now)
	if !ok {
		n.count.sessions.unsealed.Add(1)
		return
	}
	o := n.outboxVia(p, h)
	defer o.free()
	var head [session.HeadSize]byte
	o.mark = ordinary
	o.plain = append(o.plain[:0], head[:]...)
	o.putKeyed(keys, counter, now)
	o.flush(now)
}

// openKeyed opens the body at hand, which is under session keys and for own, and
// hands it on. It reports whether it is authentic. Who sent it is told by the
// session: a header that says otherwise is somebody else's.
func (r *receiver) openKeyed(own *ownIdentity, source SID) bool {
	n, body := r.node, r.payload.Body
	h, ok := session.ParseHead(body)
	if !ok || n.sessions == nil || own == nil {
		n.count.dropped.crypto.Add(1)
		return false
	}
	s, keys, counter, known, fresh := n.sessions.find(h, r.now)
	switch {
	case !known:
		n.count.sessions.unknown.Add(1)
		r.sayUnknownVia(own, source, h.ID)
		return false
	case pairOf(s.Pair()) != pair{own.sid, source}:
		n.count.dropped.crypto.Add(1)
		return false
	case !fresh:
		n.count.dropped.repeated.Add(1)
		return false
	}
	buf := getBuffer()
	plain, err := keys.Open(buf.data[:copy(buf.data, body)], counter, &r.scratch)
	if err != nil {
		buf.release()
		n.count.dropped.crypto.Add(1)
		return false
	}
	ok, begun := n.sessions.accept(s, counter, len(body), r.now)
	if !ok {
		buf.release()
		n.count.dropped.repeated.Add(1)
		return false
	}
	n.count.sessions.received.Add(1)
	if p := r.heardKeyed(own, s); p != nil {
		if begun {
			n.keyed(p, s.Peer().Boot, r.now)
		}
		r.keyedDatagram(p, plain, buf, s.Peer().Boot)
	} else {
		buf.release()
	}
	return true
}

// heardKeyed notes a body that has opened, and gives its peer; nil if that was
// forgotten and cannot be taken up now. It proves no address: what relays pass on
// says nothing of where its sender is.
func (r *receiver) heardKeyed(own *ownIdentity, s *session.Session) *peer {
	n, now := r.node, r.now
	p := n.strangerAndLock(own, pairOf(s.Pair()).remote, now)
	defer n.mu.Unlock()
	if p == nil {
		return nil
	}
	p = n.authenticLocked(p, now)
	p.path.lastHeard = now
	if r.neighbour != nil {
		p.relay.heard(r.sender, p.remote, now)
	}
	n.activateLocked(p)
	n.signOfLifeLocked(p, s, now)
	return p
}

// keyedDatagram hands on what was in a body, in buf. boot is when the peer was
// started that has the keys.
func (r *receiver) keyedDatagram(p *peer, plain []byte, buf *buffer, boot int64) {
	n := r.node
	ports, data, ok, err := session.ParseRelayed(plain)
	d := Datagram{
		Local: Addr{p.local, Port(ports.Destination)}, Remote: Addr{p.remote, Port(ports.Source)},
		Data: data, Queue: Queue(r.payload.Queue), TTL: r.payload.Remaining(), Made: boot, buf: buf,
	}
	n.mu.Lock()
	s, builtin := n.ports.find(d.Local), n.isBuiltinLocked(d.Local.Port)
	n.mu.Unlock()
	switch {
	case err != nil:
		n.count.dropped.malformed.Add(1)
	case !ok: // it only confirmed the session
	case d.Local.Port == portHello && d.Remote.Port == portHello:
		r.hello(p, data, false)
	case builtin:
		r.keyed = true
		r.serve(p, &d, false)
		r.keyed = false
	case len(data) == 0:
		n.count.dropped.empty.Add(1)
	default:
		n.dispatch(&r.out, s, &d)
		return
	}
	d.Release()
}

// sayUnknownVia tells who seems to have sent a body that its session is unknown
// here (MSX-12.3): in the box, by the neighbour that has passed it on.
func (r *receiver) sayUnknownVia(own *ownIdentity, source SID, id uint32) {
	n := r.node
	if r.neighbour == nil {
		return
	}
	n.mu.Lock()
	if !n.notices.take(r.from.addr, r.now) {
		n.mu.Unlock()
		n.count.dropped.answerLimit.Add(1)
		return
	}
	h := r.neighbour.hop()
	n.mu.Unlock()
	p := n.strangerAndLock(own, source, r.now)
	n.mu.Unlock()
	if p != nil {
		n.sendVia(p, h, false, nil, session.AppendUnknown(nil, id), r.now)
	}
}
