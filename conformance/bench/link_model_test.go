package main

import (
	"math"
	"testing"
)

// play offers n packets of size bytes, one every gap nanoseconds, and returns
// when each copy arrives.
func play(m *linkModel, n, size int, gap int64) (due []int64) {
	for i := range n {
		m.offer(int64(i)*gap, make([]byte, size+etherHeader), size)
	}
	for {
		if _, ok := m.next(); !ok {
			return due
		}
		p := m.take()
		due = append(due, p.due)
		m.release(p)
	}
}

func TestLinkSerializesAndDelays(t *testing.T) {
	m := newLinkModel(LinkSpec{RateBit: 8e6, DelayMs: 10}, 1, 1) // 1 byte per µs
	due := play(m, 3, 1000, 0)
	for i, d := range due {
		if want := int64(i+1)*1e6 + 10e6; d != want {
			t.Errorf("packet %d arrives at %d ns, want %d", i, d, want)
		}
	}
	if len(due) != 3 {
		t.Errorf("%d of 3 packets arrive", len(due))
	}
}

func TestLinkQueueIsBounded(t *testing.T) {
	spec := LinkSpec{RateBit: 100e6, DelayMs: 10, QueueBDP: 4}
	if got := spec.queue(); got != 1e6 {
		t.Errorf("queue of 4 BDP is %v bytes, want 1e6", got)
	}
	m := newLinkModel(LinkSpec{RateBit: 8e6}, 1, 1)
	if due := play(m, 100, 1000, 0); len(due) != 30 {
		t.Errorf("%d packets of 1 kB pass a queue of 30 kB at once, want 30", len(due))
	}
	if m.stats.QueueDrops != 70 || m.stats.InBytes != 100e3 {
		t.Errorf("counted %+v, want 70 drops of 100 kB", m.stats)
	}
}

func TestLinkLoss(t *testing.T) {
	const n = 20000
	for _, name := range []string{"loss5", "loss10", "burst"} {
		spec, _ := findLink(name)
		m := newLinkModel(spec, 3, 1)
		play(m, n, 1000, 1e6)
		got, want := float64(m.stats.Lost)/n, 1-spec.survival()
		if math.Abs(got-want) > want/4 {
			t.Errorf("%s loses %.3f, want about %.3f", name, got, want)
		}
	}
}

// A lost packet has used its air time: the one after it comes no earlier.
func TestLinkLossTakesTime(t *testing.T) {
	m := newLinkModel(LinkSpec{RateBit: 8e6, Loss: 1}, 1, 1)
	m.offer(0, make([]byte, 1000+etherHeader), 1000)
	m.spec.Loss = 0
	m.offer(0, make([]byte, 1000+etherHeader), 1000)
	if due, ok := m.next(); !ok || due != 2e6 {
		t.Errorf("the packet after a lost one arrives at %d ns, want 2e6", due)
	}
}

func TestLinkReordersAndDuplicates(t *testing.T) {
	spec, _ := findLink("reorder")
	m := newLinkModel(spec, 1, 1)
	due := play(m, 10000, 1000, 1e6)
	if m.stats.Reordered < 100 || m.stats.Dups < 20 || len(due) != 10000+int(m.stats.Dups) {
		t.Errorf("%d arrivals, counted %+v; want about 200 reordered and 50 twice", len(due), m.stats)
	}
}

func TestLinkDrawsFromSeed(t *testing.T) {
	spec, _ := findLink("loss10")
	a, b := newLinkModel(spec, 7, 1), newLinkModel(spec, 7, 1)
	other := newLinkModel(spec, 8, 1)
	play(a, 1000, 1000, 1e6)
	play(b, 1000, 1000, 1e6)
	play(other, 1000, 1000, 1e6)
	if a.stats != b.stats {
		t.Errorf("the same seed gives %+v and %+v", a.stats, b.stats)
	}
	if a.stats == other.stats {
		t.Errorf("another seed gives the same %+v", a.stats)
	}
}

func TestLinkCountsAnew(t *testing.T) {
	spec, _ := findLink("clean")
	l := &Link{ab: &linkDir{model: newLinkModel(spec, 1, 1)}, ba: &linkDir{model: newLinkModel(spec, 1, 2)}}
	for _, d := range []*linkDir{l.ab, l.ba} {
		d.model.offer(0, make([]byte, 114), 100)
	}
	l.countAnew()
	l.ab.model.offer(0, make([]byte, 214), 200)
	if ab, ba := l.ab.model.stats, l.ba.model.stats; ab != (LinkStats{InPackets: 1, InBytes: 200}) || ba != (LinkStats{}) {
		t.Errorf("counted %+v and %+v, want what came since: 200 bytes and none", ab, ba)
	}
	if _, ok := l.ab.model.next(); !ok {
		t.Error("what was under way is gone")
	}
}
