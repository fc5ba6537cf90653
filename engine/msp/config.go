package msp

import "time"

// The published protocol's numbers (docs/protocol.md); a peer may rely on them.
const (
	// MaxMessage is the largest message, in bytes, that is sent (§2). A larger
	// one is taken if it arrives.
	MaxMessage = 1024

	keepAliveInterval = 1500 * time.Millisecond // after the last packet sent (§7)
	idleTimeout       = 10 * time.Second        // after the last packet received (§7)
)

// Choices of this implementation that the wire leaves open.
const (
	initialWindow = 4  // messages in flight before the peer has answered, and the least ever (§4.1)
	maxWindow     = 32 // a stock peer's socket buffer is small and not advertised (§4.1)

	initialTimeout = 200 * time.Millisecond // retransmission, before anything is known of the peer (§4.3)
	minTimeout     = 10 * time.Millisecond
	maxTimeout     = 2 * time.Second

	slowerRepairs  = 3                       // needless retransmissions that tell of a slower path (§4.3)
	fastAcks       = 3                       // unmoved acks that bring a fast retransmission (§4.4)
	stalledAnswers = 3                       // retransmissions in a row that were duplicates: the reader is slow (§4.5)
	stalledProbe   = 1500 * time.Millisecond // between messages to such a peer
	holdMessages   = 64                      // kept for reordering or for the reader (§5.4)
	silenceLimit   = 3 * time.Second         // without a packet: begin to probe (§7)
	silenceProbe   = 500 * time.Millisecond  // between probes (§7)
	probeGap       = time.Second             // ack-only packets closer than this are probes (§5.3)
	keepAliveGroup = 300 * time.Millisecond  // keep-alives to one SID this close go together (§7)
	orphanTimeout  = 60 * time.Second        // closed by us, delivered, and the peer never closes (§8.3)
	orphanStall    = 5 * time.Minute         // closed by us, and the peer's reader takes nothing (§8.3)

	lingerTime    = 10 * time.Second // a finished connection re-acknowledges (§8.2)
	rememberTime  = 60 * time.Second // a closed 4-tuple is known (§9)
	rememberLimit = 4096             // of them, beside those that still linger
	lingerLimit   = 1 << 16          // of them in all

	windowBudget = 256 << 20 // bytes that extended connections may have announced beyond their first windows
)

// Config sets what may differ between users of a [Mux]. The zero value is
// ready for use; it must not be changed afterwards.
type Config struct {
	// SendQueue is the number of messages that a connection queues for
	// sending, those in flight included. If zero, 128.
	SendQueue int
	// MaxConns bounds the connections that peers may open to this node. If
	// zero, 65,536.
	MaxConns int
	// MaxConnsPerSID bounds those of one SID. If zero, 16,384.
	MaxConnsPerSID int
	// Silent leaves openings without a listener unanswered, so that a stranger
	// cannot tell a port in use from one that is not (§10).
	Silent bool
	// Extended lets connections announce and use the extended format
	// (docs/extension.md).
	Extended bool
	// PacketSize tells how long a packet to a peer may be now, in bytes, of
	// extended connections; what is below 1,029 counts as that. It is asked
	// before packets leave. If nil, 1,029.
	PacketSize func(local, remote Addr) int
	// Watched reports whether the layer below watches over a peer, so that idle
	// extended connections to it need not: Doubted or Gone tell when they have to
	// or it is gone. It is asked when one would ask the peer for a sign of life. If
	// nil, it does not.
	Watched func(local, remote Addr) bool
	// Alloc gives a buffer of n bytes for a message, Free takes it back when
	// the machine is done with it. If nil, make, and nothing.
	Alloc func(n int) []byte
	Free  func([]byte)

	initialSeq Seq // for tests of the wrap-around: both directions start here
}

func (c *Config) sendQueue() int {
	if c.SendQueue > 0 {
		return c.SendQueue
	}
	return 128
}

func (c *Config) maxConns() int {
	if c.MaxConns > 0 {
		return c.MaxConns
	}
	return 1 << 16
}

func (c *Config) maxConnsPerSID() int {
	if c.MaxConnsPerSID > 0 {
		return c.MaxConnsPerSID
	}
	return 1 << 14
}

// packetSize is the size of a full packet of the extended format to a peer: what
// fits everywhere (docs/overlay.md §10), if nothing else is known.
func (c *Config) packetSize(local, remote Addr) int {
	const least = HeaderLen + MaxMessage
	if c.PacketSize == nil {
		return least
	}
	return max(c.PacketSize(local, remote), least)
}

func (c *Config) watched(local, remote Addr) bool {
	return c.Watched != nil && c.Watched(local, remote)
}

func (c *Config) alloc(n int) []byte {
	if c.Alloc != nil {
		return c.Alloc(n)
	}
	return make([]byte, n)
}

func (c *Config) free(b []byte) {
	if c.Free != nil && b != nil {
		c.Free(b)
	}
}
