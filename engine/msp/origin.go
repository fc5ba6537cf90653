package msp

// An Origin is what the layer below knows of a packet that arrived. The zero
// value says nothing.
type Origin struct {
	// Early tells that it came before there were session keys
	// (docs/extension.md §10.1).
	Early bool
	// Made is when the peer made it, or that it was not before, by the peer's
	// clock; 0 if that is not known. Only Restarted compares it.
	Made int64
	// Marked tells that a router marked it for congestion (docs/extension.md §4.4).
	Marked bool
}

// noteOrigin notes where a packet came from that the connection has taken, before
// it counts as heard.
func (c *Conn) noteOrigin() {
	o := &c.mux.origin
	switch {
	case !c.heard:
		c.early, c.made = o.Early, o.Made
	case c.early && !o.Early:
		c.early = false
		c.news()
	}
}

// Early reports whether the connection has been heard, and in packets only that
// came before there were session keys. A STOP does not count: a peer sends one
// for a recording of its packets as well.
func (c *Conn) Early() bool { return c.early }

// Restarted ends the connections between two SIDs that began before the peer's
// present life did, which was at boot by its own clock: it knows nothing of them
// (docs/extension.md §14). Those that it has not answered yet go on: its new life
// may answer them.
func (m *Mux) Restarted(local, remote [32]byte, boot int64) {
	p := m.peers.bySID[remote]
	if p == nil {
		return
	}
	for _, c := range p.conns {
		if c.local.SID == local && c.cause == Open && c.made != 0 && c.made < boot {
			c.end(Restarted)
		}
	}
}
