package cc

import (
	"math"
	"testing"
	"time"
)

// TestMarkingQueue: [MSX-8.5] senders to a queue that marks above a length, and holds four
// times rate x round trip, keep the link busy, and the queue shorter than where only
// its overflow tells.
func TestMarkingQueue(t *testing.T) {
	for _, c := range []struct {
		algorithm Algorithm
		flows     int
		over      time.Duration
		shorter   float64 // the queue, as a share of the one without marks
	}{
		{BBR, 1, 2 * ms, 1.05}, // it is short anyway
		{BBR, 8, 2 * ms, 0.5},
		{BBR, 8, 5 * ms, 0.8},
		{CUBIC, 1, 10 * ms, 0.1},
		{CUBIC, 8, 5 * ms, 0.1},
	} {
		run := func(over time.Duration) (rate, added float64, dropped int) {
			s := newSim(simPath{bits: 100e6, rtt: 20 * ms, queue: 4, markOver: over}, 7)
			for i := range c.flows {
				s.flow(c.algorithm.New(s.packet, 0, uint64(i))).start(time.Duration(i) * 100 * ms)
			}
			from, before := make([]int, c.flows), 0
			s.run(5 * time.Second)
			for i, f := range s.flows {
				from[i] = len(f.rtts)
				before += f.delivered - f.wasted
			}
			s.dropped = 0
			s.run(15 * time.Second)
			after := 0
			for i, f := range s.flows {
				after += f.delivered - f.wasted
				added += f.added(from[i]) / float64(c.flows)
			}
			return float64(after-before) * 8 / 10 / s.bits, added, s.dropped
		}
		_, plain, _ := run(0)
		rate, added, dropped := run(c.over)
		t.Logf("%v, %d flows, marks above %v: %.3f of the link, %.3f added where it is %.3f without marks, %d dropped",
			c.algorithm, c.flows, c.over, rate, added, plain, dropped)
		if rate < 0.95 || added > c.shorter*plain || dropped > 0 {
			t.Errorf("%v, %d flows: want 0.95 of the link, %.2f of the queue, and none dropped", c.algorithm, c.flows, c.shorter)
		}
	}
}

// TestCubicMarked: [MSX-8.5] CUBIC answers marks as it does losses, once for all of a round trip.
func TestCubicMarked(t *testing.T) {
	c := newCubic(1000)
	c.cwnd, c.ssthresh = 1000, 1000
	now, rtt := at(time.Second), 100*ms
	round := func(marks int) {
		ps := make([]Packet, 20)
		for i := range ps {
			c.Sent(now, &ps[i], 1000, 900_000+1000*i)
		}
		now = now.Add(rtt)
		for i := range ps {
			c.Acked(now, &ps[i])
			if i < marks {
				c.Marked(now, 1)
			}
		}
		c.EndAck(now, rtt, 900_000)
	}
	round(1)
	if got := math.Round(c.cwnd); got != 700 {
		t.Errorf("window of %v packets after a mark at 1000, want 700", got)
	}
	now = now.Add(ms)
	round(20)
	if got := math.Round(c.cwnd); got != 490 {
		t.Errorf("window of %v packets after 20 marks of the next round, want 490", got)
	}
	c.Marked(now, 0)
	c.Marked(now, 5) // of packets sent before that
	if got := math.Round(c.cwnd); got != 490 {
		t.Errorf("window of %v packets after more marks of the same round, want 490", got)
	}
}
