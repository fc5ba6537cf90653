// Package conformance proves from outside, by exported names alone, that the
// packages of this module keep their promises: that mspnet's connections behave
// as package net's do (golang.org/x/net/nettest, net/http, TLS, and a table of
// stream semantics in virtual time), that streams survive hostile links, changed
// addresses and attackers, what idle connections cost, that the manual API does what
// the text that describes the protocol's original says of it, that every numbered
// sentence of docs/protocol.md has a test, and that the recorded sessions of stock
// nodes come to the same end with one of ours in the place of each.
//
// It has no code besides its tests. Its benchmarks print throughput, round
// trips, and memory:
//
//	go test -bench . -run '^$' ./conformance
//
// # Limitations
//
// Another implementation takes part by its record alone (internal/stocktest). In
// all other tests both ends of every connection are ours.
package conformance
