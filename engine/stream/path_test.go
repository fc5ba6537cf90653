package stream

import (
	"testing"
	"time"
)

// TestPathIsShared: [MSX-4.8] what was sent is not taken for lost before the round
// trip that other streams to the same peer measure now, be the stream's own older
// and shorter; what they measured long ago does not count.
func TestPathIsShared(t *testing.T) {
	n := newNet(t, 1)
	n.warm()
	e := n.ends[0]
	probed := func(measured time.Duration) time.Duration {
		e.cfg.Path = &Path{}
		for range 50 {
			e.cfg.Path.sample(n.now.Add(-measured), 500*time.Millisecond, 0)
		}
		before, start := e.stats.ProbeTimeouts, n.now
		n.drop = func(from int, _ []byte) bool { return from == 0 && e.stats.ProbeTimeouts == before }
		e.send([]byte("lost"))
		n.run(10*time.Second, e.Flushed)
		after := n.now.Sub(start)
		n.run(10*time.Second, func() bool { return !e.Asking() })
		return after
	}
	if after := probed(10 * time.Millisecond); after < 500*time.Millisecond {
		t.Errorf("it is asked for after %v, its own round trip; others know that to be longer now", after)
	}
	if after := probed(2 * time.Second); after > 100*time.Millisecond {
		t.Errorf("what others measured long ago holds its probe back: %v", after)
	}
}
