package stream

import (
	"encoding/binary"
	"fmt"
	"strings"
)

const (
	// Format is the first byte of a packet: format 1 (§2). In a published packet
	// it would be a bit that nobody sets, and nothing else.
	Format = 0x20

	// HeaderLen is the length of what stands in front of a packet's frames.
	HeaderLen = 5

	// FirstNumber is the number of the first packet of this format. Those below
	// are the messages of an opening in the published format (MSX-1.7).
	FirstNumber = 64
)

// IsPacket reports whether b looks like a packet of this format.
func IsPacket(b []byte) bool { return len(b) > HeaderLen && b[0] == Format }

// appendHeader appends a packet's header.
func appendHeader(b []byte, number uint64) []byte {
	b = append(b, Format)
	return binary.LittleEndian.AppendUint32(b, uint32(number))
}

// parseHeader reads the low bits of the packet's number, and what follows.
func parseHeader(b []byte) (low uint32, frames []byte, ok bool) {
	if len(b) < HeaderLen || b[0] != Format {
		return 0, nil, false
	}
	return binary.LittleEndian.Uint32(b[1:]), b[HeaderLen:], true
}

// nearest returns the number with these low bits that is nearest to want
// (MSX-2.2).
func nearest(want uint64, low uint32) uint64 {
	diff := int64(int32(low - uint32(want)))
	if n := int64(want) + diff; n >= 0 {
		return uint64(n)
	}
	return uint64(int64(want) + diff + 1<<32)
}

// String decodes a packet on one line, for logs and tests.
func String(b []byte) string {
	low, rest, ok := parseHeader(b)
	if !ok {
		return fmt.Sprintf("no packet of format %#x: % x", Format, b[:min(len(b), 8)])
	}
	var s strings.Builder
	fmt.Fprintf(&s, "packet %d:", low)
	r := fieldReader{b: rest}
	for len(r.b) > 0 {
		var f frame
		if err := r.next(&f); err != nil {
			fmt.Fprintf(&s, " (%v)", err)
			break
		}
		if f.kind != framePadding {
			s.WriteString(" " + f.String() + ";")
		}
	}
	return strings.TrimSuffix(s.String(), ";")
}

// Answer appends to dst what acknowledges packet b alone, for who remembers of a
// connection only that it was finished, the largest number it received and the
// number of its next packet (MSX-7.4). It is nil if b does not ask.
func Answer(dst, b []byte, largest, number uint64) []byte {
	low, rest, ok := parseHeader(b)
	if !ok {
		return nil
	}
	asks := false
	r := fieldReader{b: rest}
	for len(r.b) > 0 {
		var f frame
		if r.next(&f) != nil {
			return nil
		}
		asks = asks || f.asks()
	}
	if !asks {
		return nil
	}
	n := nearest(largest+1, low)
	return appendAck(appendHeader(dst, number), rangeSet{{n, n + 1}}, 0, 0, ackLen)
}

// ackLen is room for an ACK of one range.
const ackLen = 1 + 8 + 1 + 1 + 1
