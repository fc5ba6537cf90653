package stream

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"
)

// packets are written by hand from docs/extension.md §2, and what they say.
var packets = []struct{ hex, text string }{
	{"2040000000 01", "packet 64: PING"},
	{"2041000000 02 4040 00 00 00", "packet 65: ACK 64 delay=0s"},
	{"2042000000 02 4049 4064 01 02 01 03", "packet 66: ACK 73-71 68-65 delay=100µs"},
	{"2043000000 03 05 00 00 05 07", "packet 67: ACK 5-0 delay=0s ce=7"},
	{"2044000000 04 00 03 026869", "packet 68: DATA 0+3"},
	{"2045000000 05 4123 026869", "packet 69: DATA 291+3"},
	{"2046000000 06 03 00", "packet 70: DATA 3+0 FIN"},
	{"204b000000 0c 0040000000 03 026869", "packet 75: DATA 1073741824+3"},
	{"204c000000 0f ffffffffff 026869", "packet 76: DATA 1099511627775+3 FIN"},
	{"2047000000 08 80040000 0a 08 4e20", "packet 71: MAX_DATA 262144; ACK_RATE packets=8 delay=3.616ms"},
	{"2048000000 09 0e 01 04 80010000 02 02 7fff 03 02 4fa0", "packet 72: PARAMS message=65536 data=65536 idle=4s ackdelay=25ms"},
	{"2049000000 00 00 01 00", "packet 73: PING"},
	{"204a000000 21 03 aabbcc 01", "packet 74: frame 0x21; PING"},
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPackets: [MSX-2.1], [MSX-2.5] every frame as it is written in the text.
func TestPackets(t *testing.T) {
	for _, p := range packets {
		if got := String(unhex(t, p.hex)); got != p.text {
			t.Errorf("%s: %s, want %s", p.hex, got, p.text)
		}
	}
}

// TestTruncated: [MSX-2.4] a frame that is cut short is an error, wherever it is
// cut. A type alone is a frame already; DATA to the end of the packet has no cut.
func TestTruncated(t *testing.T) {
	for _, frame := range []string{
		"02 4040 00 00 00", "02 4049 4064 01 02 01 03", "03 05 00 00 05 07", "04 00 03 026869", "06 03 00", "0c 0040000000 03 026869",
		"08 80040000", "0a 08 4e20", "09 05 01 03 800400", "21 03 aabbcc",
	} {
		b := unhex(t, frame)
		for n := 1; n < len(b); n++ {
			if err := parseOne(b[:n]); !errors.Is(err, errCut) && !errors.Is(err, errRange) {
				t.Errorf("% x, cut from % x: %v", b[:n], b, err)
			}
		}
		if err := parseOne(b); err != nil {
			t.Errorf("% x: %v", b, err)
		}
	}
}

func parseOne(b []byte) error {
	r := fieldReader{b: b}
	var f frame
	return r.next(&f)
}

// TestMalformed: [MSX-2.5], [MSX-2.6].
func TestMalformed(t *testing.T) {
	for _, c := range []struct {
		hex string
		err error
	}{
		{"0b", errFrame},
		{"1f", errFrame},
		{"02 05 00 00 06", errRange},       // the first range begins below 0
		{"02 05 00 01 00 05 00", errRange}, // so does the second
		{"02 05 00 01 00 03 01", errRange}, // or ends there
		{"02 05 00 3f 00", errCut},         // ranges that are not there
		{"04 ffffffffffffffff 01 00", errOffset},
		{"04 05 00", errEmpty}, // no bytes, no FIN
		{"05 05", errEmpty},
		{"21", errCut},
		{"21 05 00", errCut},
		{"09 05 01", errCut},
	} {
		if err := parseOne(unhex(t, c.hex)); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.hex, err, c.err)
		}
	}
}

// TestAppendAck: [MSX-2.7] the newest ranges that fit, read as they were written,
// and the count of marks.
func TestAppendAck(t *testing.T) {
	var set rangeSet
	for i := range uint64(100) {
		set.add(10*i, 10*i+1+i%7)
	}
	for i := range 800 {
		room, marked := i/2, uint64(i%2*70)
		b := appendAck(nil, set, 77*time.Microsecond, marked, room)
		if len(b) > room {
			t.Fatalf("%d bytes in a room of %d", len(b), room)
		}
		if len(b) == 0 {
			if room > 12 {
				t.Fatalf("nothing in a room of %d", room)
			}
			continue
		}
		r := fieldReader{b: b}
		var f frame
		if err := r.next(&f); err != nil || len(r.b) != 0 || f.delay != 77*time.Microsecond || f.marked != marked {
			t.Fatalf("%x: %v, %d left, %v, %d marked", b, err, len(r.b), f.delay, f.marked)
		}
		i := len(set) - 1
		f.ranges.each(func(start, end uint64) {
			if set[i] != (span{start, end}) {
				t.Fatalf("room %d: range %d-%d, want %v", room, start, end, set[i])
			}
			i--
		})
		if n := len(set) - 1 - i; n > ackRanges {
			t.Fatalf("%d ranges", n)
		}
	}
}

