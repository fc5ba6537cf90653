package stream

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// frameType is the first byte of a frame (docs/extension.md §2.1).
type frameType byte

const (
	framePadding frameType = 0x00
	framePing    frameType = 0x01
	frameAck     frameType = 0x02
	frameAckCE   frameType = 0x03
	frameData    frameType = 0x04 // to 0x07, and 0x0c to 0x0f, with the bits that follow
	frameMaxData frameType = 0x08
	frameParams  frameType = 0x09
	frameAckRate frameType = 0x0a

	dataToEnd = 0x01 // no length: the bytes go to the end of the packet
	dataFin   = 0x02 // the direction ends behind the bytes
	dataFar   = 0x08 // the offset has farLen bytes, where a varint would have eight

	firstSkipped frameType = 0x20 // from here on a length follows, so that unknown ones can be skipped
)

// farLen is the length of an offset from farOffsets on, to farEnd. Each packet of a long
// transfer has one.
const (
	farLen     = 5
	farOffsets = 1 << 30
	farEnd     = 1 << (8 * farLen)
)

// isFar reports whether an offset is written with dataFar.
func isFar(offset uint64) bool { return offset >= farOffsets && offset < farEnd }

// offsetLen returns the length of an offset in DATA. It does not shrink as offsets
// grow.
func offsetLen(offset uint64) int {
	if isFar(offset) {
		return farLen
	}
	return varintLen(offset)
}

// ackRanges is the most ranges of an ACK that are sent, and taken (MSX-2.7).
const ackRanges = 64

var (
	errCut    = errors.New("stream: frame cut short")
	errFrame  = errors.New("stream: unknown frame")
	errRange  = errors.New("stream: ACK range below zero")
	errOffset = errors.New("stream: data beyond 2^62")
	errEmpty  = errors.New("stream: DATA without bytes and FIN")
)

// A frame is one frame of a packet, decoded. Which fields count its type tells.
type frame struct {
	kind frameType

	offset uint64 // DATA
	data   []byte // DATA; aliases the packet
	fin    bool   // DATA

	limit   uint64        // MAX_DATA
	params  []byte        // PARAMS; aliases the packet
	packets uint64        // ACK_RATE
	delay   time.Duration // ACK_RATE, ACK
	largest uint64        // ACK
	ranges  rangesField   // ACK
	marked  uint64        // ACK_CE
}

// asks reports whether the frame asks for an acknowledgement.
func (f *frame) asks() bool {
	return f.kind != framePadding && f.kind != frameAck && f.kind != frameAckCE && f.kind < firstSkipped
}

// A rangesField is the ranges of an ACK, as they are on the wire: checked, and
// read when they are used.
type rangesField struct {
	largest uint64
	count   uint64
	b       []byte
}

// each calls f for each range, the newest first; end is included in none.
func (r rangesField) each(f func(start, end uint64)) {
	b := r.b
	next := func() uint64 {
		v, n := parseVarint(b)
		b = b[n:]
		return v
	}
	end := r.largest + 1
	start := end - 1 - next()
	f(start, end)
	for range r.count {
		end = start - next() - 1
		start = end - 1 - next()
		f(start, end)
	}
}

// A fieldReader takes the fields of a packet from its front.
type fieldReader struct {
	b   []byte
	cut bool
}

func (r *fieldReader) varint() uint64 {
	v, n := parseVarint(r.b)
	if n == 0 {
		r.cut = true
		r.b = nil
	}
	r.b = r.b[n:]
	return v
}

func (r *fieldReader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.cut = true
		r.b = nil
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *fieldReader) micros() time.Duration {
	return time.Duration(min(r.varint(), maxMicros)) * time.Microsecond
}

// maxMicros bounds delays that are read: a minute.
const maxMicros = 60_000_000

// next reads the next frame. It fails for what cannot be read on (MSX-2.4).
func (r *fieldReader) next(f *frame) error {
	*f = frame{kind: frameType(r.b[0])}
	r.b = r.b[1:]
	switch {
	case f.kind == framePadding, f.kind == framePing:
	case f.kind == frameAck, f.kind == frameAckCE:
		return r.ack(f)
	case f.kind&^(dataToEnd|dataFin|dataFar) == frameData:
		return r.dataFrame(f)
	case f.kind == frameMaxData:
		f.limit = r.varint()
	case f.kind == frameParams:
		f.params = r.bytes(r.varint())
	case f.kind == frameAckRate:
		f.packets = r.varint()
		f.delay = r.micros()
	case f.kind >= firstSkipped:
		r.bytes(r.varint())
	default:
		return fmt.Errorf("%w %#x", errFrame, byte(f.kind))
	}
	if r.cut {
		return errCut
	}
	return nil
}

