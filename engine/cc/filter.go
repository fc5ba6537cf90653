package cc

import "time"

// A cycleMax is the largest value of the current cycle and the one before.
type cycleMax struct{ now, before float64 }

func (m *cycleMax) add(v float64) { m.now = max(m.now, v) }
func (m *cycleMax) max() float64  { return max(m.now, m.before) }

// turn begins a new cycle.
func (m *cycleMax) turn() { m.now, m.before = 0, m.now }

// How long a base round trip holds, and when it has to be looked for.
const (
	baseHolds = 10 * time.Second
	baseStale = 5 * time.Second
)

// A baseRTT is the round trip without a queue: the least that was seen in the
// last baseHolds, where anything near it counts as seeing it.
type baseRTT struct {
	rtt  time.Duration // 0: nothing known
	seen time.Duration // when it, or nearly it, was seen last

	recent   time.Duration // least since recentAt, that takes its place
	recentAt time.Duration
}

// add takes a sample; one that is at most slack above the base renews it.
func (b *baseRTT) add(t, rtt, slack time.Duration) {
	if b.recent == 0 || rtt <= b.recent || t-b.recentAt > baseStale {
		b.recent, b.recentAt = rtt, t
	}
	switch {
	case b.rtt == 0 || rtt <= b.rtt:
		b.rtt, b.seen = rtt, t
	case rtt <= b.rtt+slack:
		b.seen = t
	case t-b.seen > baseHolds:
		b.rtt, b.seen = b.recent, t
	}
}

func (b *baseRTT) stale(t time.Duration) bool { return b.rtt != 0 && t-b.seen > baseStale }
