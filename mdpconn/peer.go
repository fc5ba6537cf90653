package mdpconn

import (
	"fmt"
	"time"
)

// Limits of the peer table. Implementation.
const (
	defaultMaxPeers   = 4096 // pairs; about 2 kB each
	strangersPerPeers = 8    // one in so many of them may be unproven
)

// Keys for strangers that send something enciphered: one costs about 100 µs,
// so that a flood of new SIDs takes no more than a fifth of a processor.
// Implementation.
const (
	strangerKeyRate  = 2000 // per second
	strangerKeyBurst = 500
)

// A pair is one own and one other SID.
type pair struct{ local, remote SID }

// A peer is what the node knows about a pair: keys, addresses, and what is
// going on.
type peer struct {
	// Constant.
	pair
	own    *ownIdentity
	key    *[32]byte   // box key of the pair
	mine   nonceTagger // of what the own identity enciphers
	theirs nonceTagger // of what the other one enciphers
	number numbering   // of packets to it, while it is a neighbour

	// Guarded by Node.mu.
	holds      int       // holders; while there are any, the peer stays
	proven     bool      // something authenticated was received
	asked      bool      // Send or Hold named it, so that it is no stranger
	seeks      bool      // it has no address, and was asked for
	neighbour  bool      // it is in the table of neighbours; the peer stays
	list       *peerList // the list it is in; nil if held or not in the table
	prev, next *peer     // in list, towards its front and back
	inTable    bool
	activeAt   int // 1 + index in Node.active; 0: not there
	path       path
	relay      relayed
	hello      helloing
	size       pathSize
	watch      watch
	ecn        pathECN
	able       bool // it has had session keys with this node
	keyed      bool // it had them when a datagram was sent to it last
}

// newPeer computes the keys of a pair, which takes about 100 µs. It fails if the
// SID is one to refuse.
func newPeer(own *ownIdentity, remote SID) (*peer, error) {
	key, err := own.SharedKey(remote)
	if err != nil {
		return nil, err
	}
	p := &peer{pair: pair{own.sid, remote}, own: own, key: key}
	p.mine = newNonceTagger(key, own.sid)
	p.theirs = newNonceTagger(key, remote)
	p.path = newPath(lessSID(own.sid, remote))
	p.hello = newHelloing()
	return p, nil
}

// lessSID orders SIDs, the same way at both ends.
func lessSID(a, b SID) bool { return string(a[:]) < string(b[:]) }

// wanted reports whether somebody here wants to reach the peer now.
func (p *peer) wanted(now time.Time) bool {
	return p.asksFor(now) || p.neighbour
}

// asksFor reports whether datagrams are to reach the peer now.
func (p *peer) asksFor(now time.Time) bool {
	return p.holds > 0 || now.Before(p.path.wantedUntil)
}

// A peerList is a list of peers, the one used last first, and its limit.
type peerList struct {
	front, back *peer
	n, limit    int
}

func (l *peerList) len() int { return l.n }

func (l *peerList) pushFront(p *peer) {
	p.list, p.prev, p.next = l, nil, l.front
	if l.front != nil {
		l.front.prev = p
	} else {
		l.back = p
	}
	l.front = p
	l.n++
}

func (l *peerList) remove(p *peer) {
	if p.prev != nil {
		p.prev.next = p.next
	} else {
		l.front = p.next
	}
	if p.next != nil {
		p.next.prev = p.prev
	} else {
		l.back = p.prev
	}
	p.list, p.prev, p.next = nil, nil, nil
	l.n--
}

// A peerTable is the peers of a node: those of live connections, which stay;
// those that are proven or that somebody here named, at most known.limit; and
// strangers, at most strangers.limit. Of the last two those used longest ago
// make room. Guarded by Node.mu.
type peerTable struct {
	all              map[pair]*peer
	known, strangers peerList
	held             int
	remotes          directory
}

func (t *peerTable) init(limit int) {
	t.all = make(map[pair]*peer)
	t.known.limit = limit
	t.strangers.limit = max(1, limit/strangersPerPeers)
	t.remotes.init()
}

