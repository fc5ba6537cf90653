package memnet

import "sync/atomic"

// Stats counts packets, once for each receiver. With what is still
// under way as in flight,
//
//	Sent + Injected + Duplicated =
//		Delivered + Lost + QueueDropped + Overflowed + Unreachable + in flight
type Stats struct {
	Sent         uint64 // written to links; a broadcast once for each link that hears it
	Injected     uint64 // by Inject
	Duplicated   uint64 // second copies made
	Reordered    uint64 // held back by Reorder
	Delivered    uint64 // arrived at a link, for its reader
	Lost         uint64 // by Loss, Burst or SetDrop
	QueueDropped uint64 // by a full queue in front of Rate
	Overflowed   uint64 // at a receiver that did not read
	Unreachable  uint64 // to an address that nobody has, or that is cut off
}

// counters are Stats that count.
type counters struct {
	sent, injected, duplicated, reordered, delivered atomic.Uint64
	lost, queueDropped, overflowed, unreachable      atomic.Uint64
}

// count counts a packet that did not arrive.
func (c *counters) count(f Fate) {
	switch f {
	case Lost:
		c.lost.Add(1)
	case QueueDropped:
		c.queueDropped.Add(1)
	case Overflowed:
		c.overflowed.Add(1)
	case Unreachable:
		c.unreachable.Add(1)
	}
}

// Stats gives the counts so far.
func (n *Network) Stats() Stats {
	c := &n.counters
	return Stats{
		Sent:         c.sent.Load(),
		Injected:     c.injected.Load(),
		Duplicated:   c.duplicated.Load(),
		Reordered:    c.reordered.Load(),
		Delivered:    c.delivered.Load(),
		Lost:         c.lost.Load(),
		QueueDropped: c.queueDropped.Load(),
		Overflowed:   c.overflowed.Load(),
		Unreachable:  c.unreachable.Load(),
	}
}
