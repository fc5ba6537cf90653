package cc

import "time"

// A Controller decides how much of a connection may be in flight, and how fast
// it leaves. All sizes are bytes on the wire. Times passed in must not go back; one
// that does counts as the latest seen. A Controller belongs to one connection
// and is not safe for concurrent use; it keeps no reference to a Packet.
type Controller interface {
	// Sent notes that a packet of n bytes leaves at now, with inFlight bytes
	// (without it) in flight, and fills in p.
	Sent(now time.Time, p *Packet, n, inFlight int)
	// Acked notes that p was acknowledged. It is called for each packet that an
	// ACK acknowledges, in order of sending; then EndAck once.
	Acked(now time.Time, p *Packet)
	// Lost notes that p is taken for lost. Losses that an ACK brings to light
	// are noted between its Acked and its EndAck.
	Lost(now time.Time, p *Packet)
	// Spurious notes that p, which was taken for lost, arrived after all: it
	// counts as delivered, and what was done for its loss is undone. It takes
	// the place of Acked for this packet.
	Spurious(now time.Time, p *Packet)
	// Marked notes that the peer reports n more packets that were marked by ECN.
	Marked(now time.Time, n int)
	// EndAck ends the handling of one ACK. rtt is the round trip it measured
	// (0: none), with the peer's delay taken off; inFlight the bytes in flight after it.
	EndAck(now time.Time, rtt time.Duration, inFlight int)
	// AppLimited notes that there was room in the window, with inFlight bytes
	// in flight, and nothing to send.
	AppLimited(now time.Time, inFlight int)
	// SetPacketSize tells the size of full packets from now on. The size
	// given to the constructor holds until then. Less than 1 counts as 1.
	SetPacketSize(n int)
	// Window is the most bytes to have in flight, at least two full packets.
	Window() int
	// Rate is the bytes per second at which packets are to leave (see Pacer);
	// 0 means at once.
	Rate() float64
	// Held is the rate in bytes per second that the connection holds of a path that
	// is used up: 0 unless the path, and not the application, has limited it for a while.
	Held() float64
	// Take raises the rate by what a connection on the same path, between the
	// same two nodes, has yielded.
	Take(rate float64)
	// Yield gives up what is Held, and returns it. The connection begins anew, as
	// if nothing had been sent; nothing of it is in flight, or it sends no more.
	Yield() float64
	// String is the state in one line, for logs and tests.
	String() string
}

// The window to begin with: 10 packets before anything is known (RFC 6928), more
// where the round trip is short, as such paths carry more, and no more bytes if
// packets are large, save two of them (RFC 9002 §7.2).
const (
	initialPackets = 10
	quickPackets   = 32
	quickRTT       = 200 * time.Millisecond
	ordinaryPacket = 1472 // bytes
)

// initialWindow is that window in bytes. rtt is 0 while it is not known.
func initialWindow(packet int, rtt time.Duration) int {
	n := initialPackets
	if rtt > 0 && rtt <= quickRTT {
		n = quickPackets
	}
	return min(n*packet, max(n*ordinaryPacket, 2*packet))
}
