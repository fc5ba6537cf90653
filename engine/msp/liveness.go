package msp

import "time"

// The life of extended connections (docs/extension.md §7): when silence asks for
// a PING, when it ends a connection, and what the connections to one SID know of
// the peer by each other.

// aloneFor is how long an idle connection may live on what is heard of others to
// the same SID: a peer that has lost this one only must be found out.
const aloneFor = 5 * time.Minute

// heardLife notes that a packet of the connection has arrived: the peer lives.
func (c *Conn) heardLife(now time.Time) {
	c.idle.lastHeard, c.peer.heardAt = now, now
	c.peer.pingedAt, c.peer.doubted = time.Time{}, false
	c.x.pinged = false
	c.x.askedAt = time.Time{}
	c.awaitAnswer(now)
}

// awaitAnswer notes that the peer owes an answer from now on, if it does.
func (c *Conn) awaitAnswer(now time.Time) {
	if c.x.askedAt.IsZero() && c.x.Asking() {
		c.x.askedAt = now
	}
}

// pingIfSilent asks a silent peer for a sign of life, once.
func (c *Conn) pingIfSilent(now time.Time) {
	if !c.x.pinged && (c.peer.doubted || !now.Before(c.pingAt())) {
		c.x.pinged = true
		c.x.Ping()
		c.peer.pingedAt = now
	}
}

// extendedDeadAt returns when the connection ends for silence: after 10 s while
// the peer owes an answer, else after what both ends have agreed on (MSX-7.1,
// MSX-7.2).
func (c *Conn) extendedDeadAt() time.Time {
	if c.x.Asking() && !c.x.askedAt.IsZero() {
		return c.x.askedAt.Add(idleTimeout)
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
