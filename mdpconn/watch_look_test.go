package mdpconn

import (
	"testing"
	"time"
)

// TestHostStoodStill: after a pause of the host longer than all patience a peer is asked
// before it is taken to be gone.
func TestHostStoodStill(t *testing.T) {
	now := time.Unix(1e9, 0)
	p := &peer{}
	p.path.known = true
	p.watch = watch{interval: 10 * time.Second, heard: now.Add(-time.Minute), due: now.Add(-50 * time.Second), at: 1}
	n := &Node{watches: watches{p}}
	for i, want := range []struct{ pings, gone int }{{1, 0}, {0, 1}} {
		var w work
		n.collectWatchesLocked(now, &w)
		if len(w.pings) != want.pings || len(w.gone) != want.gone {
			t.Errorf("look %d: %d pings, %d gone, want %d, %d", i, len(w.pings), len(w.gone), want.pings, want.gone)
		}
		now = now.Add(watchAgain)
	}
}
