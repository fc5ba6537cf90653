// Package session holds what two nodes of this project need to talk under
// session keys: the key agreement, the keys, and the packets sealed with them
// (docs/extension.md §9 to §12, which the comments here cite by section, or by
// the ids of its sentences, MSX-…). It is for package mdpconn; an application
// has no use for it.
//
// # Nouns
//
// A [Hello] is an offer or an answer. An [Offer] is one of our own that waits
// for its answer. Offer and answer make a [Session] at both sides: two keys, one
// for each direction, in its [Keys]; a counter; a [Window] of what was received.
// A [Table] finds sessions by the id at which they receive, and keeps for each
// [Pair] the current one, one that is pending and an old one. A [Strikes]
// remembers what came before there was a session.
//
// # Way of a packet
//
// To send, get counters from [Session.Reserve], write [HeadSize] bytes of room
// and the plaintext, and have [Keys.Seal] seal it where it lies. To receive,
// [ParseHead], [Table.Lookup], [Session.Expand], [Keys.Open], and if that
// succeeds [Table.Accept], which alone tells whether the packet is to be used.
//
// # Concurrency
//
// The package has no clock, lock, goroutine or socket: time and randomness are
// arguments, and the caller guards Table, Session and Strikes. [Keys] never
// changes and may be used by several goroutines at once, each with a [Scratch]
// of its own, so that the work of sealing and opening needs no lock.
//
// # Limitations
//
// Shared secrets and keys of the key agreement are overwritten when it is over.
// Go's ciphers, hashes and X25519 keep ephemeral keys and copies where this
// package cannot overwrite them: they are let go of, and gone when their memory
// has been used for something else.
package session
