package mdpconn

import "time"

// holdDelay is how long a node that begins to hold a peer waits for a datagram
// to it, with which the first challenge or question can go. Implementation.
const holdDelay = 10 * time.Millisecond

// work is what the maintenance goroutine found to do.
type work struct {
	flushes    []*flush
	challenges []challengeWork
	asks       []*peer
	pings      []pingWork
	doubts     []pair
	gone       []pair
	tick       bool
	listen     bool // open the sockets for broadcasts
	beacon     bool // a tick of the primary identity only
	fresh      []*neighbour
	records    []meshPacket
}

// A flush is datagrams that waited for an address, which their peer has now.
type flush struct {
	peer    *peer
	box     *outbox
	hop     *hop // nil: none
	waiting []waitingDatagram
}

type challengeWork struct {
	peer *peer
	target
}

// maintain is the maintenance goroutine. It does what nobody's packet or call
// causes: questions and challenges that are repeated, ticks, datagrams whose
// time is over. It has a timer only while something is due.
func (n *Node) maintain() {
	defer n.running.Done()
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	var w work
	for {
		now := time.Now()
		keys := n.sessions.advance(now)
		n.mu.Lock()
		if n.isClosedLocked() {
			n.mu.Unlock()
			return
		}
		next := earlier(n.collectLocked(now, &w), keys)
		n.nextWake = next
		n.mu.Unlock()
		n.perform(&w, now)
		var due <-chan time.Time
		if !next.IsZero() {
			timer.Reset(time.Until(next))
			due = timer.C
		}
		select {
		case <-due:
		case <-n.wake:
		case <-n.done:
			return
		}
		timer.Stop()
	}
}

