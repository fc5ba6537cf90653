package main

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// ours is the transport that the goals are about.
const ours = "msp"

// A goal is one line of the goals' table: what was measured of ours, and the
// bounds that it must and should keep. A bound is NaN if what it is relative to
// was not measured.
type goal struct {
	what       string
	got        float64
	unit       string
	must, goal float64
	atMost     bool // smaller is better
}

func (g goal) holds(bound float64) string {
	switch {
	case math.IsNaN(g.got) || math.IsNaN(bound):
		return "not measured"
	case g.atMost && g.got <= bound, !g.atMost && g.got >= bound:
		return "holds"
	}
	return "misses"
}

// ratio is what was measured over the bound.
func (g goal) ratio() float64 { return g.got / g.must }

// writeGoals writes the table, and returns how many musts miss and how many
// could not be judged.
func writeGoals(w io.Writer, rs records) (missed, unknown int) {
	fmt.Fprintln(w, "| what | measured | must | measured / must | must | goal | goal |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|")
	for _, g := range goals(rs) {
		sign := "≥ "
		if g.atMost {
			sign = "≤ "
		}
		must := g.holds(g.must)
		switch must {
		case "misses":
			missed++
		case "not measured":
			unknown++
		}
		fmt.Fprintf(w, "| %s | %s %s | %s | %s | %s | %s | %s |\n", g.what, num(g.got), g.unit, sign+num(g.must), num(g.ratio()), must, sign+num(g.goal), g.holds(g.goal))
	}
	return missed, unknown
}

// goals are the rows, in order.
func goals(rs records) []goal {
	c := cells{rs}
	var all []goal
	all = append(all, c.loopbackGoals()...)
	all = append(all, c.lossGoals()...)
	all = append(all, c.wireGoals()...)
	all = append(all, c.latencyGoals()...)
	all = append(all, c.httpGoals()...)
	all = append(all, c.sharingGoals()...)
	all = append(all, c.idleGoals()...)
	all = append(all, c.growthGoals()...)
	return append(all, goal{"one of ours with announcing off, bulk on clean", rs.median("clean", "bulk", "msp-published", "mbit_per_s"), "Mbit/s", 6, 11, false})
}

// cells reads medians for goals.
type cells struct{ records }

func (c cells) ours(link, work, metric string) float64 { return c.median(link, work, ours, metric) }

// best is the highest median among the peers, who are all but ours.
func (c cells) best(link, work, metric string) float64 {
	best := math.NaN()
	for _, name := range c.transports(link, work) {
		m := c.median(link, work, name, metric)
		if !strings.HasPrefix(name, ours) && (math.IsNaN(best) || m > best) {
			best = m
		}
	}
	return best
}

func (c cells) loopbackGoals() []goal {
	cpu := c.median(loopback, "bulk", "quic-go", "cpu_s_per_gb")
	clean := c.best("clean", "bulk", "mbit_per_s")
	return []goal{
		{"bulk on loopback: twice quic-go; TLS over TCP", c.ours(loopback, "bulk", "mb_per_s"), "MB/s",
			2 * c.median(loopback, "bulk", "quic-go", "mb_per_s"), c.median(loopback, "bulk", "tls-cubic", "mb_per_s"), false},
		{"CPU on loopback, both ends: half of quic-go's; a quarter", c.ours(loopback, "bulk", "cpu_s_per_gb"), "s/GB", cpu / 2, cpu / 4, true},
		{"bulk on clean: 0.98 of the best peer; the best", c.ours("clean", "bulk", "mbit_per_s"), "Mbit/s", 0.98 * clean, clean, false},
	}
}

