package mdpconn

import (
	"crypto/rand"
	"net"
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

// Datagrams that everybody can read: signed and plain ones, and broadcasts
// (docs/overlay.md §6.4, §6.5, §8.8).

// readable handles such a payload for the sockets that accept it. own is whom it
// is for; nil: all.
func (r *receiver) readable(mode overlay.Mode, own *ownIdentity, source SID, ports overlay.Ports) {
	n := r.node
	d := Datagram{
		Local: Addr{Port: Port(ports.Destination)}, Remote: Addr{source, Port(ports.Source)},
		Queue: Queue(r.payload.Queue), TTL: r.payload.Remaining(),
		Mode: Plain, Broadcast: own == nil,
	}
	if mode == overlay.ModeSigned {
		d.Mode = Signed
	}
	if own != nil {
		d.Local.SID = own.sid
	}
	sockets := n.admitting(&d)
	if len(sockets) == 0 {
		n.count.dropped.plain.Add(1)
		return
	}
	plain := r.payload.Body
	if d.Mode == Signed {
		if plain = r.verified(own, source); plain == nil {
			return
		}
	}
	var err error
	if ports, d.Data, err = overlay.ParsePorts(plain); err != nil || ports.Check() != nil {
		n.count.dropped.malformed.Add(1)
		return
	}
	n.dispatchCopies(&r.out, sockets, &d)
}

// admitting gives the sockets that a readable datagram goes to: for a broadcast
// all that are bound to its port, whatever their SID.
func (n *Node) admitting(d *Datagram) (sockets []*Socket) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !d.Broadcast {
		if s := n.ports.find(d.Local); s != nil && s.accept.admits(d.Mode, false) {
			sockets = append(sockets, s)
		}
		return sockets
	}
	if n.ports.every[d.Local.Port] == 0 {
		return nil
	}
	for a, s := range n.ports.bound {
		if a.Port == d.Local.Port && s.accept.admits(d.Mode, true) {
			sockets = append(sockets, s)
		}
	}
	return sockets
}

// dispatchCopies puts a copy of a datagram into out for each socket. Local names
// an identity in each, so that it can be answered from there.
func (n *Node) dispatchCopies(out *dispatcher, sockets []*Socket, d *Datagram) {
	switch {
	case len(d.Data) == 0:
		n.count.dropped.empty.Add(1)
		return
	case len(d.Data) > bufferSize:
		n.count.dropped.tooLong.Add(1)
		return
	}
	primary := n.Primary()
	for _, s := range sockets {
		c := *d
		if c.Broadcast {
			c.Local = s.LocalAddr()
			if c.Local.SID == All {
				c.Local.SID = primary
			}
		}
		c.buf = getBuffer()
		c.Data = c.buf.data[:copy(c.buf.data[:], d.Data)]
		n.dispatch(out, s, &c)
	}
}

// verified gives the plaintext of the signed payload at hand, or nil. Whoever is
// not known to have a sign key is asked for it; the payload is dropped.
func (r *receiver) verified(own *ownIdentity, source SID) []byte {
	n := r.node
	key, known, proven, may := n.signKeys.find(source, r.now)
	if !may {
		n.count.dropped.signKeyLimit.Add(1)
		return nil
	}
	if known {
		if plain, err := overlay.VerifyBody(&key, r.payload.Body); err == nil {
			return plain
		}
	}
	if proven {
		n.count.dropped.crypto.Add(1)
		return nil
	}
	n.count.dropped.signKeyUnknown.Add(1)
	if own == nil {
		own = r.set.order[0]
	}
	r.askSignKey(own, source)
	return nil
}

// askSignKey asks a SID for its sign key, enciphered, at the address where the
// payload at hand came from or the way it came.
func (r *receiver) askSignKey(own *ownIdentity, source SID) {
	n := r.node
	if r.from.link == nil || !sendable(r.from.addr) || !n.signKeys.ask(source, r.now) {
		return
	}
	p := n.strangerAndLock(own, source, r.now)
	n.mu.Unlock()
	if p == nil {
		return
	}
	n.count.sent.keyMaps.Add(1)
	question := Datagram{Local: Addr{own.sid, portKeyMap}, Remote: Addr{source, portKeyMap}}
	r.answer(p, &question, overlay.AppendKeyMap(nil, &overlay.KeyMap{}), source == r.sender)
}

