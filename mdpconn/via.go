package mdpconn

import (
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

// Datagrams to peers that are reached through others. Implementation.
const (
	worksFor   = 3 * time.Second         // a way from which something authentic came is preferred for so long
	viaSilent  = 1500 * time.Millisecond // of sending without an answer, another way is tried
	avoidFor   = 20 * time.Second        // one that was given up
	maxAvoided = 4
)

// relayed is how a peer is reached through others: by which neighbour. Routes
// are only what others say; so the neighbour through which something authentic
// and fresh arrived is preferred to them, and one through which there is no answer
// is left. Guarded by Node.mu.
type relayed struct {
	heardVia   SID       // the neighbour from which something authentic came last
	heardAt    time.Time // when
	sentVia    SID       // the neighbour to which was sent last
	unanswered time.Time // since when, without hearing anything; zero: it is not so
	failed     bool      // a way was given up, and nothing came since
	avoided    []avoided
}

type avoided struct {
	sid   SID
	until time.Time
}

// works reports whether something authentic came through others lately.
func (r *relayed) works(now time.Time) bool {
	return !r.heardAt.IsZero() && now.Sub(r.heardAt) < worksFor
}

func (r *relayed) avoids(sid SID, now time.Time) bool {
	for i := range r.avoided {
		if r.avoided[i].sid == sid && now.Before(r.avoided[i].until) {
			return true
		}
	}
	return false
}

// avoid leaves a neighbour through which there is no answer.
func (r *relayed) avoid(sid SID, now time.Time) {
	if len(r.avoided) == maxAvoided {
		r.avoided = append(r.avoided[:0], r.avoided[1:]...)
	}
	r.avoided = append(r.avoided, avoided{sid, now.Add(avoidFor)})
}

// heard notes something authentic from the peer, through a neighbour if relay is
// not the peer itself.
func (r *relayed) heard(relay, remote SID, now time.Time) {
	r.unanswered, r.failed = time.Time{}, false
	if relay != remote {
		r.heardVia, r.heardAt = relay, now
	}
}

// A hop is the neighbour that payloads are given to.
type hop struct {
	endpoint
	sid    SID
	number *numbering
	nb     *neighbour
}

func (nb *neighbour) hop() *hop {
	return &hop{nb.peer.path.current.endpoint, nb.sid, nb.number, nb}
}

// viaLocked chooses the neighbour through which a peer is reached; nil if there is
// none. Caller holds mu.
func (n *Node) viaLocked(p *peer, now time.Time) *neighbour {
	m := &n.mesh
	if len(m.neighbours) == 0 {
		return nil
	}
	usable := func(nb *neighbour) bool {
		return nb != nil && nb.peer != p && nb.isLinked(now) && !p.relay.avoids(nb.sid, now)
	}
	set := n.own.Load()
	if nb := m.neighbours[p.relay.heardVia]; p.relay.works(now) && usable(nb) && nb.reaches(p.remote, set) {
		return nb
	}
	r, routed := m.routes[p.remote]
	if routed && usable(r.via) && !r.via.gone {
		return r.via
	}
	var other *neighbour
	for _, nb := range m.neighbours {
		if usable(nb) && nb.reaches(p.remote, set) && (other == nil || lessSID(nb.sid, other.sid)) {
			other = nb
		}
	}
	switch {
	case other != nil:
		return other
	case routed && !r.via.gone && r.via.peer != p && r.via.isLinked(now):
		p.relay.avoided = p.relay.avoided[:0] // there is no other way
		return r.via
	}
	if nb := m.neighbours[p.relay.heardVia]; nb != nil && nb.peer != p && nb.isLinked(now) {
		return nb // nobody tells of a way, but there was one
	}
	return nil
}

// hopLocked gives the neighbour to which datagrams for a peer are given now; nil
// if they go to a proven address of the peer's own, or nobody knows a way. Targets
// in o that have become needless are taken out. Caller holds mu.
func (n *Node) hopLocked(p *peer, o *outbox, now time.Time) *hop {
	n.numberLocked(o)
	if !p.path.searching() {
		return nil
	}
	r := &p.relay
	if !r.unanswered.IsZero() && now.Sub(r.unanswered) >= viaSilent {
		r.avoid(r.sentVia, now)
		r.unanswered, r.failed = time.Time{}, true
	}
	nb := n.viaLocked(p, now)
	if nb == nil {
		return nil
	}
	if r.unanswered.IsZero() || r.sentVia != nb.sid {
		r.sentVia, r.unanswered = nb.sid, now
	}
	if r.works(now) {
		// The datagrams arrive that way; others get challenges only.
		keep := o.targets[:0]
		for _, t := range o.targets {
			if t.challenge != 0 {
				keep = append(keep, t)
			}
		}
		o.targets = keep
		n.numberLocked(o)
	}
	return nb.hop()
}

// numberLocked gives the packets of o numbers, if they go to a neighbour and
// nowhere else. Caller holds mu.
func (n *Node) numberLocked(o *outbox) {
	o.number = nil
	if len(o.targets) != 1 || o.own != n.own.Load().order[0] {
		return
	}
	if nb := n.mesh.neighbours[o.peer.remote]; nb != nil && nb.isAt(o.targets[0].endpoint) {
		o.number = nb.number
	}
}

// asksLocked reports whether a search for a peer's own address is to ask for it.
// While the peer is heard through others it is not, nor while it only has nothing
// to say: it was heard through others last, there still is a route, and no way was
// given up since. Whoever is routed has neighbours, and so announces itself: if it
// comes near it is heard without asking. Caller holds mu.
func (n *Node) asksLocked(p *peer, now time.Time) bool {
	r := &p.relay
	if r.works(now) {
		return false
	}
	route, routed := n.mesh.routes[p.remote]
	return !(r.heardAt.After(p.path.current.heard) && !r.failed && routed && !route.via.gone && route.via.isLinked(now))
}

// reachableLocked reports whether datagrams to a peer can be sent now. Caller
// holds mu.
func (n *Node) reachableLocked(p *peer, now time.Time) bool {
	return p.path.known || len(p.path.candidates) > 0 || n.viaLocked(p, now) != nil
}

// A mark is what a relayed payload carries and a direct one does not.
type mark struct {
	ttl   uint8
	queue uint8
}

// ordinary is the mark of what the node says itself.
var ordinary = mark{ttl: maxTTL, queue: uint8(QueueOrdinary)}

// markOf gives the mark of a datagram: its own, or that of the socket bound to
// its local address.
func (n *Node) markOf(d *Datagram) mark {
	m := mark{ttl: d.TTL, queue: uint8(d.Queue)}
	if m.ttl == 0 || m.queue == uint8(QueueDefault) {
		n.mu.Lock()
		s := n.ports.find(d.Local)
		ttl, queue := uint8(maxTTL), QueueOrdinary
		if s != nil {
			ttl, queue = s.ttl, s.queue
		}
		n.mu.Unlock()
		if m.ttl == 0 {
			m.ttl = ttl
		}
		if m.queue == uint8(QueueDefault) {
			m.queue = uint8(queue)
		}
	}
	if m.queue == uint8(QueueOpportunistic) {
		m.queue = uint8(QueueOrdinary) // two bits cannot hold it (docs/overlay.md §10)
	}
	return m
}

// outboxVia gives an outbox for payloads that a neighbour is to pass on. Its
// packets are the primary identity's, whoever is the source.
func (n *Node) outboxVia(p *peer, h *hop) *outbox {
	o := n.outbox(n.own.Load().order[0], p)
	o.hop, o.number = h, h.number
	o.targets = append(o.targets, target{endpoint: h.endpoint})
	return o
}

// sendVia sends datagrams of a pair through a neighbour, under session keys if
// keyed, and a hello along with them if there is one. That goes in the box: whoever
// has lost the keys is to read it.
func (n *Node) sendVia(p *peer, h *hop, keyed bool, batch []Datagram, hello []byte, now time.Time) {
	o := n.outboxVia(p, h)
	defer o.free()
	if keyed {
		n.sendKeyedVia(o, batch, now)
		batch = nil
	}
	for i := range batch {
		if d := &batch[i]; n.passable(o, d) {
			o.add(d.Local.Port, d.Remote.Port, d.Data, now)
		}
	}
	if hello != nil {
		o.mark = ordinary
		o.add(portHello, portHello, hello, now)
	}
	o.flush(now)
}

// passable reports whether a datagram can be passed on by others, counts it, and
// sets the mark of o for it.
func (n *Node) passable(o *outbox, d *Datagram) bool {
	o.mark = n.markOf(d)
	switch {
	case len(d.Data) > MaxData:
		n.count.sessions.tooLarge.Add(1)
		return false
	case o.mark.ttl < 2: // it is not to be passed on
		n.count.dropped.noRoute.Add(1)
		return false
	}
	n.count.sent.datagrams.Add(1)
	n.count.mesh.sentVia.Add(1)
	return true
}

// answerVia sends data back to the source of d, who is not a neighbour, under
// session keys if keyed.
func (n *Node) answerVia(p *peer, d *Datagram, data []byte, keyed bool, now time.Time) {
	n.mu.Lock()
	nb := n.viaLocked(p, now)
	var h *hop
	if nb != nil {
		h = nb.hop()
	}
	n.mu.Unlock()
	if h == nil {
		n.count.dropped.noRoute.Add(1)
		return
	}
	n.sendVia(p, h, keyed, []Datagram{{Local: d.Local, Remote: d.Remote, Data: data, Queue: QueueOrdinary, TTL: maxTTL}}, nil, now)
}

// A form says which SIDs of a relayed packet are shortened. The largest message of
// a stream fits with all but one SID in full, the largest datagram does not
// (docs/overlay.md §4, §10).
type form int

const (
	shortHop form = iota // the next hop only: it is the receiver itself
	shortSender
	shortDestination
	shortestForm = shortDestination
)

func (f form) sender(sid SID) overlay.Address {
	a := fullSID(sid)
	if f >= shortSender {
		a.Code = shortSID
	}
	return a
}

// address completes a payload with the addresses and flags for a hop.
func (o *outbox) address(p *overlay.Payload, destination SID) {
	p.Destination = fullSID(destination)
	if o.form >= shortDestination || destination == o.hop.sid {
		p.Destination.Code = shortSID
	}
	if destination == o.hop.sid {
		p.Flags |= overlay.OneHop
		return
	}
	p.NextHop = overlay.To(overlay.SID(o.hop.sid))
	p.NextHop.Code = shortSID
}

// appended takes a payload back that made a packet too long, and reports whether
// it was not.
func (b *outPacket) appended(data []byte, before overlay.Context) bool {
	if len(data) > overlay.MaxPacket {
		b.ctx = before
		return false
	}
	b.data = data
	return true
}

// viaPayload begins a payload of the pair that the hop is to pass on.
func (o *outbox) viaPayload() overlay.Payload {
	p := overlay.Payload{Type: overlay.TypeData, TTL: o.mark.ttl, Queue: o.mark.queue, Seq: byte(o.own.sequence.Load() + 1)}
	if o.peer.local != o.own.sid {
		p.Source = fullSID(o.peer.local)
	}
	o.address(&p, o.peer.remote)
	return p
}

// appendedVia is appended for such a payload, whose number is used up if there
// was room.
func (o *outbox) appendedVia(b *outPacket, data []byte, before overlay.Context) bool {
	if !b.appended(data, before) {
		return false
	}
	o.own.sequence.Add(1)
	return true
}

// sealVia appends the plaintext in o.plain as an enciphered payload that the hop
// is to pass on, and reports whether there was room.
func (o *outbox) sealVia(b *outPacket, now time.Time) bool {
	p := o.viaPayload()
	o.peer.mine.fill(&o.nonce, &o.tag, now)
	before := b.ctx
	data, err := overlay.AppendSealedPayload(b.data, &p, &b.ctx, o.peer.key, (*[nonceSize]byte)(&o.nonce), o.plain)
	if err != nil {
		panic("BUG: mdpconn: " + err.Error())
	}
	return o.appendedVia(b, data, before)
}
