package msp

import "time"

// Stats counts what a connection has done.
type Stats struct {
	PacketsSent, PacketsReceived   uint64
	MessagesSent, MessagesReceived uint64 // message packets, repetitions included on the sending side
	BytesAcked, BytesReceived      uint64 // of messages: acknowledged by the peer; new from the peer
	Retransmitted                  uint64 // messages sent again
	Timeouts                       uint64 // retransmission timeouts
	Duplicates                     uint64 // messages received again
	Dropped                        uint64 // packets that were ignored: acks of nothing sent, messages out of reach

	RTT      time.Duration // smoothed round trip; zero until measured
	RTTVar   time.Duration // its mean deviation
	Window   int           // messages that may be in flight
	InFlight int           // messages that are
	Queued   int           // messages not yet acknowledged, those in flight included
	Held     int           // messages received that wait for their order or for the reader
	Stalled  bool          // the peer's reader does not read

	// Of an extended connection, where Window, InFlight and Queued are bytes, and
	// Retransmitted packets.
	Extended bool
	Spurious uint64 // packets that were taken for lost and were not
	Marked   uint64 // packets received that a router marked for congestion
	Heeded   uint64 // packets sent that the peer says were marked, as far as that is believed
}

// MuxStats counts what a [Mux] has done and the sizes of its tables.
type MuxStats struct {
	Conns, ConnsLimit           int // connections; opened by peers at most
	Listeners                   int
	Remembered, RememberedLimit int    // closed 4-tuples
	Opened, Accepted            uint64 // connections begun here; begun by peers
	StopsSent                   uint64 // to unknown connections and unbound ports
	StopsSuppressed             uint64 // for the limits of §10
	Malformed                   uint64 // packets of no bytes
	Unknown                     uint64 // packets of unknown connections
	BacklogDrops                uint64 // openings dropped for a full backlog or table
	Filtered                    uint64 // openings refused by a listener's filter
	Probations                  uint64 // openings on a remembered 4-tuple (§9)
	Extended                    uint64 // connections that switched to the extended format
}
