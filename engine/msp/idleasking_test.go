package msp

import (
	"strings"
	"testing"
	"time"

	"mesh.example/msp/engine/stream"
)

// TestIdleAskerLeaves: [MSX-7.3] when the connection that asks for the others is
// aborted, another asks before its own time is over, here 12 s.
func TestIdleAskerLeaves(t *testing.T) {
	h := newHarnessConfig(t, Config{Extended: true})
	h.listen(8)
	for range 2 {
		h.remote.Port++
		h.oneMore()
	}
	pings := func() (n int) {
		for _, p := range h.out {
			if strings.Contains(stream.String(p.data), "PING") {
				n++
			}
		}
		return n
	}
	for range 5 {
		h.advance(time.Second)
	}
	if len(h.seen) != 2 || pings() == 0 {
		t.Fatalf("%d connections, %d pings", len(h.seen), pings())
	}
	h.skip()
	asker, other := h.seen[0], h.seen[1]
	if !asker.x.pinged {
		asker, other = other, asker
	}
	if other.x.pinged {
		t.Fatal("both have asked")
	}
	asker.Stop()
	h.turn()
	h.skip()
	for range 5 {
		h.advance(time.Second)
	}
	if pings() == 0 {
		t.Error("the other does not ask")
	}
	h.skip()
}
