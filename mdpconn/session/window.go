package session

import (
	"fmt"
	"math"
)

// windowSize is how many counters are remembered: the largest received and
// those below it (docs/extension.md MSX-10.5).
const windowSize = 8192

// lowCounter is what packets tell of their counter. Whoever sent half as many packets
// as it counts, 8,388,608, and none of them arrived, is not heard again under the same keys.
const lowCounter = 1<<24 - 1

// maxCounter is refused, so that the one above every counter exists.
const maxCounter = math.MaxUint64

// A Window remembers the counters of the packets received, so that none is
// taken twice. The zero value has received nothing. It is 1 KiB.
type Window struct {
	next uint64 // one above the largest received; 0 while there is none
	seen [windowSize / 64]uint64
}

// Expand gives the counter whose low 24 bits are low and that lies next to the
// largest received; of two at the same distance, the larger (docs/extension.md
// §11). It gives none below 0 or above 2^64-1.
func (w *Window) Expand(low uint32) uint64 {
	var largest uint64
	if w.next > 0 {
		largest = w.next - 1
	}
	const span = lowCounter + 1
	n := largest&^(span-1) | uint64(low)
	switch {
	case n > largest && n-largest > span/2 && n >= span:
		return n - span
	case n < largest && largest-n >= span/2 && n+span > n:
		return n + span
	}
	return n
}

// Fresh reports whether a packet with counter n may be taken: it was not
// received before, and is not so old that this is not known.
func (w *Window) Fresh(n uint64) bool {
	if n >= w.next {
		return n != maxCounter
	}
	return w.next-n <= windowSize && w.seen[n/64%uint64(len(w.seen))]>>(n%64)&1 == 0
}

// Receive notes a packet that has proved authentic, and reports whether it was
// fresh. Only then is it to be used.
func (w *Window) Receive(n uint64) bool {
	if !w.Fresh(n) {
		return false
	}
	if n >= w.next {
		w.forget(n)
		w.next = n + 1
	}
	w.seen[n/64%uint64(len(w.seen))] |= 1 << (n % 64)
	return true
}

// forget makes room for the counters up to n.
func (w *Window) forget(n uint64) {
	if n-w.next >= windowSize {
		clear(w.seen[:])
		return
	}
	for i := w.next; i <= n; i++ {
		if i%64 == 0 && n-i >= 63 {
			w.seen[i/64%uint64(len(w.seen))] = 0
			i += 63
			continue
		}
		w.seen[i/64%uint64(len(w.seen))] &^= 1 << (i % 64)
	}
}

// String gives the largest counter received.
func (w *Window) String() string {
	if w.next == 0 {
		return "window empty"
	}
	return fmt.Sprintf("window to %d", w.next-1)
}
