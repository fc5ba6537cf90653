package mdptest

import (
	"bytes"
	"fmt"
	"net/netip"
)

// A Guard checks all packets that one link sends, in order. The zero Guard is
// one that has seen nothing. It is not safe for concurrent use.
type Guard struct {
	// Open gives the plaintext of an enciphered body, as for CheckPacket. It may
	// be nil.
	Open func(body []byte) (plain []byte, ok bool)

	last []numbered
}

// numbered is the latest packet number of a sender to a destination.
type numbered struct {
	to     netip.AddrPort
	sender []byte // the bytes of its SID that were seen
	seq    byte
}

// Check checks a packet by CheckPacket, and that it does not repeat the number
// of the packet before it to the same destination: stock would take that for a
// jump by 256, and all before for lost (docs/overlay.md §11).
func (g *Guard) Check(to netip.AddrPort, b []byte) error {
	if err := CheckPacket(b, g.Open); err != nil {
		return err
	}
	if ours(b) {
		return nil
	}
	c := cursor{b: b}
	h, _ := c.envelope()
	if h.flags&0x04 == 0 {
		return nil
	}
	sender := h.sender[1:]
	for i := range g.last {
		l := &g.last[i]
		if n := min(len(l.sender), len(sender)); l.to != to || !bytes.Equal(l.sender[:n], sender[:n]) {
			continue
		}
		if l.seq == h.seq {
			return fmt.Errorf("packet number %d to %v repeated: packet %x", h.seq, to, b[:min(len(b), 200)])
		}
		if l.seq = h.seq; len(sender) > len(l.sender) {
			l.sender = bytes.Clone(sender)
		}
		return nil
	}
	g.last = append(g.last, numbered{to, bytes.Clone(sender), h.seq})
	return nil
}
