// Package msp is the Mesh Streaming Protocol as a pure state machine: packets,
// application calls and the current time go in; packets to send, events and
// the next deadline come out.
//
// It has no goroutine, lock, clock, randomness or socket of its own, and it
// imports nothing of the packages around it. A [Mux] holds the connections of
// one MDP node; it is driven by one caller at a time:
//
//	m.Input(now, local, remote, packet)   // for each datagram that arrived
//	conn.Send(message), conn.Consume(n)…  // what the application wants
//	m.Advance(now)                        // when m.NextTimeout() is due
//	m.Poll(now, emit)                     // afterwards: packets that are due
//	for c := m.NextEvent(); c != nil; …   // connections with news
//
// Package engine exports it twice: as the manual API of the protocol's original
// and, driven by a goroutine, as connections with blocking calls.
//
// The rules implemented are numbered in docs/protocol.md; comments cite them
// as §n.
//
// A connection begins in the published format: messages of up to 1,024 bytes,
// cumulative acknowledgements of 16 bits, no window but a withheld
// acknowledgement. If both ends announce that they read the extended format
// (docs/extension.md), it goes on in that, as a stream of package stream.
package msp
