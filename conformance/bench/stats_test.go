package main

import (
	"math"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		of   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(c.of); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.of, got, c.want)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

func TestQuantile(t *testing.T) {
	v := make([]float64, 100)
	for i := range v {
		v[i] = float64(i + 1)
	}
	for p, want := range map[float64]float64{0: 1, .5: 50, .99: 99, 1: 100} {
		if got := quantile(v, p); got != want {
			t.Errorf("quantile %v of 1 to 100 is %v, want %v", p, got, want)
		}
	}
}

func TestJain(t *testing.T) {
	for _, c := range []struct {
		of   []float64
		want float64
	}{{[]float64{5, 5, 5, 5}, 1}, {[]float64{8, 0, 0, 0}, 0.25}, {[]float64{3, 1}, 0.8}, {[]float64{0, 0}, 0}} {
		if got := jain(c.of); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("jain(%v) = %v, want %v", c.of, got, c.want)
		}
	}
}

func TestNum(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.01234: "0.012", 1.234: "1.23", 12.34: "12.3", 1234.4: "1234", math.NaN(): "-"} {
		if got := num(v); got != want {
			t.Errorf("num(%v) = %q, want %q", v, got, want)
		}
	}
}

// Streams are compared when the first has all it was sent, not when all have.
func TestJainAtFirstEnd(t *testing.T) {
	var b bulkCount
	for range 2 {
		b.open()
	}
	b.add(0, 300)
	b.add(1, 100)
	b.ended()
	b.add(1, 200)
	sum, bad, index := b.state()
	if sum != 600 || bad || math.Abs(index-0.8) > 1e-9 {
		t.Errorf("state is %d bytes, bad %v, index %v; want 600, false, 0.8", sum, bad, index)
	}
}
