package stream

import (
	"testing"
	"time"
)

// TestHostileLink: over links that lose, repeat and reorder, what arrives is what
// was sent, message by message, and both ends end.
func TestHostileLink(t *testing.T) {
	seeds := uint64(300)
	for seed := range seeds {
		n := newNet(t, seed)
		n.loss = n.rand.Float64() * 0.4
		n.twice = n.rand.Float64() * 0.2
		n.jitter = time.Duration(n.rand.Int64N(int64(60 * time.Millisecond)))
		for _, e := range n.ends {
			for range n.rand.IntN(60) {
				size := 1 + n.rand.IntN(1+n.rand.IntN(1024))
				if n.rand.IntN(8) == 0 {
					size = 1 + n.rand.IntN(1024)
				}
				e.send(message(n.rand, size))
			}
			e.Shutdown()
		}
		n.run(5*time.Minute, n.finished)
		n.check(true)
		n.buffers()
	}
}
