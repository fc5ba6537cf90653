package conformance

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn/memnet"
)

// TestLossIsNoSlowReader: on a link that loses a fifth of all packets, late acks
// and keep-alives were taken for the answers of a reader who does not read, and
// every few messages cost 1.5 s: 500 KB took two minutes (docs/protocol.md
// §4.5).
func TestLossIsNoSlowReader(t *testing.T) {
	const size, runs, limit = 500_000, 8, time.Minute
	synctest.Test(t, func(t *testing.T) {
		var sum time.Duration
		for seed := range uint64(runs) {
			w := newWorld(t, memnet.Config{Seed: seed, Impairment: steady})
			c, s := w.connect(t)
			w.net.SetImpairmentAll(memnet.Impairment{Delay: 25 * time.Millisecond, Loss: 0.2})
			start := time.Now()
			go func() {
				write(t, c, random(size))
				try(t, "CloseWrite", c.CloseWrite())
			}()
			if n, err := io.Copy(io.Discard, s); n != size || err != nil {
				t.Errorf("read %d bytes, %v; want %d", n, err, size)
			}
			took := time.Since(start)
			sum += took
			t.Logf("%v, %d timeouts, %d messages sent again", took, c.Stats().Timeouts, c.Stats().Retransmitted)
		}
		if sum/runs > limit {
			t.Errorf("%d bytes took %v on average, want at most %v", size, sum/runs, limit)
		}
	})
}
