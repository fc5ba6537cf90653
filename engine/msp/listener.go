package msp

import (
	"time"

	"mesh.example/msp/engine/cc"
)

// A Listener takes the connections that peers open to one address (§6.2).
type Listener struct {
	User any // the driver's

	// Backlog bounds the connections that peers have opened and Accept has not
	// been called for. When it is full openings are dropped in silence, so
	// that a retry succeeds.
	Backlog int
	// Allow, if set, is asked for each opening; false refuses it with STOP. It
	// must not call the Mux.
	Allow func(remote Addr) bool
	// Published leaves its connections in the published format.
	Published bool
	// Congestion is how those of the extended format avoid congestion.
	Congestion cc.Algorithm

	mux     *Mux
	addr    Addr
	waiting int
	ghosts  int // connections on probation
}

// Listen creates a listener for a port of one identity, or of all with
// [AllSIDs]; the one for the single identity comes first. It fails with
// [ErrInUse] if there is one for the address.
func (m *Mux) Listen(addr Addr, backlog int) (*Listener, error) {
	if m.listeners[addr] != nil {
		return nil, ErrInUse
	}
	l := &Listener{mux: m, addr: addr, Backlog: backlog}
	m.listeners[addr] = l
	return l, nil
}

// Addr returns the address that the listener was made for.
func (l *Listener) Addr() Addr { return l.addr }

// Close stops listening. Connections that Accept was called for live on; those
// that wait are stopped.
func (l *Listener) Close() {
	m := l.mux
	if m.listeners[l.addr] != l {
		return
	}
	delete(m.listeners, l.addr)
	for _, c := range m.conns {
		if c.listener == l && !c.accepted {
			c.Stop()
		}
	}
}

func (m *Mux) listener(local Addr) *Listener {
	if l := m.listeners[local]; l != nil {
		return l
	}
	return m.listeners[Addr{AllSIDs, local.Port}]
}

// open creates the connection that a peer's first packet asks for. On a 4-tuple
// that was closed a moment ago it begins on probation (§9).
func (m *Mux) open(now time.Time, l *Listener, t tuple, p Packet) {
	ghost := m.closed.get(now, t) != nil
	switch {
	case l.Allow != nil && !l.Allow(t.remote):
		m.stats.Filtered++
		m.stop(now, t)
		return
	case !ghost && l.waiting >= l.Backlog, ghost && l.ghosts >= l.Backlog,
		m.byPeers >= m.cfg.maxConns(), m.peers.conns(t.remote) >= m.cfg.maxConnsPerSID():
		m.stats.BacklogDrops++
		return
	}
	c := m.newConn(now, t)
	c.listener, c.congestion = l, l.Congestion
	c.probation = ghost
	m.byPeers++
	if ghost {
		m.stats.Probations++
		l.ghosts++
	} else {
		m.stats.Accepted++
		l.waiting++
		c.news()
	}
	c.ackWanted = true // "answered at once, with 00 ffff if there is nothing to acknowledge yet" (§6.2)
	c.ackNow = ghost
	if m.cfg.Extended && !l.Published && p.Flags&FlagExtended != 0 {
		c.extend(now, 0)
		if ghost {
			c.x.HoldAcks()
		}
	}
	c.receive(now, p)
}

// inputProbation handles packets of a 4-tuple on which both a new connection
// and the remains of the last one may live. Only a peer that has heard us leaves
// FIRST away, and as we have sent no message yet it has nothing to acknowledge:
// that proves that the new connection is alive (§9).
func (m *Mux) inputProbation(now time.Time, c *Conn, b []byte, p Packet) {
	r := m.closed.get(now, tuple{c.local, c.remote})
	switch {
	case p.Flags&(FlagAck|FlagStop) == FlagAck, r.wrote(b):
		m.reacknowledge(now, r, b, p)
		return
	case p.Flags&(FlagFirst|FlagStop) == 0:
		if c.x != nil || !m.endProbation(c) {
			return
		}
		c.settle()
	case p.Kind != KindFlags:
		c.ackNow = true // a repeated opening: our answer may be lost
	}
	c.receive(now, p)
}

// endProbation lets a connection whose peer has proven that it lives join the
// backlog. It reports false if that is full: the packet is to be repeated, as
// every opening that finds it so.
func (m *Mux) endProbation(c *Conn) bool {
	if c.listener.waiting >= c.listener.Backlog {
		m.stats.BacklogDrops++
		return false
	}
	c.probation = false
	c.listener.ghosts--
	c.listener.waiting++
	m.stats.Accepted++
	m.closed.forget(tuple{c.local, c.remote})
	if c.x != nil {
		c.x.ReleaseAcks()
	}
	c.news()
	return true
}

// Accept takes the connection out of its listener's backlog, where it counts
// also after its end. It does nothing on one that was dialled or accepted
// already.
func (c *Conn) Accept() {
	if c.listener == nil || c.accepted {
		return
	}
	c.accepted = true
	if c.probation {
		c.listener.ghosts--
	} else {
		c.listener.waiting--
	}
}
