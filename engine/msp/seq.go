package msp

// Seq is a message number: it starts at 0 in each direction, steps by one for
// each message and wraps at 2^16 (§3).
type Seq uint16

// sub returns how far s is ahead of t, as the signed 16-bit difference that
// the protocol compares by; negative if s is behind.
func (s Seq) sub(t Seq) int { return int(int16(s - t)) }

// add returns the number n steps after s.
func (s Seq) add(n int) Seq { return s + Seq(n) }
