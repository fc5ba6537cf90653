package stream

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestFifo: items come out in the order in which they went in, none that was dropped
// is held, and a queue of bounded length needs bounded room.
func TestFifo(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var q fifo[*int]
	var want []*int
	for range 20_000 {
		switch k := len(want); {
		case k < 100 && r.IntN(2) == 0:
			x := new(int)
			q.push(x)
			want = append(want, x)
		case k > 0:
			k = 1 + r.IntN(k)
			q.drop(k)
			want = want[k:]
		}
		if !slices.Equal(q.all(), want) {
			t.Fatalf("%d items are queued, want the %d that were", len(q.all()), len(want))
		}
		if done := q.items[:q.first]; slices.ContainsFunc(done, func(x *int) bool { return x != nil }) {
			t.Fatal("an item that was dropped is held")
		}
		if cap(q.items) > 400 {
			t.Fatalf("room for %d items, of which there are 100 at most", cap(q.items))
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		for range keptItems {
			q.push(nil)
		}
		q.drop(len(q.all()))
	}); n > 0 {
		t.Errorf("%v allocations for %d items", n, keptItems)
	}
}
