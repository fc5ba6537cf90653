package msp

import (
	"time"

	"mesh.example/msp/engine/stream"
)

// idlePeerLimit bounds the SIDs without a connection of which something learned
// is kept.
const idlePeerLimit = 1024

// A peer is a remote SID: what its connections share.
type peer struct {
	sid   [32]byte
	conns []*Conn
	rtt   rttState // what a new connection starts from (§4.3)
	path  stream.Path

	heardAt  time.Time // a packet of any extended connection
	pingedAt time.Time // one of them asked for a sign of life, and none came yet; zero: it is not so
	doubted  bool      // one of them failed, and none has heard anything since
}

type peerTable struct {
	bySID map[[32]byte]*peer
	idle  []*peer // without connections, longest first; may hold some that are busy again
}

func newPeerTable() peerTable { return peerTable{bySID: make(map[[32]byte]*peer)} }

// join adds c to its remote SID's peer.
func (t *peerTable) join(c *Conn) *peer {
	p := t.bySID[c.remote.SID]
	if p == nil {
		p = &peer{sid: c.remote.SID}
		t.bySID[p.sid] = p
	}
	c.inPeer = len(p.conns)
	p.conns = append(p.conns, c)
	return p
}

// leave takes c out again.
func (t *peerTable) leave(c *Conn) {
	p, last := c.peer, len(c.peer.conns)-1
	p.conns[c.inPeer] = p.conns[last]
	p.conns[c.inPeer].inPeer = c.inPeer
	p.conns[last] = nil
	p.conns = p.conns[:last]
	if last > 0 {
		return
	}
	p.conns = nil
	t.idle = append(t.idle, p)
	for len(t.idle) > idlePeerLimit {
		if old := t.idle[0]; len(old.conns) == 0 && t.bySID[old.sid] == old {
			delete(t.bySID, old.sid)
		}
		t.idle = t.idle[1:]
	}
}

// conns returns how many connections there are to a's SID.
func (t *peerTable) conns(a Addr) int {
	if p := t.bySID[a.SID]; p != nil {
		return len(p.conns)
	}
	return 0
}
