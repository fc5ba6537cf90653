// Package stream is one connection in the extended format of docs/extension.md
// (§2 to §8), as a pure state machine: packets, messages and the time go in,
// packets, parts of messages and the next deadline come out. It knows nothing of
// addresses, of how the connection was opened, or of the published format; that
// is package msp's, which switches to a [Stream] when the peer reads it.
//
// Each direction is a stream of bytes, in which every message stands behind its
// length. Packets are numbered, acknowledged by ranges, and never sent again:
// what was in a lost one goes in a new one. Buffers and windows count bytes.
//
// There is no goroutine, lock, clock, randomness or socket.
package stream
