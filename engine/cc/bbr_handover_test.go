package cc

import (
	"testing"
	"time"
)

// handOver leaves what f holds to the others of its simulation.
func (f *simFlow) handOver() {
	var heirs []*simFlow
	for _, g := range f.sim.flows {
		if g != f && g.limit == 0 && g.cc.Held() > 0 {
			heirs = append(heirs, g)
		}
	}
	part := f.cc.Yield() / float64(len(heirs))
	for _, g := range heirs {
		g.cc.Take(part)
	}
}

// TestHandover: [MSX-8.7] when some of eight flows end, what they leave is used at once, where
// probes would find it in a second or two; and it makes no longer queue than all had together.
func TestHandover(t *testing.T) {
	const flows, runs, ends = 8, 4, 2 * time.Second
	for _, c := range []struct {
		ending int
		apart  time.Duration
		least  float64
	}{{4, 0, 0.95}, {7, 100 * ms, 0.95}} {
		var used, added, before [2]float64
		for way := range used {
			for run := range uint64(runs) {
				s := newSim(link, 7+run)
				for i := range flows {
					s.flow(nil).greet(0, run<<8|uint64(i))
				}
				s.run(time.Second)
				trips := make([]int, flows)
				for i, f := range s.flows {
					trips[i] = len(f.rtts)
				}
				s.run(ends)
				for i, f := range s.flows {
					before[way] += f.added(trips[i]) / flows / runs
				}
				for i, f := range s.flows[:c.ending] {
					s.after(time.Duration(i)*c.apart, func() { f.feed(time.Hour, 1) })
					if way == 1 {
						s.after(time.Duration(i)*c.apart+5*s.rtt/4, f.handOver)
					}
				}
				for i, f := range s.flows {
					used[way] -= float64(f.delivered-f.wasted) * 8 / s.bits / runs
					trips[i] = len(f.rtts)
				}
				s.run(ends + time.Second)
				for i, f := range s.flows {
					used[way] += float64(f.delivered-f.wasted) * 8 / s.bits / runs
					if i >= c.ending {
						added[way] += f.added(trips[i]) / float64(flows-c.ending) / runs
					}
				}
			}
		}
		t.Logf("%d of eight flows end, %v apart: %.3f of the link in the second after, added %.2f; without handing over %.3f, %.2f",
			c.ending, c.apart, used[1], added[1], used[0], added[0])
		if used[1] < c.least || added[1] > before[1] {
			t.Errorf("want %.3f, and at most %.2f added, as before", c.least, before[1])
		}
	}
}

// TestHeld: only who was limited by the path for a while has something to leave: no newcomer, no
// requests and answers, and nobody twice.
func TestHeld(t *testing.T) {
	s, f, b := warm()
	rate := b.rate.max()
	if got := b.Held(); got < 0.9*12.5e6 || got > 1.3*12.5e6 {
		t.Errorf("%.0f bytes/s held after 2 s of the whole link", got)
	}
	f.feed(time.Hour, 1)
	s.run(s.now + 2*s.rtt)
	if b.Held() == 0 {
		t.Error("nothing held two round trips after the end")
	}
	b.loss.random, b.others = 0.01, time.Hour
	delivered := b.delivered
	if got := b.Yield(); got < 0.9*rate || b.Held() != 0 || b.Yield() != 0 {
		t.Errorf("yields %.0f of %.0f bytes/s, then holds %.0f", got, rate, b.Held())
	}
	if got, want := b.Window(), initialWindow(s.packet, s.rtt); got != want {
		t.Errorf("begins anew with a window of %d, want %d", got, want)
	}

	if b.loss.random != 0.01 || b.others != time.Hour || b.delivered != delivered {
		t.Error("forgets what the path loses, that others send, or on what the packets in flight will be measured")
	}

	t.Log("# One that has little to send all the time, and one whose answers are two windows")
	s, f, b = warm()
	f.feed(5*ms, 5*s.packet)
	s.run(s.now + time.Second)
	if got := b.Held(); got != 0 {
		t.Errorf("%.0f bytes/s held by one that the application limits: %v", got, b)
	}
	s, f, b = warm()
	f.limit, f.budget = 1, 0
	for range 20 {
		s.run(s.now + 200*ms)
		f.budget = 64 * s.packet
		f.send()
		s.run(s.now + 2*s.rtt)
		if got := b.Held(); got != 0 {
			t.Fatalf("%.0f bytes/s held after an answer: %v", got, b)
		}
	}

	t.Log("# A newcomer to a path that nobody uses up")
	s = newSim(simPath{bits: 100e9, rtt: 20 * ms, queue: 1}, 1)
	b = newBBR(s.packet, s.rtt, 1)
	s.flow(b).start(0)
	s.run(10 * s.rtt)
	if b.phase != startup || b.tenure < heldRounds || b.Held() != 0 {
		t.Errorf("%.0f bytes/s held in startup, after %d rounds: %v", b.Held(), b.tenure, b)
	}
}

// TestTake: the rate grows by what is taken, in each phase, and what is in flight with it, also
// where an overflow has bounded that.
func TestTake(t *testing.T) {
	s, _, b := warm()
	b.enterCruise(b.clock(s.clock()))
	b.inflightHi = b.bdp(1)
	b.decide()
	window, rate := b.Window(), b.Rate()
	b.Take(b.Held())
	if got := b.Window(); got < 2*window-1 || b.Rate() < 1.99*rate {
		t.Errorf("twice the rate, and a window of %d, was %d: %v", got, window, b)
	}
	b.enterShare(b.clock(s.clock()))
	b.decide()
	rate = b.Rate()
	if got := b.Held(); got != rate {
		t.Errorf("%.0f held of the %.0f bytes/s at which it shares", got, rate)
	}
	b.Take(1000)
	if got := b.Rate(); got != rate+1000 {
		t.Errorf("shares at %.0f bytes/s, want %.0f", got, rate+1000)
	}
}