// wakeLocked makes the maintenance goroutine look at what is due by the given
// time at the latest. Caller holds mu.
func (n *Node) wakeLocked(at time.Time) {
	if !n.nextWake.IsZero() && !at.Before(n.nextWake) {
		return
	}
	n.nextWake = at
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// activateLocked has the maintenance goroutine look after a peer if something
// is due for it, now or later. Caller holds mu.
func (n *Node) activateLocked(p *peer) {
	now := time.Now()
	n.seeksLocked(p, now)
	next := n.nextLocked(p, now)
	if next.IsZero() || !p.inTable || n.isClosedLocked() {
		return
	}
	if p.activeAt == 0 {
		n.active = append(n.active, p)
		p.activeAt = len(n.active)
	}
	n.wakeLocked(next)
}

// inactiveLocked ends that. Caller holds mu.
func (n *Node) inactiveLocked(p *peer) {
	if p.activeAt == 0 {
		return
	}
	last := n.active[len(n.active)-1]
	n.active[p.activeAt-1] = last
	last.activeAt = p.activeAt
	n.active[len(n.active)-1] = nil
	n.active = n.active[:len(n.active)-1]
	p.activeAt = 0
}

// earlier gives the earlier of two times, of which a zero one is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// nextLocked tells when something is due for a peer; zero if never. Caller
// holds mu.
func (n *Node) nextLocked(p *peer, now time.Time) (next time.Time) {
	path := &p.path
	if len(path.waiting) > 0 {
		switch next = path.waiting[0].until; {
		case !n.reachableLocked(p, now):
		case n.awaitsKeysLocked(p):
			next = earlier(next, p.hello.at)
		default:
			next = now
		}
	}
	if !p.wanted(now) {
		return next
	}
	if path.searching() {
		next = earlier(next, path.askAt)
	}
	if path.silent {
		next = earlier(next, path.current.challengeAt)
	}
	for i := range path.candidates {
		if c := &path.candidates[i]; path.mustProve(c) {
			at := c.challengeAt
			if at.IsZero() {
				at = now
			}
			next = earlier(next, at)
		}
	}
	return next
}

// collectLocked puts what is due into w, and tells when something is due next.
// Caller holds mu.
func (n *Node) collectLocked(now time.Time, w *work) (next time.Time) {
	*w = work{
		flushes: w.flushes[:0], challenges: w.challenges[:0], asks: w.asks[:0], records: w.records[:0],
		pings: w.pings[:0], doubts: w.doubts[:0], gone: w.gone[:0],
	}
	next = n.collectMeshLocked(now, w)
	next = earlier(next, n.collectWatchesLocked(now, w))
	for i := 0; i < len(n.active); {
		p := n.active[i]
		n.collectPeerLocked(p, now, w)
		at := n.nextLocked(p, now)
		if at.IsZero() {
			n.inactiveLocked(p) // another one is at i now
			continue
		}
		next = earlier(next, at)
		i++
	}
	w.listen = n.wantsBroadcastsLocked(now, len(w.asks) > 0)
	w.tick = n.beacon.due(now)
	return earlier(next, n.beacon.next)
}

// collectPeerLocked does it for one peer. Caller holds mu.
func (n *Node) collectPeerLocked(p *peer, now time.Time, w *work) {
	path := &p.path
	for len(path.waiting) > 0 && !now.Before(path.waiting[0].until) {
		n.dropOldestLocked(p)
	}
	if len(path.waiting) > 0 && n.awaitsKeysLocked(p) {
		if n.reachableLocked(p, now) && !now.Before(p.hello.at) {
			o := n.outbox(p.own, p) // a hello goes out, and what waits waits on
			n.routeLocked(p, now, 1, o)
			w.flushes = append(w.flushes, &flush{p, o, n.hopLocked(p, o, now), nil})
		}
	} else if len(path.waiting) > 0 && n.reachableLocked(p, now) {
		o := n.outbox(p.own, p)
		n.routeLocked(p, now, len(path.waiting), o)
		w.flushes = append(w.flushes, &flush{p, o, n.hopLocked(p, o, now), path.waiting})
		n.waiting -= len(path.waiting)
		path.waiting = nil
	}
	if !p.wanted(now) {
		return
	}
	if path.searching() && !path.askAt.IsZero() && !now.Before(path.askAt) {
		if path.askAt = now.Add(askMost); n.asksLocked(p, now) {
			w.asks = append(w.asks, p)
			path.asks++
			path.askAt = now.Add(askAgain(path.asks))
		}
	}
	if path.silent {
		n.collectChallengeLocked(p, &path.current, now, w)
	}
	for i := 0; i < len(path.candidates); {
		c := &path.candidates[i]
		if path.mustProve(c) && c.tries >= maxChallenges && c.class != hinted && !now.Before(c.challengeAt) {
			path.removeCandidate(c) // the next one is at i now
			continue
		}
		if path.mustProve(c) {
			n.collectChallengeLocked(p, c, now, w)
		}
		i++
	}
}

func (n *Node) collectChallengeLocked(p *peer, c *candidate, now time.Time, w *work) {
	if now.Before(c.challengeAt) || !p.path.takeChallenge(now, c) {
		return
	}
	w.challenges = append(w.challenges, challengeWork{p, target{c.endpoint, n.stampLocked(now)}})
}

// perform does the work, with no lock held.
func (n *Node) perform(w *work, now time.Time) {
	if w.listen {
		n.listenBroadcasts()
	}
	for _, f := range w.flushes {
		n.sendWaiting(f, now)
	}
	for _, c := range w.challenges {
		o := n.outbox(c.peer.own, c.peer)
		o.targets = append(o.targets, c.target)
		o.flush(now)
		o.free()
	}
	for _, p := range w.asks {
		n.ask(p)
	}
	if w.tick {
		n.tick(n.tickLinks(now))
	} else if w.beacon {
		n.count.discovery.ticksSent.Add(1)
		n.broadcast(n.own.Load().order[0], 0, nil, n.tickLinks(now))
	}
	for _, nb := range w.fresh {
		n.introduce(nb, now)
	}
	n.sendRecords(w.records)
	for _, p := range w.pings {
		n.ping(p.peer, p.to, now)
	}
	for _, p := range w.doubts {
		n.tellDoubt(p)
	}
	for _, p := range w.gone {
		n.tellGone(p)
	}
}

// sendWaiting sends datagrams that have waited, and frees them and their outbox.
func (n *Node) sendWaiting(f *flush, now time.Time) {
	p, o := f.peer, f.box
	defer o.free()
	st := n.sessions.standing(p.pair, now)
	n.mu.Lock()
	w := n.wayLocked(p, o, st, f.hop, nil, now)
	n.mu.Unlock()
	var batch []Datagram
	for i := range f.waiting {
		switch {
		case w.waits:
			n.count.dropped.noRoute.Add(1)
		case len(o.targets) == 0 && f.hop == nil:
			n.count.dropped.budget.Add(1)
		default:
			batch = append(batch, f.waiting[i].Datagram)
		}
	}
	hello := n.helloOf(p, w, now)
	if f.hop != nil {
		n.sendVia(p, f.hop, w.relayed, batch, hello, now)
	} else {
		n.count.sent.datagrams.Add(uint64(len(batch)))
	}
	if len(o.targets) > 0 {
		n.transmit(p, o, w, batch, hello, now)
	}
	for i := range f.waiting {
		f.waiting[i].Release()
	}
}
