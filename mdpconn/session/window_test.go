package session

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// model is a window without a bound on memory.
type model struct {
	seen    map[uint64]bool
	largest uint64
	any     bool
}

func (m *model) receive(n uint64) bool {
	if m.seen[n] || m.any && n < m.largest && m.largest-n >= windowSize || n == math.MaxUint64 {
		return false
	}
	if m.seen == nil {
		m.seen = make(map[uint64]bool)
	}
	m.seen[n] = true
	m.largest, m.any = max(m.largest, n), true
	return true
}

// expand tries every candidate.
func (m *model) expand(low uint32) uint64 {
	best, bestAway := uint64(0), new(big.Int).Lsh(big.NewInt(1), 70)
	largest := new(big.Int).SetUint64(m.largest)
	for _, step := range []int64{-1, 0, 1} {
		n := new(big.Int).SetUint64(m.largest>>24<<24 | uint64(low))
		n.Add(n, big.NewInt(step<<24))
		if !n.IsUint64() {
			continue
		}
		if away := new(big.Int).Sub(n, largest); away.CmpAbs(bestAway) <= 0 {
			best, bestAway = n.Uint64(), away
		}
	}
	return best
}

func TestWindowAgainstModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	starts := []uint64{0, 1, 63, 64, 8191, 8192, 1<<24 - 5, 1<<32 - 5, 1 << 32, 1<<40 + 17, math.MaxUint64 - 9000}
	jumps := []uint64{1, 2, 63, 64, 65, 127, 128, 4096, 8191, 8192, 8193, 20000, 1 << 23, 1 << 31}
	for _, first := range starts {
		var w Window
		var m model
		next := first
		for range 20000 {
			n := next
			switch r.IntN(8) {
			case 0: // an old one, perhaps too old
				n = next - r.Uint64N(2*windowSize)
			case 1: // at the edge
				n = next - windowSize - 2 + r.Uint64N(5)
			case 2:
				if r.IntN(20) == 0 {
					n = next + jumps[r.IntN(len(jumps))]
				}
			}
			fresh := w.Fresh(n)
			got, want := w.Receive(n), m.receive(n)
			if got != want || fresh != want {
				t.Fatalf("from %d: %d is fresh: %v, received: %v, want %v; %v", first, n, fresh, got, want, &w)
			}
			if next = m.largest + 1; next == math.MaxUint64 {
				break
			}
			low := r.Uint32() >> 8
			if got, want := w.Expand(low), m.expand(low); got != want {
				t.Fatalf("%08x next to %d is %d, want %d", low, m.largest, got, want)
			}
		}
	}
}

// A jump forgets what it jumps over and what falls out of the window, and not
// one counter more, wherever words of the bitmap begin.
func TestWindowJumps(t *testing.T) {
	for align := range uint64(64) {
		for _, gap := range []uint64{1, 2, 3, 61, 62, 63, 64, 65, 66, 126, 127, 128, 129, 190, 8127, 8128, 8190, 8191, 8192, 8193} {
			w := Window{next: 1<<20 + align}
			for i := range w.seen {
				w.seen[i] = math.MaxUint64
			}
			first, n := w.next, w.next+gap-1
			if !w.Receive(n) {
				t.Fatalf("%d is not fresh", n)
			}
			for m := n + 2 - windowSize - 130; m <= n+1; m++ {
				if want := m >= first && m != n && n-m < windowSize || m > n; w.Fresh(m) != want {
					t.Fatalf("all to %d, then %d: %d is fresh: %v, want %v", first-1, n, m, !want, want)
				}
			}
		}
	}
}

func TestExpand(t *testing.T) {
	for _, test := range []struct {
		largest uint64
		low     uint32
		want    uint64
	}{
		{0, 0, 0}, {0, 5, 5}, {0, 0xffffff, 0xffffff}, // there is nothing below 0
		{1<<24 - 1, 0, 1 << 24}, {1 << 24, 0xffffff, 1<<24 - 1}, {1<<24 + 5, 6, 1<<24 + 6},
		{1<<32 - 1, 0, 1 << 32}, {1 << 32, 0xffffff, 1<<32 - 1}, {1<<32 + 5, 6, 1<<32 + 6},
		{1 << 40, 1 << 23, 1<<40 + 1<<23}, {1 << 40, 1<<23 + 1, 1<<40 - 1<<23 + 1},
		{math.MaxUint64 - 1, 3, math.MaxUint64 - 0xfffffc}, // there is nothing above 2^64-1
		{math.MaxUint64 - 1, 0xffffff, math.MaxUint64},     // and this one is refused
	} {
		w := Window{next: test.largest + 1}
		if got := w.Expand(test.low); got != test.want {
			t.Errorf("%08x next to %d: %d, want %d", test.low, test.largest, got, test.want)
		}
	}
	w := Window{next: math.MaxUint64}
	if w.Fresh(math.MaxUint64) || w.Receive(math.MaxUint64) {
		t.Error("the counter 2^64-1 was taken")
	}
}

func FuzzWindow(f *testing.F) {
	f.Add(uint64(1<<32-4), []byte{1, 1, 200, 3, 7, 0, 255})
	f.Fuzz(func(t *testing.T, next uint64, steps []byte) {
		var w Window
		var m model
		for i, c := range steps {
			n := next + uint64(c)<<(i%3*3) - 700
			if got, want := w.Receive(n), m.receive(n); got != want {
				t.Fatalf("%d: %v, want %v", n, got, want)
			}
			if w.Receive(n) {
				t.Fatalf("%d was taken twice", n)
			}
			next = m.largest + 1
		}
	})
}
