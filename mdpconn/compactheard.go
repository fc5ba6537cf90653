package mdpconn

import (
	"hash/maphash"
	"net/netip"
	"time"

	"mesh.example/msp/mdpconn/session"
)

// handleSession handles a packet in compact form, or a notice, and reports
// whether it was one (docs/extension.md §11): stock's packets begin otherwise.
func (r *receiver) handleSession(data []byte) bool {
	n := r.node
	if n.sessions == nil || len(data) == 0 {
		return false
	}
	if h, ok := session.ParseHead(data); ok && h.Form == session.Compact {
		r.set = n.own.Load()
		r.sized(h, data)
		return true
	}
	if id, ok := session.ParseUnknown(data); ok {
		r.notice(id)
		return true
	}
	return false
}

// sized handles a packet in compact form, in a buffer of its size: datagrams may
// be kept for long, and are not to keep a large one for a small packet.
func (r *receiver) sized(h session.Head, data []byte) {
	if r.buf == nil || len(r.buf.data) != largeSize || len(data) > bufferSize {
		r.larger = r.larger || len(data) >= bufferSize && (r.buf == nil || len(r.buf.data) == bufferSize)
		r.compact(h, data)
		return
	}
	large, small := r.buf, getBuffer()
	r.buf = small
	r.compact(h, small.data[:copy(small.data, data)])
	r.buf = large
	small.release()
}

// compact handles a packet in compact form.
func (r *receiver) compact(h session.Head, data []byte) {
	n := r.node
	s, keys, counter, known, fresh := n.sessions.find(h, r.now)
	switch {
	case !known:
		n.count.sessions.unknown.Add(1)
		r.sayUnknown(h.ID)
		return
	case !fresh:
		n.count.dropped.repeated.Add(1)
		return
	}
	plain, err := keys.Open(data, counter, &r.scratch)
	if err != nil {
		n.count.dropped.crypto.Add(1)
		return
	}
	ok, begun := n.sessions.accept(s, counter, len(data), r.now)
	if !ok {
		n.count.dropped.repeated.Add(1)
		return
	}
	n.count.sessions.received.Add(1)
	if r.ecn == CE {
		n.count.sessions.marked.Add(1)
	}
	own := r.set.bySID[pairOf(s.Pair()).local]
	p := r.heardCompact(own, s)
	if p == nil {
		return
	}
	if begun {
		n.keyed(p, s.Peer().Boot, r.now)
	}
	r.items(p, s, plain)
}

// heardCompact notes a packet that has opened, and gives its peer; nil if that was
// forgotten and cannot be taken up now.
func (r *receiver) heardCompact(own *ownIdentity, s *session.Session) *peer {
	n, now := r.node, r.now
	p := n.strangerAndLock(own, pairOf(s.Pair()).remote, now)
	defer n.mu.Unlock()
	if p == nil {
		return nil
	}
	if !p.proven {
		p.proven = true
		n.touchLocked(p)
	}
	if nb := n.mesh.neighbours[p.remote]; nb != nil && nb.isAt(r.from) {
		nb.heard = now
	}
	p.path.lastHeard = now
	p.relay.heard(p.remote, p.remote, now)
	if sendable(r.from.addr) {
		p.path.heardFrom(now, r.from, true)
		n.activateLocked(p)
	}
	n.signOfLifeLocked(p, s, now)
	return p
}

// items hands on what is in a packet. Datagrams have shares in the buffer that it
// was read into.
func (r *receiver) items(p *peer, s *session.Session, plain []byte) {
	n := r.node
	r.boot = s.Peer().Boot
	items := session.NewItems(plain)
	for items.Next(&r.item) {
		switch r.item.Kind {
		case session.Datagram, session.DatagramToEnd:
			r.compactDatagram(p)
		case session.Ping:
			r.pong([session.TokenSize]byte(r.item.Data), p)
		case session.Pong:
			r.ponged(p, [session.TokenSize]byte(r.item.Data))
		case session.Close:
			n.sessions.close(s)
		}
	}
	if items.Err() != nil {
		n.count.dropped.malformed.Add(1)
	}
}

