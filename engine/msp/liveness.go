package msp

import "time"

// The life of extended connections (docs/extension.md §7): when silence asks for
// a PING, when it ends a connection, and what the connections to one SID know of
// the peer by each other.

// How long an idle connection may live on what is heard of others to the same SID:
// a peer that has lost this one only must be found out.
const (
	aloneFor   = 5 * time.Minute
	watchedFor = time.Hour // on what the layer below knows of the peer
)

// heardLife notes that a packet of the connection has arrived: the peer lives.
func (c *Conn) heardLife(now time.Time) {
	c.idle.lastHeard, c.peer.heardAt = now, now
	c.peer.pingedAt, c.peer.doubted = time.Time{}, false
	c.x.pinged, c.x.watched = false, false
	c.x.askedAt = time.Time{}
	c.awaitAnswer(now)
}

// awaitAnswer notes that the peer owes an answer from now on, if it does.
func (c *Conn) awaitAnswer(now time.Time) {
	if c.x.askedAt.IsZero() && c.x.Asking() {
		c.x.askedAt = now
	}
}

// pingIfSilent asks a silent peer for a sign of life, once, or leaves it to the
// layer below.
func (c *Conn) pingIfSilent(now time.Time) {
	doubted := c.peer.doubted
	if c.x.pinged || !doubted && now.Before(c.pingAt()) {
		return
	}
	c.x.Shrink()
	if !doubted && now.Before(c.idle.lastHeard.Add(watchedFor)) && c.mux.cfg.watched(c.local, c.remote) {
		c.x.watched = true
		return
	}
	c.x.pinged = true
	c.x.Ping()
	c.peer.pingedAt = now
}

// extendedDeadAt returns when the connection ends for silence: after 10 s while
// the peer owes an answer, else after what both ends have agreed on (MSX-7.1,
// MSX-7.2). Zero if the layer below sees to it.
func (c *Conn) extendedDeadAt() time.Time {
	if c.x.Asking() && !c.x.askedAt.IsZero() {
		return c.x.askedAt.Add(idleTimeout)
	}
	if c.x.watched {
		return time.Time{}
	}
	return c.aliveAt().Add(c.idleTime())
}

// aliveAt returns when the connection was known to live last: by a packet of its
// own, or, for up to aloneFor after that, by one of any connection to the same
// SID. So a pair of SIDs costs one PING per interval, however many its
// connections are (MSX-7.3).
func (c *Conn) aliveAt() time.Time {
	at := c.peer.heardAt
	if limit := c.idle.lastHeard.Add(aloneFor); at.After(limit) {
		at = limit
	}
	if at.Before(c.idle.lastHeard) {
		return c.idle.lastHeard
	}
	return at
}

func (c *Conn) idleTime() time.Duration {
	return min(extendedParams.IdleTimeout, c.x.Peer().IdleTimeout)
}

// pingAt returns when a peer that is silent is asked for a sign of life: by one
// connection, whose answer the others wait for, unless it is about themselves.
func (c *Conn) pingAt() time.Time {
	if c.x.watched {
		return c.idle.lastHeard.Add(watchedFor)
	}
	at := c.aliveAt().Add(c.idleTime() / 3)
	asked := c.peer.pingedAt
	if asked.IsZero() || c.peer.heardAt.After(c.aliveAt()) {
		return at
	}
	// The others must have time to ask for themselves if that one leaves.
	if wait := asked.Add(min(idleTimeout, c.idleTime()/3)); at.Before(wait) {
		return wait
	}
	return at
}

// doubt has all connections to the SID of one that has failed ask for themselves.
func (p *peer) doubt() {
	if p.doubted { // they were told; many fail at once where a peer is gone
		return
	}
	p.doubted = true
	for _, c := range p.conns {
		if c.x != nil {
			c.mux.touch(c)
		}
	}
}

// Doubted tells that the layer below watches over a peer no longer, or that it was
// silent for a while and may have given connections up: each that was left to that
// layer asks for itself (MSX-14.5).
func (m *Mux) Doubted(now time.Time, local, remote [32]byte) {
	p := m.peers.bySID[remote]
	if p == nil {
		return
	}
	doubt := false
	for _, c := range p.conns {
		if c.local.SID == local && c.x != nil && c.x.watched {
			doubt = true
			c.x.watched = false
			c.idle.lastHeard = now.Add(-c.idleTime() / 3) // so that it is time to ask
		}
	}
	if doubt {
		p.doubt()
	}
}

// Gone ends the connections between two SIDs that were left to the layer below, as
// that finds the peer gone (MSX-14.1). Perhaps it hears us all the same, and has heard us
// all the while: a STOP tells it.
func (m *Mux) Gone(local, remote [32]byte) {
	p := m.peers.bySID[remote]
	if p == nil {
		return
	}
	for _, c := range p.conns {
		if c.local.SID == local && c.x != nil && c.x.watched && c.cause == Open {
			c.stopDue = true
			c.end(TimedOut)
		}
	}
}
