package mdpconn

import (
	"container/heap"
	"time"

	"mesh.example/msp/mdpconn/session"
)

// Watching over peers to which there are connections (docs/extension.md §14).
// Specification.
const (
	watchTries = 3                // pings without an answer, and another way is looked for
	watchAgain = time.Second      // between them; and by so much later the greater SID asks
	goneAfter  = 30 * time.Second // of silence
	goneMargin = 20 * time.Second // and at least so much more than the interval
)

// A WatchHandler is a Handler that is told what becomes of the peers that the node
// watches over, so that those above it need not: one ping and pong per interval
// show that a peer is there, however many connections there are to it.
//
// The methods are called once for each handler of a bound socket, on a goroutine
// of the node. They must not block. local is an identity of this node.
type WatchHandler interface {
	Handler
	// HandleDoubt tells that the peer may have given up connections, or that the
	// node cannot watch over it any more: each has to see to itself. It may be
	// watched over again later.
	HandleDoubt(local, remote SID)
	// HandleGone tells that the peer was silent for so long that it is gone.
	HandleGone(local, remote SID)
}

// Watches reports whether the node watches over a peer now: it asks for a sign of
// life when there is none, and tells the WatchHandlers what comes of it. It does so
// while the peer is held (Hold), there are session keys with it, and it is reached
// directly. local is an identity of this node, or Primary.
func (n *Node) Watches(local, remote SID) bool {
	if n.sessions == nil {
		return false
	}
	own := n.own.Load().find(local)
	if own == nil {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.peers.all[pair{own.sid, remote}]
	return p != nil && p.watch.on()
}

// A watch is how the node watches over a peer. Guarded by Node.mu.
type watch struct {
	interval time.Duration // of silence before a ping
	heard    time.Time     // when a packet under session keys came last
	pings    int           // since then
	due      time.Time     // when to look at it
	at       int           // 1 + index in Node.watches; 0: the node does not watch
}

func (w *watch) on() bool { return w.at != 0 }

// gone is the silence after which one more ping has to be answered.
func (w *watch) gone() time.Duration { return max(goneAfter, w.interval+goneMargin) }

// patience is the silence before the first ping. Both ends have heard each other
// at the same time, and one ping is enough.
func (p *peer) patience() time.Duration {
	if lessSID(p.remote, p.local) {
		return p.watch.interval + watchAgain
	}
	return p.watch.interval
}

// watches are the peers that are watched over, by when they are due. What is heard
// moves none of them: those that were are put off when they fall due.
type watches []*peer

func (h watches) Len() int           { return len(h) }
func (h watches) Less(i, j int) bool { return h[i].watch.due.Before(h[j].watch.due) }
func (h watches) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].watch.at, h[j].watch.at = i+1, j+1
}

// Push implements [heap.Interface].
func (h *watches) Push(x any) {
	p := x.(*peer)
	*h = append(*h, p)
	p.watch.at = len(*h)
}

// Pop implements [heap.Interface].
func (h *watches) Pop() any {
	old := *h
	p := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	p.watch.at = 0
	return p
}

// signOfLifeLocked notes a packet under the keys of a session, and begins to watch
// over its peer if that is possible. Caller holds mu.
func (n *Node) signOfLifeLocked(p *peer, s *session.Session, now time.Time) {
	w := &p.watch
	w.heard, w.interval = now, 0
	if s.SendCompact() > 0 {
		w.interval = s.Liveness()
	}
	if w.on() || w.interval == 0 || p.holds == 0 || p.path.searching() || n.isClosedLocked() {
		return
	}
	w.pings, w.due = 0, now.Add(p.patience())
	heap.Push(&n.watches, p)
	n.wakeLocked(w.due)
}

// unwatchLocked ends it. Caller holds mu.
func (n *Node) unwatchLocked(p *peer) {
	if p.watch.on() {
		heap.Remove(&n.watches, p.watch.at-1)
	}
}

// collectWatchesLocked puts what is due into w, and tells when something is due
// next. Caller holds mu.
func (n *Node) collectWatchesLocked(now time.Time, w *work) (next time.Time) {
	for len(n.watches) > 0 {
		p := n.watches[0]
		if p.watch.due.After(now) {
			return p.watch.due
		}
		n.lookAfterLocked(p, now, w)
	}
	return time.Time{}
}

// lookAfterLocked does what is due for a peer. Caller holds mu.
func (n *Node) lookAfterLocked(p *peer, now time.Time, w *work) {
	wt, path := &p.watch, &p.path
	silence := now.Sub(wt.heard)
	switch {
	case wt.interval == 0, !path.known: // there is another session, which cannot, or the link has gone
		n.unwatchLocked(p)
		w.doubts = append(w.doubts, p.pair)
		return
	case silence < p.patience():
		if wt.pings > watchTries {
			w.doubts = append(w.doubts, p.pair)
		}
		wt.pings, wt.due = 0, wt.heard.Add(p.patience())
	case silence >= wt.gone()+watchAgain && wt.pings > 0: // else the host stood still meanwhile
		n.unwatchLocked(p)
		w.gone = append(w.gone, p.pair)
		return
	case path.searching() && n.viaLocked(p, now) != nil: // there pings do not go
		n.unwatchLocked(p)
		w.doubts = append(w.doubts, p.pair)
		return
	default:
		if wt.pings == watchTries && !path.silent {
			path.fallSilent(now)
			n.activateLocked(p)
		}
		wt.pings++
		w.pings = append(w.pings, pingWork{p, path.current.endpoint})
		wt.due = now.Add(watchAgain)
	}
	heap.Fix(&n.watches, wt.at-1)
}

// A pingWork is a ping that is due.
type pingWork struct {
	peer *peer
	to   endpoint
}

// ping asks a peer for a sign of life, in a packet of its own. Any packet under
// session keys is one, so that the pong needs not be told from others.
func (n *Node) ping(p *peer, to endpoint, now time.Time) {
	st := n.sessions.standing(p.pair, now)
	n.mu.Lock()
	if st.compact == 0 { // the session has ended
		n.unwatchLocked(p)
		n.mu.Unlock()
		n.tellDoubt(p.pair)
		return
	}
	greets := n.greetsLocked(p, st, now)
	n.mu.Unlock()
	targets := []target{{endpoint: to}}
	c := n.compactor(p.pair, smallCompact)
	defer c.free()
	c.begin()
	c.item(session.AppendPing(nil, [session.TokenSize]byte{}))
	if greets {
		if hello := n.offer(p, now); hello != nil {
			c.add(portHello, portHello, hello, NotECT, targets, now)
		}
	}
	c.flush(targets, now)
	n.count.sessions.pings.Add(1)
}

func (n *Node) tellDoubt(p pair) {
	for _, h := range handlersOf[WatchHandler](n, p.local) {
		h.HandleDoubt(p.local, p.remote)
	}
}

func (n *Node) tellGone(p pair) {
	n.count.sessions.gone.Add(1)
	n.log.Info("mdp peer gone", "local", p.local, "peer", p.remote)
	for _, h := range handlersOf[WatchHandler](n, p.local) {
		h.HandleGone(p.local, p.remote)
	}
}