// TestFarOffsets: DATA is read as it was written wherever it stands in the stream, and its
// head is as long as is reckoned with.
func TestFarOffsets(t *testing.T) {
	longest := 0
	for _, c := range []struct {
		offset uint64
		bytes  int // of it
	}{
		{0, 1}, {63, 1}, {64, 2}, {1<<14 - 1, 2}, {1 << 14, 4}, {1<<30 - 1, 4}, {1 << 30, 5}, {1<<32 + 7, 5},
		{1<<40 - 1, 5}, {1 << 40, 8}, {maxVarint - 2, 8},
	} {
		for kind := frameData; kind <= frameData|dataToEnd|dataFin; kind++ {
			b := appendDataHead(nil, kind, c.offset)
			if n := offsetLen(c.offset); n != c.bytes || len(b) != 1+n || n < longest {
				t.Fatalf("offset %d: %d bytes in %x, want %d", c.offset, n, b, c.bytes)
			}
			longest = c.bytes
			if kind&dataToEnd == 0 {
				b = append(b, 2)
			}
			r := fieldReader{b: append(b, "hi"...)}
			var f frame
			if err := r.next(&f); err != nil || f.kind != frameData || f.offset != c.offset || string(f.data) != "hi" || f.fin != (kind&dataFin != 0) {
				t.Errorf("%x: %v, %v", b, &f, err)
			}
		}
	}
}

// TestParams: [MSX-2.8] unknown ids are skipped, values out of range pulled in.
func TestParams(t *testing.T) {
	p := Params{MaxMessage: 70_000, MaxData: 1 << 33, IdleTimeout: time.Minute, AckDelay: 7 * time.Millisecond}
	if got := parseParams(p.append([]byte{0x3f, 0x02, 0xab, 0xcd})); got != p {
		t.Errorf("%v, want %v", got, p)
	}
	low := Params{MaxMessage: 1, MaxData: 1, IdleTimeout: time.Millisecond, AckDelay: 0}
	if got, want := parseParams(low.append(nil)), (Params{1024, 65_536, 2 * time.Second, 0}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	high := Params{1 << 40, maxVarint, 24 * time.Hour, time.Hour}
	if got, want := parseParams(high.append(nil)), (Params{1 << 20, maxVarint, 10 * time.Minute, time.Second}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	for _, bad := range []string{"", "01", "0104", "010480", "01018000", "01ffffffffffffffff"} {
		if got := parseParams(unhex(t, bad)); got != unannounced {
			t.Errorf("%s: %v, want what holds without", bad, got)
		}
	}
}

// TestNearest: [MSX-2.2] the number nearest to the one that is expected.
func TestNearest(t *testing.T) {
	for _, want := range []uint64{0, 64, 1 << 31, 1<<32 - 1, 1 << 32, 1<<40 + 12345} {
		for _, off := range []int64{-(1 << 31) + 1, -70, -1, 0, 1, 1000, 1<<31 - 1} {
			n := int64(want) + off
			if n < 0 {
				continue
			}
			if got := nearest(want, uint32(n)); got != uint64(n) {
				t.Errorf("low bits of %d near %d: %d", n, want, got)
			}
		}
	}
}

// FuzzPacket: no bytes make the reader panic or go on for ever, and what is read
// of an ACK lies at or below its largest number.
func FuzzPacket(f *testing.F) {
	for _, p := range packets {
		f.Add(unhex(f, p.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		String(b)
		_, rest, ok := parseHeader(b)
		if !ok {
			return
		}
		r := fieldReader{b: rest}
		for len(r.b) > 0 {
			before := len(r.b)
			var fr frame
			if r.next(&fr) != nil {
				return
			}
			if len(r.b) >= before {
				t.Fatal("nothing was read")
			}
			if fr.kind == frameAck {
				last := fr.largest + 2
				fr.ranges.each(func(start, end uint64) {
					if start >= end || end > last {
						t.Fatalf("range %d-%d behind %d", start, end, last)
					}
					last = start
				})
			}
		}
	})
}

// FuzzVarint: what is written is read, in the least bytes.
func FuzzVarint(f *testing.F) {
	f.Add(uint64(0))
	f.Add(uint64(maxVarint))
	f.Fuzz(func(t *testing.T, v uint64) {
		v &= maxVarint
		b := appendVarint(nil, v)
		got, n := parseVarint(append(bytes.Clone(b), 0xff))
		if got != v || n != len(b) || n != varintLen(v) {
			t.Errorf("%d: % x, read as %d of %d bytes", v, b, got, n)
		}
		for k := range b {
			if _, n := parseVarint(b[:k]); n != 0 {
				t.Errorf("% x, cut to %d bytes, is read", b, k)
			}
		}
	})
}
