package stream

import "time"

const (
	maxWindow    = 16 << 20              // of one connection, bytes (MSX-5.3)
	quickTrips   = 4                     // half a window that arrives within so many round trips doubles it
	quickArrival = 10 * time.Millisecond // so does one within this time
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
	epoch  uint64 // what had arrived when half a window was begun
	since  time.Time
	budget *Budget
	taken  uint64 // of the budget
}

func newReceiveWindow(size uint64, budget *Budget) receiveWindow {
	return receiveWindow{size: size, limit: size, budget: budget}
}

// arrived notes that the stream has arrived up to next, and held bytes behind gaps.
// The window follows what arrives, not what is read: where packets are lost, a gap
// holds the reader up for a round trip or two, in which the peer wants to go on; where
// they often are, and what is sent again is lost again, for three or four.
func (w *receiveWindow) arrived(now time.Time, next, held uint64, trip time.Duration) {
	if w.since.IsZero() {
		w.since = now
	}
	if next+held < w.epoch+w.size/2 {
		return
	}
	quick := now.Sub(w.since) <= max(quickTrips*trip, quickArrival)
	keepsUp := next < w.read+w.size/2
	if quick && keepsUp && w.size < maxWindow && w.budget.take(w.size) {
		w.taken += w.size
		w.size *= 2
		w.moved()
	}
	w.epoch, w.since = next+held, now
}

// consumed notes that the stream up to read is done with.
func (w *receiveWindow) consumed(read uint64) {
	w.read = max(w.read, read)
	w.moved()
}

// moved has the limit said when it is further by a quarter of the window.
func (w *receiveWindow) moved() { w.due = w.due || w.read+w.size >= w.limit+w.size/4 }

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
