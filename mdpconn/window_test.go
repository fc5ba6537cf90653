package mdpconn

import (
	"testing"
	"time"
)

// A neighbour that begins anew with its numbers is soon heard again, and one that
// is fast is not taken for repeating itself when it loses a burst.
func TestNumberWindow(t *testing.T) {
	now := time.Unix(1000, 0)
	var w numberWindow
	for s := range byte(40) {
		if missed, dup := w.receive(s, packetRun, now); dup || missed != 0 {
			t.Fatalf("number %d: missed %d, duplicate %v", s, missed, dup)
		}
		now = now.Add(500 * time.Millisecond)
	}
	dups := 0
	for s := byte(1); s < 20; s++ { // after a restart
		if _, dup := w.receive(s, packetRun, now); dup {
			dups++
		}
	}
	if dups != packetRun-1 {
		t.Errorf("%d packets of a new life were dropped, want %d", dups, packetRun-1)
	}
	if missed, _ := w.receive(25, packetRun, now); missed != 5 {
		t.Errorf("missed %d, want 5", missed)
	}
	w = numberWindow{}
	seq := byte(0)
	for i := range 2000 {
		if _, dup := w.receive(seq, packetRun, now); dup {
			t.Fatalf("number %d of a fast sender is taken for a duplicate", i)
		}
		seq++
		if i%200 == 199 {
			seq += 220 // lost
		}
		now = now.Add(time.Millisecond)
	}
}
