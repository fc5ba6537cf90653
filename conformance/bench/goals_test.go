package main

import (
	"math"
	"strings"
	"testing"
)

func TestGoalHolds(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		got, bound float64
		atMost     bool
		want       string
	}{
		{2, 1, false, "holds"}, {1, 1, false, "holds"}, {1, 2, false, "misses"},
		{1, 2, true, "holds"}, {2, 2, true, "holds"}, {2, 1, true, "misses"},
		{nan, 1, false, "not measured"}, {1, nan, true, "not measured"},
	} {
		if got := (goal{got: c.got, atMost: c.atMost}).holds(c.bound); got != c.want {
			t.Errorf("%v against %v, at most %v: %s, want %s", c.got, c.bound, c.atMost, got, c.want)
		}
	}
}

// find returns the goal whose description begins with what.
func find(t *testing.T, rs records, what string) goal {
	t.Helper()
	for _, g := range goals(rs) {
		if strings.HasPrefix(g.what, what) {
			return g
		}
	}
	t.Fatalf("no goal begins with %q", what)
	return goal{}
}

func TestGoalsRelativeToPeers(t *testing.T) {
	var rs records
	add := func(more records) { rs = append(rs, more...) }
	add(run3(loopback, "bulk", "msp", "mb_per_s", 900))
	add(run3(loopback, "bulk", "quic-go", "mb_per_s", 400))
	add(run3(loopback, "bulk", "tls-cubic", "mb_per_s", 1700))
	add(run3("clean", "bulk", "msp", "mbit_per_s", 92))
	add(run3("clean", "bulk", "quic-go", "mbit_per_s", 93))
	add(run3("clean", "bulk", "tcp-bbr", "mbit_per_s", 92))
	add(run3("loss1", "bulk", "tcp-bbr", "mbit_per_s", 60))
	add(run3("loss1", "bulk", "quic-go", "mbit_per_s", 8))
	add(run3("loss5", "bulk", "tcp-bbr", "mbit_per_s", 80))
	add(run3("loss5", "bulk", "quic-go", "mbit_per_s", 30))
	add(run3("loss10", "bulk", "tcp-bbr", "mbit_per_s", 70))
	add(run3("loss10", "bulk", "quic-go", "mbit_per_s", 22))
	add(run3("wan2", "bulk", "tcp-bbr", "mbit_per_s", 47))
	add(run3("wan2", "bulk", "quic-go", "mbit_per_s", 6))
	for _, c := range []struct {
		what       string
		must, goal float64
	}{
		{"bulk on loopback", 800, 1700},
		{"bulk on clean", 0.98 * 93, 93},
		{"bulk on loss1", 64, 0.92 * 99},         // quic-go collapsed: eight times it is more than BBR's
		{"bulk on loss5", 80, 0.92 * 95},         // it did not
		{"bulk on loss10", 0.92 * 90, 0.92 * 90}, // it did, and eight times as much would be more than passes
		{"bulk on wan2", 47, 0.92 * 49},          // as here, where BBR has more than the goal
		{"IP bytes per byte, bulk on loss5", 1.25, 1.1 / 0.95},
	} {
		g := find(t, rs, c.what)
		if math.Abs(g.must-c.must) > 1e-9 || math.Abs(g.goal-c.goal) > 1e-9 {
			t.Errorf("%s: must %v, goal %v; want %v, %v", c.what, g.must, g.goal, c.must, c.goal)
		}
	}
}

func TestGoalsOfRows(t *testing.T) {
	rs := run3(loopback, "active1", "msp", "cpu_s_per_gb", 2)
	rs = append(rs, run3(loopback, "active1000", "msp", "cpu_s_per_gb", 3)...)
	rs = append(rs, run3("deep", "added", "msp", "added_rtt", 3)...)
	if g := find(t, rs, "CPU per byte"); g.got != 1.5 || g.holds(g.must) != "holds" || g.holds(g.goal) != "misses" {
		t.Errorf("growth is %+v", g)
	}
	if g := find(t, rs, "round trip added"); g.holds(g.must) != "misses" {
		t.Errorf("added round trip is %+v", g)
	}
	var b strings.Builder
	missed, unknown := writeGoals(&b, rs)
	if missed != 1 || missed+unknown != len(goals(rs))-1 {
		t.Errorf("%d miss and %d are unknown of %d; want 1 that misses and 1 that holds", missed, unknown, len(goals(rs)))
	}
	if !strings.Contains(b.String(), "| round trip added by our own bulk stream, queue of 4 BDP | 3.00 round trips | ≤ 1.00 | 3.00 | misses | ≤ 0.250 | misses |") {
		t.Errorf("the table is\n%s", b.String())
	}
}
