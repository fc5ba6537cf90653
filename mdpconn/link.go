package mdpconn

import "net/netip"

// A Packet is one overlay packet on its way through a Link: the payload of one
// UDP datagram.
type Packet struct {
	// Addr is where the packet goes to when writing, where it came from when
	// reading.
	Addr netip.AddrPort

	// Data is the whole packet.
	Data []byte

	// ECN is the codepoint in the packet's IP header. A link that does not know of
	// them reads NotECT, and writes as if that were said. If it does, it should have
	// a method ECN() bool that says so, as otherwise none is used.
	ECN ECN
}

// A Link carries overlay packets between this node and its neighbours. It does
// not look into them. UDP sockets are links, and so are the attachments of
// package memnet.
//
// All methods may be called concurrently; a node has one reader per link.
type Link interface {
	// ReadPackets blocks until there is a packet, and reads as many as are
	// there, len(ps) at most. It writes into ps[i].Data[:cap(ps[i].Data)],
	// re-slices ps[i].Data to what it wrote, sets ps[i].Addr to the source, and
	// ps[i].ECN.
	// The memory stays the caller's. A packet longer than the room for it is
	// dropped or cut. After Close the error is net.ErrClosed (errors.Is); any
	// other error is passing, and n is then 0.
	ReadPackets(ps []Packet) (n int, err error)

	// WritePackets sends the packets in order. It does not keep Data. It may
	// block for a short time, as a UDP socket does. It returns how many were
	// accepted, and the error that stopped it if those are not all of them. A
	// packet that was accepted may still be lost.
	WritePackets(ps []Packet) (n int, err error)

	// LocalAddr is the address others see, as far as the link knows it. It may
	// change over time.
	LocalAddr() netip.AddrPort

	// Broadcasts gives the destinations that reach every neighbour in hearing:
	// those of announcements. They may change over time; none means that the
	// link cannot broadcast. The slice is the caller's.
	Broadcasts() []netip.AddrPort

	// Close ends the link: it unblocks ReadPackets and waits for goroutines of
	// the link's own, if any. A second Close is harmless.
	Close() error
}