// touch notes that the peer is of use, and puts it where it belongs. It gives a
// peer that had to make room, or nil.
func (t *peerTable) touch(p *peer) (evicted *peer) {
	if !p.inTable {
		t.all[p.pair] = p
		t.remotes.add(p.remote)
		p.inTable = true
	}
	var want *peerList
	switch {
	case p.holds > 0 || p.neighbour:
	case p.proven || p.asked:
		want = &t.known
	default:
		want = &t.strangers
	}
	if p.list != nil {
		if p.list == want && want.front == p {
			return nil
		}
		p.list.remove(p)
	}
	if want == nil {
		return nil
	}
	want.pushFront(p)
	if want.n <= want.limit {
		return nil
	}
	evicted = want.back
	t.remove(evicted)
	return evicted
}

func (t *peerTable) remove(p *peer) {
	if p.list != nil {
		p.list.remove(p)
	}
	delete(t.all, p.pair)
	t.remotes.remove(p.remote)
	p.inTable = false
}

// touchLocked puts the peer where it belongs in the table. Caller holds mu.
func (n *Node) touchLocked(p *peer) {
	if old := n.peers.touch(p); old != nil {
		n.dropWaitingLocked(old)
		n.inactiveLocked(old)
		n.foundLocked(old)
	}
}

// peerFor gives the peer that somebody here wants to reach, computing its keys
// if need be, with mu held, also if there is an error.
func (n *Node) peerForAndLock(own *ownIdentity, remote SID) (*peer, error) {
	n.mu.Lock()
	p := n.peers.all[pair{own.sid, remote}]
	if p == nil {
		n.mu.Unlock()
		fresh, err := newPeer(own, remote)
		n.mu.Lock()
		if err != nil {
			return nil, err
		}
		if p = n.peers.all[fresh.pair]; p == nil {
			p = fresh
			n.addHintsLocked(p, time.Now())
		}
	}
	p.asked = true
	n.touchLocked(p)
	return p, nil
}

// strangerAndLock gives the peer that sent something enciphered, or nil if its
// keys may not be computed now, with mu held.
func (n *Node) strangerAndLock(own *ownIdentity, remote SID, now time.Time) *peer {
	n.mu.Lock()
	p := n.peers.all[pair{own.sid, remote}]
	if p != nil {
		n.touchLocked(p)
		return p
	}
	if !n.keyRate.take(now) {
		n.count.dropped.keyLimit.Add(1)
		return nil
	}
	n.mu.Unlock()
	fresh, err := newPeer(own, remote)
	n.mu.Lock()
	if err != nil {
		n.count.dropped.badSID.Add(1)
		return nil
	}
	if p = n.peers.all[fresh.pair]; p == nil {
		p = fresh
		n.addHintsLocked(p, now)
	}
	n.touchLocked(p)
	return p
}

// Hold keeps the keys and the endpoint of a pair from making room for others, the
// node looking for a way to the remote SID as long as it knows none, and watching
// over the peer if it can (Watches), until release is called. There may be several
// holders. local is an identity of the node, or Primary. It fails for a remote SID
// that does not pass SID.Check or is the node's own, which needs no holding.
//
// A daemon does that by itself: for a node at one Hold only checks remote.
func (n *Node) Hold(local, remote SID) (release func(), err error) {
	return n.carrier.hold(local, remote)
}

func (n *Node) holdOverlay(local, remote SID) (release func(), err error) {
	set := n.own.Load()
	own := set.find(local)
	if own == nil {
		return nil, fmt.Errorf("mdpconn: SID %v is no identity of this node", local)
	}
	if err := remote.Check(); err != nil {
		return nil, err
	}
	if set.bySID[remote] != nil {
		return func() {}, nil
	}
	p, err := n.peerForAndLock(own, remote)
	if err != nil {
		n.mu.Unlock()
		return nil, err
	}
	n.holdLocked(p)
	n.mu.Unlock()
	kept := n.sessions.hold(pair{own.sid, remote})
	return func() {
		if n.release(&p) && kept {
			n.sessions.unhold(pair{own.sid, remote})
		}
	}, nil
}

// holdLocked holds a peer once more. Caller holds mu.
func (n *Node) holdLocked(p *peer) {
	if p.holds++; p.holds == 1 {
		n.peers.held++
		n.touchLocked(p)
		p.path.beginSearch(time.Now(), holdDelay)
		n.activateLocked(p)
	}
}

// release ends one hold, the first time it is called with this pointer, and
// reports whether it was that.
func (n *Node) release(held **peer) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := *held
	if p == nil {
		return false
	}
	*held = nil
	if p.holds--; p.holds == 0 {
		n.peers.held--
		n.unwatchLocked(p)
		n.touchLocked(p)
	}
	return true
}
