package stream

// keptItems is for how many items a fifo keeps room that it does not need.
const keptItems = 64

// A fifo is a queue in one slice, which moves up in it rather than growing.
type fifo[T any] struct {
	items []T
	first int // those before are done with, and zero
}

// all returns what is queued, the oldest first. It is good until the next push or
// drop.
func (q *fifo[T]) all() []T { return q.items[q.first:] }

// push adds an item at the end.
func (q *fifo[T]) push(x T) {
	if len(q.items) == cap(q.items) && q.first > len(q.items)/2 { // half, or moving would cost more than growing
		n := copy(q.items, q.items[q.first:])
		clear(q.items[n:])
		q.items, q.first = q.items[:n], 0
	}
	q.items = append(q.items, x)
}

// shrink gives back the room of a queue that is empty.
func (q *fifo[T]) shrink() {
	if len(q.all()) == 0 {
		*q = fifo[T]{}
	}
}

// drop takes the first k items away.
func (q *fifo[T]) drop(k int) {
	clear(q.items[q.first : q.first+k])
	if q.first += k; q.first < len(q.items) {
		return
	}
	if room := cap(q.items); room > keptItems && room > 4*len(q.items) {
		q.items = make([]T, 0, keptItems) // not none: growing again would take many steps
	}
	q.items, q.first = q.items[:0], 0
}
