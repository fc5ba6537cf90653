package mdpconn

import "time"

// Times of link state. Specification: docs/overlay.md §2.1, §8.4 to §8.6.
const (
	recordEvery  = 500 * time.Millisecond  // link records to each neighbour
	advertEvery  = 5 * time.Second         // all advertisements, changed or not
	reachableFor = 2500 * time.Millisecond // a neighbour, or a link record, is good for so long
	ackSoon      = 20 * time.Millisecond   // a record after a payload that is repeated until acknowledged
	ackPackets   = 16                      // packets after which a record goes at once
)

// Implementation.
const (
	changeSoon = 15 * time.Millisecond // from a change to the records that tell it
	changeGap  = 50 * time.Millisecond // between two such rounds
	changeRuns = 3                     // rounds in which a change is told, as any may be lost
	advertFor  = 16 * time.Second      // an advertisement that is not repeated is forgotten
	neededFor  = 10 * time.Second      // after a datagram without a direct address, routes are looked for
)

// A mesh is what a node knows of others than its own peers: neighbours, the
// links these tell of, and the routes that follow (docs/overlay.md §8). Guarded
// by Node.mu.
type mesh struct {
	neighbours map[SID]*neighbour
	unproven   int          // neighbours whose address is not proven yet
	fresh      []*neighbour // those whose keys are still to be computed
	met        bucket       // new neighbours
	links      int          // advertisements kept, of all neighbours

	routes  map[SID]route
	adverts map[SID]*advert
	order   []*advert // adverts, the near ones first
	stale   bool      // routes are to be computed again

	greet       bool      // the first neighbour is proven: others are to hear of this node soon
	roundAt     time.Time // next round of records; zero: no neighbours
	soonAt      time.Time // an earlier one, because something changed; zero: none
	toldAt      time.Time // the last round
	allAt       time.Time // when all advertisements are due again
	seekers     int       // peers that are asked for and have no direct address
	neededUntil time.Time // until then, if nothing else is heard of them

	questions bucket // please-explains sent because of unknown SIDs
	floods    floodTable
	limits    relayLimits
}

func (m *mesh) init(c *Config) {
	m.neighbours = make(map[SID]*neighbour)
	m.routes = make(map[SID]route)
	m.adverts = make(map[SID]*advert)
	m.met = newBucket(meetRate, meetBurst)
	m.questions = newBucket(questionRate, questionBurst)
	m.floods.init()
	m.limits.init(c)
}

// relays reports whether the node forwards for others.
func (n *Node) relays() bool {
	return n.config.Relay == RelayOn && n.config.Announce != AnnounceNever
}

// isOpenLocked reports whether the node makes itself known to whoever is near: it
// announces itself, or relays for a neighbour. Caller holds mu.
func (n *Node) isOpenLocked() bool {
	return n.isAnnouncingLocked() || n.relays() && len(n.mesh.neighbours) > 0
}

// welcomesLocked reports whether a node that is heard is to be a neighbour. Nodes
// that announce themselves or relay have everybody; others who they talk to, and
// everybody while they look for a peer whom they do not reach directly. Caller
// holds mu.
func (n *Node) welcomesLocked(sid SID, now time.Time) bool {
	m := &n.mesh
	if n.relays() || n.isAnnouncingLocked() || m.seekers > 0 && now.Before(m.neededUntil) {
		return true
	}
	p := n.peers.all[pair{n.own.Load().order[0].sid, sid}]
	return p != nil && p.holds > 0
}

// seeksLocked notes whether a peer is looked for. Caller holds mu.
func (n *Node) seeksLocked(p *peer, now time.Time) {
	if !p.path.searching() || !p.inTable {
		n.foundLocked(p)
		return
	}
	if !p.asksFor(now) {
		return // neededUntil will do
	}
	n.mesh.neededUntil = now.Add(neededFor)
	if !p.seeks {
		p.seeks = true
		if n.mesh.seekers++; n.restingLocked() {
			n.tellSoonLocked(now)
		}
	}
}

