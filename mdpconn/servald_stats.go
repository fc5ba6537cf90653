package mdpconn

import "sync/atomic"

// ServaldStats counts what passes between a node and its servald daemon. The
// datagrams themselves are counted with all others.
type ServaldStats struct {
	Connects uint64 `json:"connects"` // times that the daemon was reached: 1, and 1 for each return
	Lost     uint64 `json:"lost"`     // times that it was lost
	Polls    uint64 `json:"polls"`    // questions whether it is still there
	Silent   uint64 `json:"silent"`   // questions of all kinds that it did not answer in time
	Refused  uint64 `json:"refused"`  // datagrams that it refused
	Foreign  uint64 `json:"foreign"`  // datagrams from another address than the daemon's, dropped
	Stray    uint64 `json:"stray"`    // answers that nobody waited for any more, dropped
}

type servaldCounters struct {
	connects, lost, polls, silent, refused, foreign, stray atomic.Uint64
}

func (c *servaldCounters) stats() ServaldStats {
	return ServaldStats{
		Connects: c.connects.Load(),
		Lost:     c.lost.Load(),
		Polls:    c.polls.Load(),
		Silent:   c.silent.Load(),
		Refused:  c.refused.Load(),
		Foreign:  c.foreign.Load(),
		Stray:    c.stray.Load(),
	}
}