// lossGoals: quic-go has collapsed where it has less than a quarter of what the
// link lets pass; there, eight times as much as it is wanted too, or what the goal is
// where that is less: more than passes nobody can have.
func (c cells) lossGoals() []goal {
	var all []goal
	for _, link := range []string{"loss1", "loss5", "loss10", "wan2", "radio", "burst"} {
		spec, _ := findLink(link)
		passed := spec.RateBit / 1e6 * spec.survival()
		must, wanted := c.median(link, "bulk", "tcp-bbr", "mbit_per_s"), 0.92*passed
		if quic := c.median(link, "bulk", "quic-go", "mbit_per_s"); quic < passed/4 {
			must = math.Max(must, math.Min(8*quic, wanted)) // NaN if kernel BBR was not measured
		}
		all = append(all, goal{"bulk on " + link + ": kernel BBR's, 8 x quic-go's where it collapses; 0.92 of what passes",
			c.ours(link, "bulk", "mbit_per_s"), "Mbit/s", must, wanted, false})
	}
	return all
}

func (c cells) wireGoals() []goal {
	var all []goal
	for _, link := range []string{"clean", "loss1", "loss5"} {
		spec, _ := findLink(link)
		all = append(all, goal{"IP bytes per byte, bulk on " + link, c.ours(link, "bulk", "wire_per_byte"), "", 1.25, 1.1 / spec.survival(), true})
	}
	return all
}

func (c cells) latencyGoals() []goal {
	ms := func(link, work, metric string) float64 { return c.ours(link, work, metric) / 1e3 }
	return []goal{
		{"ping-pong p99 on loss1", ms("loss1", "pingpong", "p99_us"), "ms", 51, 45, true},
		{"ping-pong p99 on loss5", ms("loss5", "pingpong", "p99_us"), "ms", 57, 50, true},
		{"ping-pong p99 on loss10", ms("loss10", "pingpong", "p99_us"), "ms", 96, 65, true},
		{"connect p50 on clean", ms("clean", "connect", "p50_us"), "ms", 22, 21, true},
		{"connect p99 on loss5", ms("loss5", "connect", "p99_us"), "ms", 220, 100, true},
	}
}

func (c cells) httpGoals() []goal {
	var all []goal
	for _, link := range []string{loopback, "loss1"} {
		for _, work := range []string{"http1k", "http1m"} {
			all = append(all, goal{work + " on " + link + ": quic-go's rate; the best of all", c.ours(link, work, "req_per_s"), "requests/s",
				c.median(link, work, "quic-go", "req_per_s"), c.best(link, work, "req_per_s"), false})
		}
	}
	return all
}

func (c cells) sharingGoals() []goal {
	clean, _ := findLink("clean")
	return []goal{
		{"8 streams on clean: share of what full packets carry", c.ours("clean", "streams8", "mbit_per_s") / clean.carried(), "", 0.95, 0.99, false},
		{"8 streams on clean: Jain index", c.ours("clean", "streams8", "jain"), "", 0.95, 0.99, false},
		{"beside " + rival + " on clean: the smaller share", c.ours("clean", "beside", "smaller_share"), "", 0.25, 0.40, false},
		{"round trip added by our own bulk stream, queue of 4 BDP", c.ours("deep", "added", "added_rtt"), "round trips", 1, 0.25, true},
	}
}

func (c cells) idleGoals() []goal {
	var all []goal
	for _, work := range []string{"idle1000", "idle10000"} {
		get := func(metric string) float64 { return c.ours(loopback, work, "worse_"+metric) }
		all = append(all,
			goal{work + ": memory of one, worse end", get("rss_per_conn") / 1e3, "KB", 8, 4, true},
			goal{work + ": goroutines of one, worse end", get("goroutines_per_conn"), "", 0.1, 0.1, true},
			goal{work + ": CPU, worse end", get("idle_cpu") * 100, "% of a core", 5, 1, true})
	}
	return all
}

func (c cells) growthGoals() []goal {
	get := func(work string) float64 { return c.ours(loopback, work, "cpu_s_per_gb") }
	return []goal{{"CPU per byte, 1,000 active streams over 1", get("active1000") / get("active1"), "x", 2, 1.2, true}}
}
