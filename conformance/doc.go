// Package conformance proves from outside, by exported names alone, that the
// packages of this module keep their promises: that mspnet's connections behave
// as package net's do (golang.org/x/net/nettest, net/http, TLS, and a table of
// stream semantics in virtual time), that streams survive hostile links, changed
// addresses and attackers, what idle connections cost, that the manual API does what
// the text that describes the protocol's original says of it, and that every
// numbered sentence of docs/protocol.md has a test.
//
// It has no code besides its tests. Its benchmarks print throughput, round
// trips, and memory:
//
//	go test -bench . -run '^$' ./conformance
//
// # Limitations
//
// Whether another implementation understands this one is not tested here: both
// ends of every connection are ours.
package conformance
