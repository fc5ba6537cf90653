package mdpconn

import (
	"math"
	"sync/atomic"
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

// Limits of the neighbour table. Implementation.
const (
	maxNeighbours = 192 // proven ones and others
	maxUnproven   = 64  // of them, those whose address is not proven
	meetRate      = 100 // new neighbours per second: each costs a key
	meetBurst     = 100
)

// A neighbour is a node that is heard directly. It says itself who it is, and
// where; so it counts only once the holder of its SID has answered a challenge
// from that address, like the endpoint of any peer (docs/overlay.md §13). What
// is said of the mesh in its name is heard only from there.
type neighbour struct {
	sid    SID
	met    time.Time  // when it was heard first
	number *numbering // of packets to it: its peer's; nil until that is known
	kept   kept       // of those, what it may have missed

	// Guarded by Node.mu.
	from     endpoint  // where it was heard first
	peer     *peer     // of the primary identity and it; nil until its keys are computed
	gone     bool      // it is no neighbour any more
	counted  bool      // among the unproven
	heard    time.Time // last packet from its address, whatever it was
	unicast  time.Time // last one that was sent to this node alone
	iface    byte      // of its own, from which that came
	windows  [2]numberWindow
	payloads numberWindow
	links    map[SID]link // by receiver: what it told of

	linked   time.Time // last record that says that it hears this node; zero: never
	using    bool      // it reaches this node directly
	through  time.Time // it told last that it reaches somebody through this node
	loss     float64   // of packets to it, smoothed
	judged   uint32    // the number of the last packet that counts in it
	acks     bool      // it repeats payloads until they are acknowledged
	unacked  int       // packets since the last record
	holes    int       // numbers that were left out since then and did not come late
	recordAt time.Time // when it is to have a record before its turn; zero: not
	owed     bool      // it is to have it in any case
	again    bool      // one more record is to follow that one
	tailAt   time.Time // when the end of what it is to pass on is looked after; zero: there is nothing
	tails    int       // ticks since then
	relays   time.Time // it gave something to pass on, or that was passed on, last
	turnAt   time.Time // on a slow link, when it is to have its next record
	news     int       // rounds in which it is told everything
	share    bucket    // payloads relayed for it
	rest     rest
}

// A numbering counts packets to one destination. It lives as long as the peer, and
// goes on when a neighbour that was forgotten is met again: a number that comes
// twice in a row looks like a jump (docs/overlay.md §11).
type numbering struct {
	on   atomic.Bool
	last atomic.Uint32
}

// next gives the next number, the first being 1, if there are to be any. Of two
// goroutines that send to one neighbour, the first to take a number may be the
// last to write its packet. The receiver then takes that packet for a late one, as
// any network may make it: it fills its hole, and is not lost (docs/overlay.md §8.3).
func (u *numbering) next() (number uint32, ok bool) {
	if u == nil || !u.on.Load() {
		return 0, false
	}
	return u.last.Add(1), true
}

// take gives it as it stands in a packet.
func (u *numbering) take() (seq byte, ok bool) {
	number, ok := u.next()
	return byte(number), ok
}

// proven reports whether the neighbour has an address that it has answered from.
func (nb *neighbour) proven() bool { return nb.peer != nil && nb.peer.path.known }

// isAt reports whether an address is that one.
func (nb *neighbour) isAt(e endpoint) bool {
	return nb.proven() && nb.peer.path.current.addr == e.addr
}

// link gives the link on which the neighbour is.
func (nb *neighbour) link() *nodeLink {
	if nb.proven() {
		return nb.peer.path.current.link
	}
	return nb.from.link
}

func (nb *neighbour) timing() timing { return nb.link().timing }

// isDue reports whether a neighbour has its turn in a round of records. On a slow
// link it has one each tick, and is told everything then; only what is new of
// the neighbour itself comes at once.
func (nb *neighbour) isDue(now time.Time) bool {
	t := nb.timing()
	if !t.slow() {
		return true
	}
	if nb.news == 0 && now.Before(nb.turnAt) {
		return false
	}
	nb.turnAt = now.Add(t.tick - recordEvery/2) // rounds do not come on the dot
	return true
}

// isLinked reports whether packets pass in both directions. That is what routes
// are made of.
func (nb *neighbour) isLinked(now time.Time) bool {
	return nb.proven() && !nb.linked.IsZero() && now.Sub(nb.linked) < nb.timing().reachable()
}

// heardNeighbour notes a packet, and gives the neighbour it is from; nil if that is
// not proven. duplicate tells that the packet was here before.
func (n *Node) heardNeighbour(sender SID, from endpoint, e *overlay.Envelope, now time.Time) (nb *neighbour, duplicate bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	nb = n.mesh.neighbours[sender]
	if nb == nil {
		n.meetLocked(sender, from, now)
		return nil, false
	}
	if !nb.isAt(from) {
		if !nb.proven() && from == nb.from {
			nb.heard = now
		}
		return nil, false
	}
	nb.heard = now
	if e.Interface != nb.iface {
		nb.iface, nb.windows = e.Interface, [2]numberWindow{}
	}
	window := &nb.windows[0]
	if e.Flags&overlay.PacketUnicast != 0 {
		nb.unicast = now
		window = &nb.windows[1]
	}
	if e.Flags&overlay.PacketSeq == 0 {
		return nb, false
	}
	missed, duplicate := window.receive(e.Seq, packetRun, now)
	nb.unacked++
	if ack, _ := window.window.Ack(); missed > 0 {
		nb.holes += missed
	} else if ack.Seq != e.Seq && !duplicate {
		nb.holes--
	}
	switch relays := !nb.relays.IsZero() && now.Sub(nb.relays) < keptFor; {
	case missed > 0 && (nb.acks || relays):
		nb.again = relays
		n.recordAtLocked(nb, now.Add(gapRecord))
	case nb.acks && nb.unacked >= ackPackets:
		n.recordSoonLocked(nb, now)
	}
	return nb, duplicate
}

// meetLocked makes a neighbour of the sender of a packet, if it is to be one and
// there is room. Caller holds mu.
func (n *Node) meetLocked(sid SID, from endpoint, now time.Time) {
	m := &n.mesh
	if !n.welcomesLocked(sid, now) || !sendable(from.addr) || from.link.gone || n.isClosedLocked() {
		return
	}
	if !m.met.take(now) || len(m.neighbours) >= maxNeighbours && m.unproven == 0 {
		n.count.mesh.refused.Add(1)
		return
	}
	if m.unproven >= maxUnproven || len(m.neighbours) >= maxNeighbours {
		n.forgetOldestLocked()
	}
	nb := &neighbour{sid: sid, met: now, heard: now, from: from, counted: true, share: newBucket(m.limits.half, m.limits.half)}
	m.neighbours[sid] = nb
	m.unproven++
	m.fresh = append(m.fresh, nb)
	n.peers.remotes.add(sid)
	n.wakeLocked(now)
}

// forgetOldestLocked makes room for a new neighbour, of those that nothing proves.
// Caller holds mu.
func (n *Node) forgetOldestLocked() {
	var oldest *neighbour
	for _, nb := range n.mesh.neighbours {
		if nb.counted && (oldest == nil || nb.met.Before(oldest.met)) {
			oldest = nb
		}
	}
	n.forgetLocked(oldest)
}

// forgetLocked takes a neighbour out of the table. Caller holds mu.
func (n *Node) forgetLocked(nb *neighbour) {
	m := &n.mesh
	delete(m.neighbours, nb.sid)
	nb.gone = true
	nb.kept.close()
	if nb.counted {
		m.unproven--
	}
	for receiver := range nb.links {
		n.dropLinkLocked(nb, receiver)
	}
	n.peers.remotes.remove(nb.sid)
	if p := nb.peer; p != nil {
		p.neighbour = false
		n.touchLocked(p)
	}
	m.stale = true
}

// introduce computes the keys of a new neighbour, so that its address can be
// proven. No lock is held.
func (n *Node) introduce(nb *neighbour, now time.Time) {
	own := n.own.Load().order[0]
	fresh, err := newPeer(own, nb.sid)
	n.mu.Lock()
	defer n.mu.Unlock()
	if nb.gone || err != nil {
		if !nb.gone {
			n.forgetLocked(nb)
		}
		return
	}
	p := n.peers.all[fresh.pair]
	if p == nil {
		p = fresh
		n.addHintsLocked(p, now)
	}
	nb.peer, p.neighbour = p, true
	nb.number = &p.number
	nb.number.on.Store(false) // until it says that it hears us
	n.touchLocked(p)
	path := &p.path
	if path.known && path.current.addr != nb.from.addr && now.Sub(path.current.heard) >= path.current.link.timing.reachable() && !path.silent {
		path.fallSilent(now) // it has moved, or somebody says so
	}
	path.announcedAt(now, nb.from, announced)
	n.neighbourProvenLocked(p, now)
	n.activateLocked(p)
}

// neighbourProvenLocked notes that a peer, which may be a neighbour, has an
// address that is proven. Caller holds mu.
func (n *Node) neighbourProvenLocked(p *peer, now time.Time) {
	nb := n.mesh.neighbours[p.remote]
	if nb == nil || nb.peer != p || !nb.counted || !p.path.known {
		return
	}
	nb.counted = false
	n.mesh.unproven--
	n.mesh.greet = n.mesh.greet || len(n.mesh.neighbours)-n.mesh.unproven == 1
	nb.news = changeRuns
	nb.heard = now
	n.tellSoonLocked(now)
}

// expireLocked takes out the neighbours that are not heard any more or not
// wanted, and what was told too long ago. Caller holds mu.
func (n *Node) expireLocked(now time.Time) {
	m := &n.mesh
	old := !now.Before(m.allAt)
	for _, nb := range m.neighbours {
		switch {
		case !n.welcomesLocked(nb.sid, now), now.Sub(nb.heard) >= nb.timing().reachable() && !nb.outlives(now):
			n.forgetLocked(nb)
			continue
		case nb.rest.on:
			continue
		}
		if !nb.linked.IsZero() && !nb.isLinked(now) {
			nb.linked = time.Time{}
			m.stale = true
		}
		for receiver, l := range nb.links {
			if old && now.Sub(l.told) >= nb.timing().remembered() {
				n.dropLinkLocked(nb, receiver)
			}
		}
	}
}

// recordSoonLocked has a neighbour get a link record by the given time. Caller
// holds mu.
func (n *Node) recordSoonLocked(nb *neighbour, at time.Time) {
	nb.owed = true
	n.recordAtLocked(nb, at)
}

// recordAtLocked has it get one unless its reason is gone by then: what seemed to
// be missing was only late. Caller holds mu.
func (n *Node) recordAtLocked(nb *neighbour, at time.Time) {
	if nb.recordAt.IsZero() || at.Before(nb.recordAt) {
		nb.recordAt = at
		n.wakeLocked(at)
	}
}

// acknowledged notes which packets arrived at the neighbour. loss counts the
// last 32 or so, of which the record covers 33.
func (nb *neighbour) acknowledged(a overlay.Ack) {
	last := nb.number.last.Load()
	lag := uint32(byte(last) - a.Seq)
	if lag > last {
		return // it speaks of another life of this node
	}
	newest := last - lag
	if int32(newest-nb.judged) <= 0 {
		return
	}
	from := nb.judged + 1
	if newest-from > 32 {
		from = newest - 32
	}
	for s := from; s != newest+1; s++ {
		lost := 1.0
		if a.Acked(byte(s)) {
			lost = 0
		}
		nb.loss += (lost - nb.loss) / 32
	}
	nb.judged = newest
}

// dropRate gives the loss in stock's measure: of 15 packets, and none up to 3
// (docs/overlay.md §8.3).
func (nb *neighbour) dropRate() byte {
	if d := math.Round(15 * nb.loss); d > 3 {
		return byte(d)
	}
	return 0
}

// Numbers that come in faster than this are not looked at for duplicates: there
// are only 256 of them, and a burst of losses would be taken for some. Nobody who
// repeats payloads is so fast. Implementation.
const (
	fastNumbers = 128 // in a second
	packetRun   = 4   // so many duplicate packets in a row are none: the sender began anew
	payloadRun  = 16  // and so many payloads; stock may repeat one nine times
)

// A numberWindow finds duplicates among packet or payload numbers.
type numberWindow struct {
	window        overlay.AckWindow
	run           int // duplicates in a row
	second        int64
	count, before int // numbers in this second, and in the one before
}

// receive notes a number. missed is how many were left out before it. After a run
// of duplicates it begins anew.
func (w *numberWindow) receive(seq byte, run int, now time.Time) (missed int, duplicate bool) {
	if s := now.Unix(); s != w.second {
		w.before = 0
		if s == w.second+1 {
			w.before = w.count
		}
		w.second, w.count = s, 0
	}
	w.count++
	missed, ok := w.window.Receive(seq)
	if ok {
		w.run = 0
		return missed, false
	}
	if w.run++; w.run >= run {
		w.window, w.run = overlay.AckWindow{}, 0
		w.window.Receive(seq)
		return 0, false
	}
	return 0, w.count <= fastNumbers && w.before <= fastNumbers
}
