package stream

import "time"

const (
	maxWindow    = 16 << 20              // of one connection, bytes (MSX-5.3)
	quickReading = 10 * time.Millisecond // half a window read in this time, or in two round trips, doubles it
)

// A Budget bounds what all connections of a node may have announced that they
// take, beyond their first windows. The zero value allows none.
type Budget struct {
	Limit uint64 // bytes
	used  uint64
}

// take takes n bytes, if there are so many.
func (b *Budget) take(n uint64) bool {
	if b == nil || b.used+n > b.Limit {
		return false
	}
	b.used += n
	return true
}

// A receiveWindow is how much the peer may send ahead of the reader (§5).
type receiveWindow struct {
	size   uint64
	read   uint64 // bytes of the stream that are done with
	limit  uint64 // announced
	due    bool   // a new limit is to be said
	epoch  uint64 // read, when half a window was begun
	since  time.Time
	budget *Budget
	taken  uint64 // of the budget
}

func newReceiveWindow(size uint64, budget *Budget) receiveWindow {
	return receiveWindow{size: size, limit: size, budget: budget}
}

// consumed notes that the stream up to read is done with.
func (w *receiveWindow) consumed(now time.Time, read uint64, trip time.Duration) {
	if read <= w.read {
		return
	}
	if w.since.IsZero() {
		w.since = now
	}
	w.read = read
	if w.read-w.epoch >= w.size/2 {
		if now.Sub(w.since) <= max(2*trip, quickReading) && w.size < maxWindow && w.budget.take(w.size) {
			w.taken += w.size
			w.size *= 2
		}
		w.epoch, w.since = w.read, now
	}
	if w.read+w.size >= w.limit+w.size/4 {
		w.due = true
	}
}

// exhausted notes that the peer has used up the limit: the next is to be said as
// soon as there is one.
func (w *receiveWindow) exhausted() { w.due = w.due || w.read+w.size > w.limit }

// announce gives the limit to say now.
func (w *receiveWindow) announce() uint64 {
	w.due = false
	w.limit = max(w.limit, w.read+w.size)
	return w.limit
}

// release gives back what was taken of the budget.
func (w *receiveWindow) release() {
	if w.taken > 0 {
		w.budget.used -= w.taken
		w.taken = 0
	}
}