// compactDatagram hands on the datagram at hand.
func (r *receiver) compactDatagram(p *peer) {
	n := r.node
	d := Datagram{
		Local:  Addr{p.local, Port(r.item.Ports.Destination)},
		Remote: Addr{p.remote, Port(r.item.Ports.Source)},
		Data:   r.item.Data,
		Made:   r.boot,
		ECN:    r.ecn,
	}
	n.mu.Lock()
	p.path.received++
	s := n.ports.find(d.Local)
	builtin := n.isBuiltinLocked(d.Local.Port)
	n.mu.Unlock()
	switch {
	case len(d.Data) == 0:
		n.count.dropped.empty.Add(1)
	case d.Local.Port == portHello && d.Remote.Port == portHello:
		r.hello(p, d.Data, true)
	case builtin:
		r.keyed = true
		r.serve(p, &d, true)
		r.keyed = false
	default:
		d.buf = r.buf.share()
		n.dispatch(&r.out, s, &d)
	}
}

// pong answers a ping, to where it came from (MSX-11.2).
func (r *receiver) pong(token [session.TokenSize]byte, p *peer) {
	c := r.node.compactor(p.pair, smallCompact)
	defer c.free()
	c.begin()
	c.item(session.AppendPong(nil, token))
	c.flush([]target{{endpoint: r.from}}, r.now)
}

// item puts an item into the last packet, which has room.
func (c *compactor) item(b []byte) {
	c.ends[c.n-1] += copy(c.room[c.ends[c.n-1]:], b)
}

func (s *sessions) close(found *session.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table.Close(found)
}

// notice handles the notice that a peer does not know a session (MSX-11.3). It
// proves nothing: what follows is an offer, as if there was no session yet.
func (r *receiver) notice(id uint32) {
	n := r.node
	n.count.sessions.notices.Add(1)
	pair, ok := n.sessions.heed(id, r.now)
	if !ok {
		return
	}
	n.mu.Lock()
	p := n.peers.all[pair]
	n.mu.Unlock()
	if p != nil {
		n.greet(p, r.now)
	}
}

// noticeVia handles such a notice that came in the box, from a peer (MSX-12.3): it
// has lost the keys, or somebody has sent it something in our name.
func (r *receiver) noticeVia(p *peer, id uint32) {
	n := r.node
	n.count.sessions.notices.Add(1)
	if n.sessions.heedFrom(p.pair, id, r.now) {
		n.greet(p, r.now)
	}
}

// Notices about unknown sessions. Specification.
const noticeRate = 10 // per second and address

// A noticeLimit limits them by address; those of several addresses may count as
// one. The zero value is ready.
type noticeLimit struct {
	seed    maphash.Seed
	seeded  bool
	buckets [64]bucket
}

func (l *noticeLimit) take(addr netip.AddrPort, now time.Time) bool {
	if !l.seeded {
		l.seed, l.seeded = maphash.MakeSeed(), true
		for i := range l.buckets {
			l.buckets[i] = newBucket(noticeRate, noticeRate)
		}
	}
	return l.buckets[maphash.Comparable(l.seed, addr)%uint64(len(l.buckets))].take(now)
}

// sayUnknown tells the sender of a packet that its session is unknown here.
func (r *receiver) sayUnknown(id uint32) {
	n := r.node
	if !sendable(r.from.addr) {
		return
	}
	n.mu.Lock()
	may := n.notices.take(r.from.addr, r.now)
	n.mu.Unlock()
	if !may {
		n.count.dropped.answerLimit.Add(1)
		return
	}
	n.write(r.from.link, []Packet{{Addr: r.from.addr, Data: session.AppendUnknown(nil, id)}})
}
