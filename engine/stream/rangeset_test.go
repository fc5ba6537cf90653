package stream

import (
	"math/rand/v2"
	"testing"
)

// TestRangeSet: a set of spans holds what a naive set holds, ascending and
// without spans that touch.
func TestRangeSet(t *testing.T) {
	const most = 80
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		var s rangeSet
		var naive [most]bool
		for range 100 {
			start := r.Uint64N(most)
			end := min(start+r.Uint64N(12), most)
			add := r.IntN(3) > 0
			if add {
				s.add(start, end)
			} else {
				s.remove(start, end)
			}
			for v := start; v < end; v++ {
				naive[v] = add
			}
			for i, a := range s {
				if a.start >= a.end || i > 0 && s[i-1].end >= a.start {
					t.Fatalf("seed %d: %v", seed, s)
				}
			}
			for v := range uint64(most) {
				if s.contains(v) != naive[v] {
					t.Fatalf("seed %d: %d is in %v: %v, want %v", seed, v, s, !naive[v], naive[v])
				}
			}
			from, to := r.Uint64N(most), r.Uint64N(most)
			var missing [most]bool
			s.missing(from, to, func(a, b uint64) {
				for v := a; v < b; v++ {
					missing[v] = true
				}
			})
			for v := range uint64(most) {
				if want := v >= from && v < to && !naive[v]; missing[v] != want {
					t.Fatalf("seed %d: %d is missing in %d-%d of %v: %v, want %v", seed, v, from, to, s, missing[v], want)
				}
			}
		}
	}
}