// sendReadable sends a signed or plain datagram of own, which was checked.
func (n *Node) sendReadable(set *identitySet, own *ownIdentity, d *Datagram) error {
	p := overlay.Payload{Type: overlay.TypeData, Body: plainBody(d.Remote.Port, d.Local.Port, d.Data)}
	if d.Mode == Signed {
		if err := own.sign(&p); err != nil {
			return err
		}
	}
	m := n.markOf(d)
	p.TTL, p.Queue = m.ttl, m.queue
	if d.Remote.SID == All {
		if err := n.deliverHere(d, own.sid); err != nil {
			return err
		}
		return n.sendBroadcast(own, &p)
	}
	if set.bySID[d.Remote.SID] != nil {
		return n.deliverHere(d, own.sid)
	}
	return n.sendReadableTo(own, d.Remote.SID, &p)
}

// sign makes a signed payload of a plain one.
func (own *ownIdentity) sign(p *overlay.Payload) error {
	body, err := overlay.SignBody(nil, own.secret.sign, p.Body)
	if err != nil {
		return err
	}
	p.Flags |= overlay.Signed
	p.Body = body
	return nil
}

// deliverHere hands a readable datagram to the node's own sockets that accept it.
func (n *Node) deliverHere(sent *Datagram, from SID) error {
	d := Datagram{
		Local: sent.Remote, Remote: Addr{from, sent.Local.Port}, Data: sent.Data,
		Queue: sent.Queue, Mode: sent.Mode, Broadcast: sent.Remote.SID == All,
	}
	n.mu.Lock()
	closed := n.isClosedLocked()
	n.mu.Unlock()
	if closed {
		return net.ErrClosed
	}
	sockets := n.admitting(&d)
	if len(sockets) == 0 && !d.Broadcast {
		n.count.dropped.plain.Add(1)
	}
	n.count.sent.local.Add(1)
	out := dispatcherPool.Get().(*dispatcher)
	defer dispatcherPool.Put(out)
	n.dispatchCopies(out, sockets, &d)
	out.deliver()
	return nil
}

// sendReadableTo sends a payload to another node: to its proven address, or a
// neighbour that passes it on. If there is no way one is looked for, and the
// payload dropped: it does not wait.
func (n *Node) sendReadableTo(own *ownIdentity, remote SID, p *overlay.Payload) error {
	now := time.Now()
	peer, err := n.peerForAndLock(own, remote)
	if err == nil && n.isClosedLocked() {
		err = net.ErrClosed
	}
	if err != nil {
		n.mu.Unlock()
		return err
	}
	var h *hop
	known, at := peer.path.known, peer.path.current.endpoint
	if !known {
		if nb := n.viaLocked(peer, now); nb != nil && p.TTL > 1 {
			h = nb.hop()
		}
		peer.path.beginSearch(now, 0)
		n.activateLocked(peer)
	}
	n.mu.Unlock()
	switch {
	case known:
		q := *p
		q.Flags |= overlay.OneHop
		q.Destination, q.Seq = overlay.To(overlay.SID(remote)), byte(own.sequence.Add(1))
		o := n.outbox(own, nil)
		defer o.free()
		o.plainTo(at.link, []Packet{{Addr: at.addr}}, 1, overlay.PacketUnicast, &q)
	case h != nil:
		q := *p
		q.Source = fullSID(own.sid)
		var f forwarder
		f.relay(n, h, &q, remote, now)
		f.flush(now)
		n.count.mesh.sentVia.Add(1)
	default:
		n.count.dropped.noRoute.Add(1)
		return nil
	}
	n.count.sent.datagrams.Add(1)
	return nil
}

// sendBroadcast broadcasts a payload over all links: with a TTL of 1 to who hears
// them, else as a flood, which each neighbour is given as well.
func (n *Node) sendBroadcast(own *ownIdentity, p *overlay.Payload) error {
	now := time.Now()
	p.Flags |= overlay.ToBroadcast
	p.Seq = byte(own.sequence.Add(1))
	flooded := p.TTL > 1
	if !flooded {
		p.Flags |= overlay.OneHop
	} else if _, err := rand.Read(p.BroadcastID[:]); err != nil {
		return err
	}
	n.mu.Lock()
	if n.isClosedLocked() {
		n.mu.Unlock()
		return net.ErrClosed
	}
	links := n.links
	var hops []*hop
	for _, nb := range n.mesh.neighbours {
		if flooded && nb.proven() {
			hops = append(hops, nb.hop())
		}
	}
	n.mu.Unlock()
	n.broadcast(own, 1, p, links)
	p.Source = fullSID(own.sid)
	var f forwarder
	for _, h := range hops {
		f.relay(n, h, p, SID{}, now)
	}
	f.flush(now)
	n.count.sent.datagrams.Add(1)
	return nil
}

// plainBody makes the body of a plain datagram, whose ports were checked.
func plainBody(to, from Port, data []byte) []byte {
	b, err := overlay.AppendPorts(nil, overlay.Ports{Destination: uint32(to), Source: uint32(from)})
	if err != nil {
		panic("BUG: mdpconn: " + err.Error())
	}
	return append(b, data...)
}
