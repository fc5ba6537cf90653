package main

import (
	"fmt"
	"math"
	"slices"
)

// median of v, which need not be sorted; NaN if it is empty.
func median(v []float64) float64 {
	n := len(v)
	if n == 0 {
		return math.NaN()
	}
	v = slices.Sorted(slices.Values(v))
	return (v[(n-1)/2] + v[n/2]) / 2
}

// quantile is the nearest-rank quantile of sorted v: the smallest value that a
// share p of all does not exceed. NaN if v is empty.
func quantile(sorted []float64, p float64) float64 {
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	return sorted[min(max(int(math.Ceil(p*float64(n)))-1, 0), n-1)]
}

// jain is Jain's fairness index: 1 if all are equal, 1/n if one has all.
// 0 if nobody has anything.
func jain(v []float64) float64 {
	sum, squares := 0.0, 0.0
	for _, x := range v {
		sum += x
		squares += x * x
	}
	if squares == 0 {
		return 0
	}
	return sum * sum / (float64(len(v)) * squares)
}

// num writes v with three significant digits.
func num(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "-"
	case a == 0:
		return "0"
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// latencies puts the quantiles of durations in nanoseconds into m, in µs.
func latencies(ns []float64, m map[string]float64) {
	if len(ns) == 0 {
		return
	}
	slices.Sort(ns)
	m["p50_us"], m["p99_us"], m["max_us"] = quantile(ns, .5)/1e3, quantile(ns, .99)/1e3, ns[len(ns)-1]/1e3
	m["samples"] = float64(len(ns))
}
