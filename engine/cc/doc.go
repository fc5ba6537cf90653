// Package cc holds congestion controllers: how much of a connection may be in
// flight, and how fast it leaves (docs/extension.md §8). It is pure: no clock, lock,
// goroutine, socket or random source; the time is passed in. Nothing is allocated
// per packet.
//
// NewBBR makes the default. It models the path by the rate that the bottleneck
// passes and the round trip without a queue, as BBRv3 (draft-ietf-ccwg-bbr) does, and
// keeps about their product in flight. Phases:
//
//	startup ──(the rate stops growing, or a queue stands)──► drain ──(surplus gone)──┐
//	                                                                                 ▼
//	   ┌──(4 rounds, or the surplus stands in the queue)── up ◄──(5-8 rounds)───── cruise
//	   ▼                                                                           ▲ │ ▲
//	  down ──(what is in flight fits the path)─────────────────────────────────────┘ │ │
//	                                                                                 │ │
//	  share ◄──(a queue stands while we cruise, and no rival is known)───────────────┘ │
//	   └──(4 rounds without a queue, or a rival is found)──────────────────────────────┘
//
//	any but startup ──(5 s without seeing the base round trip)──► probe-rtt ──(200 ms)──► back
//
// Four things are ours. Loss is a signal only with a queue: random loss does not slow us,
// and what is lost of a sample is credited to the rate (bbr_loss.go). Where the queue
// shows that others send too, each steers to the same few packets in it, which makes
// the rates equal within some tens of round trips and keeps the queue short for all
// (bbr_share.go). Beside a sender that fills the queue until it overflows, that would
// starve; there we keep to our rate with a window that leaves the other as much
// (bbr_rivals.go). What a connection leaves that has nothing more to send, others between
// the same two nodes take over at once (bbr_handover.go).
//
// NewCubic makes the conventional one, RFC 9438 with HyStart++ (RFC 9406).
//
// A Pacer spreads the packets at the rate a controller gives.
//
// Limitations: a newcomer that never saw the path without a queue takes more than its
// share until somebody's probe of the round trip shows it. A rival that fills the
// queue has the larger part for some seconds, until it is found out. A path that becomes
// longer under way is taken for such a rival's queue for up to 20 s.
package cc
