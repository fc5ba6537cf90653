package overlay

import (
	"math/bits"
	"testing"
)

func TestAcked(t *testing.T) {
	a := Ack{Seq: 3, Mask: 1<<0 | 1<<4 | 1<<31}
	acked := map[byte]bool{3: true, 2: true, 254: true, 227: true}
	for seq := range 256 {
		if got := a.Acked(byte(seq)); got != acked[byte(seq)] {
			t.Errorf("%v: packet %d acked = %v", a, seq, got)
		}
	}
	if a.String() != "ack 3/80000011" {
		t.Errorf("got %q", a)
	}
}

// 15 - popcount(mask & 0x7fff), taken as 0 if at most 3 (docs/overlay.md §8.3).
func TestDropRate(t *testing.T) {
	for _, test := range []struct {
		mask uint32
		want byte
	}{
		{0, 15}, {1, 14}, {0x7ff, 4}, {0xfff, 0}, {0x1fff, 0}, {0x7fff, 0}, {0xffffffff, 0}, {0xffff8000, 15},
	} {
		if got := (Ack{Mask: test.mask}).DropRate(); got != test.want {
			t.Errorf("mask %x: %d, want %d", test.mask, got, test.want)
		}
	}
}

func TestAckWindow(t *testing.T) {
	type step struct {
		seq    byte
		missed int
		ok     bool
		want   Ack
	}
	for _, test := range []struct {
		why   string
		steps []step
	}{
		{"in order, over the end", []step{
			{254, 0, true, Ack{254, 0}}, {255, 0, true, Ack{255, 1}}, {0, 0, true, Ack{0, 3}}, {1, 0, true, Ack{1, 7}},
		}},
		{"gap, then late, then a duplicate of the late one", []step{
			{10, 0, true, Ack{10, 0}}, {13, 2, true, Ack{13, 4}}, {11, 0, true, Ack{13, 6}}, {11, 0, false, Ack{13, 6}},
		}},
		{"the highest again is a duplicate, not a jump of 256", []step{
			{10, 0, true, Ack{10, 0}}, {11, 0, true, Ack{11, 1}}, {11, 0, false, Ack{11, 1}}, {10, 0, false, Ack{11, 1}},
		}},
		{"late by 64 still counts, by 65 it is far ahead", []step{
			{100, 0, true, Ack{100, 0}}, {36, 0, true, Ack{100, 0}}, {36, 0, false, Ack{100, 0}}, {35, 190, true, Ack{35, 0}},
		}},
		{"jumps about as long as the window", []step{
			{0, 0, true, Ack{0, 0}}, {32, 31, true, Ack{32, 1 << 31}}, {64, 31, true, Ack{64, 1 << 31}},
			{0, 0, false, Ack{64, 1 << 31}}, {129, 64, true, Ack{129, 0}}, {64, 190, true, Ack{64, 0}},
		}},
	} {
		var w AckWindow
		if _, ok := w.Ack(); ok || w.String() != "window empty" {
			t.Errorf("an empty window has an ack")
		}
		for i, s := range test.steps {
			missed, ok := w.Receive(s.seq)
			got, have := w.Ack()
			if missed != s.missed || ok != s.ok || got != s.want || !have {
				t.Errorf("%s: step %d: receive %d: missed %d, %v, %v, want %+v", test.why, i, s.seq, missed, ok, w, s)
			}
		}
	}
}

// The window against one that remembers everything.
func FuzzAckWindow(f *testing.F) {
	f.Add([]byte{0, 1, 2, 5, 3, 3, 255})
	f.Add([]byte{200, 255, 0, 0, 64, 0, 129, 64})
	f.Fuzz(func(t *testing.T, seqs []byte) {
		var w AckWindow
		highest, seen := 0, map[int]bool{} // numbers without modulo
		for i, seq := range seqs {
			var n int
			switch d := int(byte(highest) - seq); {
			case i == 0:
				n = 1<<20 | int(seq)
			case d <= 64:
				n = highest - d
			default:
				n = highest + 256 - d
			}
			wantOK, wantMissed := !seen[n], 0
			if i > 0 && n > highest {
				wantMissed = n - highest - 1
			}
			seen[n], highest = true, max(highest, n)
			if missed, ok := w.Receive(seq); ok != wantOK || missed != wantMissed {
				t.Fatalf("%v: step %d: missed %d, %v, want %d, %v", seqs, i, missed, ok, wantMissed, wantOK)
			}
			a, _ := w.Ack()
			for d := range 33 {
				if a.Acked(byte(highest-d)) != seen[highest-d] {
					t.Fatalf("%v: step %d: %v, but seen[-%d] = %v", seqs, i, a, d, seen[highest-d])
				}
			}
			if r := a.DropRate(); r > 15 || r != 0 && int(r) != 15-bits.OnesCount32(a.Mask&0x7fff) {
				t.Fatalf("%v: drop rate %d", a, r)
			}
		}
	})
}
