package msp

import "mesh.example/msp/engine/stream"

// handOver leaves what c holds of the path to other connections between the same two SIDs, as
// their packets go the same way. Those of another identity of ours may not. c itself is no heir: it
// has ended, or has nothing to send.
func (c *Conn) handOver() {
	c.x.HandOver(func(yield func(*stream.Stream) bool) {
		for _, d := range c.peer.conns {
			if d.x == nil || d.cause != Open || d.local.SID != c.local.SID {
				continue
			}
			c.mux.touch(d) // it may send more now
			if !yield(d.x.Stream) {
				return
			}
		}
	})
}