func (n *Node) foundLocked(p *peer) {
	if p.seeks {
		p.seeks = false
		n.mesh.seekers--
	}
}

// changedLocked has the maintenance goroutine compute the routes again, and tell
// the neighbours soon. Caller holds mu.
func (n *Node) changedLocked(now time.Time) {
	m := &n.mesh
	m.stale = true
	n.tellSoonLocked(now)
}

// tellSoonLocked has the neighbours told soon, but not too often. Caller holds
// mu.
func (n *Node) tellSoonLocked(now time.Time) {
	m := &n.mesh
	if m.soonAt.IsZero() {
		m.soonAt = now.Add(changeSoon)
		if at := m.toldAt.Add(changeGap); m.soonAt.Before(at) {
			m.soonAt = at
		}
		n.wakeLocked(m.soonAt)
	}
}

// collectMeshLocked puts what is due for the mesh into w, and tells when
// something is due next; zero if never. Caller holds mu.
func (n *Node) collectMeshLocked(now time.Time, w *work) (next time.Time) {
	m := &n.mesh
	w.fresh, m.fresh = m.fresh, nil
	if len(m.neighbours) == 0 {
		n.meshEndedLocked()
		return time.Time{}
	}
	round := m.roundAt.IsZero() || !now.Before(m.roundAt)
	soon := !m.soonAt.IsZero() && !now.Before(m.soonAt)
	if round {
		m.roundAt = now.Add(recordEvery)
		n.expireLocked(now)
	}
	if round || soon && m.greet {
		m.greet = false
		w.beacon = n.relays() && !n.isAnnouncingLocked() && len(m.neighbours) > m.unproven && !n.restingLocked()
	}
	if m.stale && (round || soon) {
		m.stale = false
		n.routesChangedLocked(now)
	}
	if round || soon {
		n.collectRoundLocked(now, w)
	} else {
		n.collectAcksLocked(now, w)
	}
	switch resting := n.restingLocked(); {
	case round && resting:
		m.roundAt = now.Add(restRound)
	case !resting && m.roundAt.After(now.Add(recordEvery)):
		m.roundAt = now.Add(recordEvery)
	}
	next = earlier(m.roundAt, m.soonAt)
	for _, nb := range m.neighbours {
		n.collectTailLocked(nb, now, w)
		next = earlier(earlier(next, nb.recordAt), nb.tailAt)
	}
	return next
}

// meshEndedLocked empties what is left when there are no neighbours any more, so
// that nothing is due. Caller holds mu.
func (n *Node) meshEndedLocked() {
	m := &n.mesh
	m.roundAt, m.soonAt, m.allAt, m.stale = time.Time{}, time.Time{}, time.Time{}, false
	clear(m.routes)
	clear(m.adverts)
	m.order = m.order[:0]
}

// collectRoundLocked collects records for all neighbours. Caller holds mu.
func (n *Node) collectRoundLocked(now time.Time, w *work) {
	m := &n.mesh
	m.toldAt, m.soonAt = now, time.Time{}
	all := !now.Before(m.allAt)
	if all {
		m.allAt = now.Add(advertEvery)
	}
	for _, nb := range m.neighbours {
		if !nb.proven() || !nb.isDue(now) || n.restsLocked(nb, now) {
			continue
		}
		whole := all || nb.news > 0 || nb.timing().slow()
		n.recordsLocked(nb, now, w, func(a *advert) bool { return whole || a.news > 0 })
		nb.news = max(nb.news-1, 0)
	}
	m.told()
}

// collectAcksLocked collects link records for the neighbours that wait for an
// acknowledgement. Caller holds mu.
func (n *Node) collectAcksLocked(now time.Time, w *work) {
	for _, nb := range n.mesh.neighbours {
		if nb.recordAt.IsZero() || now.Before(nb.recordAt) {
			continue
		}
		nb.recordAt = time.Time{}
		if nb.proven() && (nb.owed || nb.holes > 0) {
			n.recordsLocked(nb, now, w, func(*advert) bool { return false })
		}
	}
}
