package overlay

import (
	"fmt"
	"math/bits"
)

// An Ack acknowledges packet numbers (docs/overlay.md §8.3): Seq, the highest
// received, and for each bit k of Mask the number Seq-1-k, modulo 256.
type Ack struct {
	Seq  byte
	Mask uint32
}

// Acked tells if packet number seq is acknowledged.
func (a Ack) Acked(seq byte) bool {
	d := a.Seq - seq
	return d == 0 || d <= 32 && a.Mask>>(d-1)&1 != 0
}

// DropRate gives what stock concludes from the mask: of the last 15 packets
// how many are missing, 0 if no more than 3. A young link looks bad.
func (a Ack) DropRate() byte {
	missing := byte(15 - bits.OnesCount32(a.Mask&0x7fff))
	if missing <= 3 {
		return 0
	}
	return missing
}

// String gives number and mask.
func (a Ack) String() string { return fmt.Sprintf("ack %d/%08x", a.Seq, a.Mask) }

// windowLen is how many numbers below the highest are remembered.
const windowLen = 64

// An AckWindow remembers which of the last 65 numbers, modulo 256, were
// received. One per incoming link tells duplicate packets and yields the Ack
// (docs/overlay.md §8.3); one per neighbour tells duplicate payload numbers
// (§8.7). The zero value has received nothing.
//
// In one point it is better than stock, which takes a repetition of the highest
// packet number for a jump of 256 (§11): here it is a duplicate.
type AckWindow struct {
	started bool
	highest byte
	mask    uint64 // bit k: highest-1-k was received
}

// Receive notes a number. It returns ok = false for a duplicate, which is
// noted already. missed is how many numbers were jumped over to get to this
// one: 0 in order, and for one that is late.
func (w *AckWindow) Receive(seq byte) (missed int, ok bool) {
	if !w.started {
		*w = AckWindow{started: true, highest: seq}
		return 0, true
	}
	if seq == w.highest {
		return 0, false
	}
	if d := w.highest - 1 - seq; d < windowLen {
		bit := uint64(1) << d
		ok = w.mask&bit == 0
		w.mask |= bit
		return 0, ok
	}
	missed = int(seq-w.highest) - 1
	w.mask = (w.mask<<1 | 1) << missed
	w.highest = seq
	return missed, true
}

// Ack gives what goes into a link record. ok is false while nothing was
// received.
func (w *AckWindow) Ack() (a Ack, ok bool) {
	return Ack{Seq: w.highest, Mask: uint32(w.mask)}, w.started
}

// String gives the window on one line.
func (w AckWindow) String() string {
	if !w.started {
		return "window empty"
	}
	return fmt.Sprintf("window %d/%016x", w.highest, w.mask)
}