func (r *fieldReader) dataFrame(f *frame) error {
	f.fin = f.kind&dataFin != 0
	if f.kind&dataFar == 0 {
		f.offset = r.varint()
	} else {
		for _, c := range r.bytes(farLen) {
			f.offset = f.offset<<8 | uint64(c)
		}
	}
	n := uint64(len(r.b))
	if f.kind&dataToEnd == 0 {
		n = r.varint()
	}
	f.data = r.bytes(n)
	f.kind = frameData
	switch {
	case r.cut:
		return errCut
	case f.offset+n > maxVarint:
		return errOffset
	case n == 0 && !f.fin:
		return errEmpty
	}
	return nil
}

func (r *fieldReader) ack(f *frame) error {
	f.largest = r.varint()
	f.delay = r.micros()
	f.ranges = rangesField{largest: f.largest, count: r.varint()}
	start := r.b
	low := f.largest // the start of the range before
	if first := r.varint(); first > low {
		return errRange
	} else {
		low -= first
	}
	for i := uint64(0); i < f.ranges.count && !r.cut; i++ {
		gap, length := r.varint(), r.varint()
		if gap > low || gap+length+2 > low { // one number at least is left out
			return errRange
		}
		low -= gap + length + 2
	}
	if r.cut {
		return errCut
	}
	f.ranges.b = start[:len(start)-len(r.b)]
	if f.kind == frameAckCE {
		if f.marked = r.varint(); r.cut {
			return errCut
		}
	}
	f.kind = frameAck
	return nil
}

// appendDataHead appends what stands in front of the bytes of a DATA frame, without
// their length.
func appendDataHead(b []byte, kind frameType, offset uint64) []byte {
	if !isFar(offset) {
		return appendVarint(append(b, byte(kind)), offset)
	}
	return append(b, byte(kind|dataFar),
		byte(offset>>32), byte(offset>>24), byte(offset>>16), byte(offset>>8), byte(offset))
}

// appendAck appends an ACK of what is in received, the newest ranges that fit
// into room bytes, or an ACK_CE if packets were marked. It appends nothing if not
// even one range fits.
func appendAck(b []byte, received rangeSet, delay time.Duration, marked uint64, room int) []byte {
	newest := received[len(received)-1]
	us := uint64(delay / time.Microsecond)
	kind := frameAck
	if marked > 0 {
		kind = frameAckCE
		room -= varintLen(marked)
	}
	const countLen = 1 // ackRanges fits into one byte
	size := 1 + varintLen(newest.end-1) + varintLen(us) + countLen + varintLen(newest.size()-1)
	if size > room {
		return b
	}
	further := 0
	for i := len(received) - 2; i >= 0 && further < ackRanges-1; i-- {
		n := varintLen(received[i+1].start-received[i].end-1) + varintLen(received[i].size()-1)
		if size+n > room {
			break
		}
		size += n
		further++
	}
	b = append(b, byte(kind))
	b = appendVarint(b, newest.end-1)
	b = appendVarint(b, us)
	b = append(b, byte(further))
	b = appendVarint(b, newest.size()-1)
	for i := len(received) - 2; i >= len(received)-1-further; i-- {
		b = appendVarint(b, received[i+1].start-received[i].end-1)
		b = appendVarint(b, received[i].size()-1)
	}
	if marked > 0 {
		b = appendVarint(b, marked)
	}
	return b
}

// String decodes a frame for logs and tests.
func (f *frame) String() string {
	switch f.kind {
	case framePadding:
		return "PADDING"
	case framePing:
		return "PING"
	case frameAck:
		var s strings.Builder
		fmt.Fprintf(&s, "ACK")
		f.ranges.each(func(start, end uint64) {
			fmt.Fprintf(&s, " %d", end-1)
			if start != end-1 {
				fmt.Fprintf(&s, "-%d", start)
			}
		})
		fmt.Fprintf(&s, " delay=%v", f.delay)
		if f.marked > 0 {
			fmt.Fprintf(&s, " ce=%d", f.marked)
		}
		return s.String()
	case frameData:
		s := fmt.Sprintf("DATA %d+%d", f.offset, len(f.data))
		if f.fin {
			s += " FIN"
		}
		return s
	case frameMaxData:
		return fmt.Sprintf("MAX_DATA %d", f.limit)
	case frameParams:
		return "PARAMS " + parseParams(f.params).String()
	case frameAckRate:
		return fmt.Sprintf("ACK_RATE packets=%d delay=%v", f.packets, f.delay)
	}
	return fmt.Sprintf("frame %#x", byte(f.kind))
}
