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

// TestFifoAllocatesLittle: a queue that is now long, now short, takes at most two steps
// for each time: one to grow, one to give room back.
func TestFifoAllocatesLittle(t *testing.T) {
	var q fifo[*int]
	turn := func(n int) {
		for range n {
			q.push(nil)
		}
		q.drop(n)
	}
	if n := testing.AllocsPerRun(100, func() { turn(2 * keptItems); turn(1) }); n > 2 {
		t.Errorf("%v allocations to grow and shrink once, want 2", n)
	}
	if cap(q.items) > keptItems {
		t.Errorf("room for %d items is kept, want %d at most", cap(q.items), keptItems)
	}
	if q.shrink(); cap(q.items) > 0 {
		t.Errorf("room for %d items is kept when none is wanted", cap(q.items))
	}
	q.push(new(int))
	if q.shrink(); len(q.all()) != 1 {
		t.Error("an item got lost")
	}
}
