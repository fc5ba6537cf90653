package cc

import (
	"math"
	"testing"
	"time"
)

// added is what the mean round trip, from the given one on, is above that of the
// empty path, as a share of it.
func (f *simFlow) added(from int) float64 {
	var sum float64
	for _, r := range f.rtts[from:] {
		sum += float64(r)
	}
	n := float64(len(f.rtts) - from)
	base := float64(f.sim.rtt + durationOf(float64(f.sim.packet), f.sim.bits/8))
	return sum/n/base - 1
}

func jain(v []float64) float64 {
	var sum, squares float64
	for _, x := range v {
		sum += x
		squares += x * x
	}
	return sum * sum / (float64(len(v)) * squares)
}

// meanLoss is the share of packets that the path loses.
func (p *simPath) meanLoss() float64 {
	if p.burst {
		return 10.0 / 110 / 2
	}
	return p.loss
}

// TestTable is one bulk stream on each path; figures are the worst of two seeds.
func TestTable(t *testing.T) {
	base := simPath{bits: 100e6, rtt: 20 * ms, queue: 1}
	with := func(f func(*simPath)) simPath { p := base; f(&p); return p }
	rows := []struct {
		name  string
		path  simPath
		last  time.Duration
		least float64 // of rate x (1 - loss)
		most  float64 // bytes offered per byte delivered, times 1 - loss
		queue float64 // added round trip, of the base
	}{
		{"no loss", base, 5 * time.Second, 0.95, 1.1, 0.25},
		{"no loss, 4 BDP", with(func(p *simPath) { p.queue = 4 }), 5 * time.Second, 0.95, 1.1, 0.25},
		{"no loss, 0.1 BDP", with(func(p *simPath) { p.queue = 0.1 }), 5 * time.Second, 0.92, 1.15, 0.25},
		{"loss 1%", with(func(p *simPath) { p.loss = 0.01 }), 5 * time.Second, 0.92, 1.1, 0.25},
		{"loss 5%", with(func(p *simPath) { p.loss = 0.05 }), 5 * time.Second, 0.92, 1.1, 0.25},
		{"loss 10%", with(func(p *simPath) { p.loss = 0.10 }), 5 * time.Second, 0.92, 1.1, 0.25},
		{"loss 10%, 4 BDP", with(func(p *simPath) { p.loss, p.queue = 0.10, 4 }), 5 * time.Second, 0.92, 1.1, 0.25},
		{"50 Mbit/s 100 ms 2%", simPath{bits: 50e6, rtt: 100 * ms, queue: 1, loss: 0.02}, 10 * time.Second, 0.92, 1.1, 0.25},
		{"radio", simPath{bits: 250e3, rtt: 400 * ms, queue: 1, loss: 0.05}, 45 * time.Second, 0.92, 1.1, 0.4},
		{"radio, 4 BDP", simPath{bits: 250e3, rtt: 400 * ms, queue: 4, loss: 0.05}, 45 * time.Second, 0.92, 1.1, 0.4},
		{"bursts", with(func(p *simPath) { p.burst = true }), 5 * time.Second, 0.92, 1.1, 0.25},
		{"jitter 4 ms", with(func(p *simPath) { p.jitter = 4 * ms }), 5 * time.Second, 0.92, 1.1, 0.5},
		{"jitter 4 ms, 5%", with(func(p *simPath) { p.jitter, p.loss = 4*ms, 0.05 }), 5 * time.Second, 0.92, 1.1, 0.5},
		{"ACKs each 10 ms", with(func(p *simPath) { p.ackTick = 10 * ms }), 5 * time.Second, 0.85, 1.1, 0.75},
		{"timer of 1 ms, 5%", with(func(p *simPath) { p.timer, p.loss = ms, 0.05 }), 5 * time.Second, 0.96, 1.1, 0.25},
		{"ECN", with(func(p *simPath) { p.queue, p.markOver = 4, 2*ms }), 5 * time.Second, 0.95, 1.1, 0.2},
		{"loopback", simPath{bits: 8e9, rtt: 100 * time.Microsecond, queue: 40, timer: ms, packet: 65000, ackTick: 300 * time.Microsecond}, time.Second, 0.9, 1.1, 100},
	}
	t.Logf("%-22s %8s %8s %8s  %s", "path", "of rate", "offered", "added", "at the end")
	for _, row := range rows {
		least, most, queue := math.Inf(1), 0.0, 0.0
		var state string
		for seed := range uint64(2) {
			s := newSim(row.path, seed+1)
			f := s.flow(NewBBR(s.packet, 0, seed))
			f.start(0)
			s.run(row.last / 4)
			from := len(f.rtts)
			s.run(row.last)
			got := float64(f.delivered-f.wasted) * 8 / row.last.Seconds() / row.path.bits / (1 - row.path.meanLoss())
			least = min(least, got)
			most = max(most, float64(f.offered)/float64(f.delivered-f.wasted)*(1-row.path.meanLoss()))
			queue = max(queue, f.added(from))
			state = f.cc.String()
		}
		t.Logf("%-22s %8.3f %8.3f %8.3f  %s", row.name, least, most, queue, state)
		if least < row.least || most > row.most || queue > row.queue {
			t.Errorf("%s: want at least %.3f of the rate, at most %.3f offered, %.3f added", row.name, row.least, row.most, row.queue)
		}
	}
}

// TestEightFlows starts them at once, and one after the other, in several runs.
func TestEightFlows(t *testing.T) {
	const flows, runs, last = 8, 4, 10
	for _, c := range []struct {
		queue float64
		apart time.Duration
		mean  float64 // of the Jain index
	}{
		{1, 0, 0.99},
		{1, 300 * ms, 0.99},
		{4, 0, 0.99},
		{4, 300 * ms, 0.85}, // newcomers that never saw the path empty keep more until it is
	} {
		var link, fair, worst, added float64 = 0, 0, 1, 0
		for run := range uint64(runs) {
			s := newSim(simPath{bits: 100e6, rtt: 20 * ms, queue: c.queue}, 7+run)
			for i := range flows {
				s.flow(nil).greet(time.Duration(i)*c.apart, run<<8|uint64(i))
			}
			from := (flows-1)*c.apart + s.rtt
			s.run(from)
			before := make([]int, flows)
			for i, f := range s.flows {
				before[i] = f.delivered
			}
			s.run(from + last*time.Second)
			var shares []float64
			for i, f := range s.flows {
				shares = append(shares, float64(f.delivered-f.wasted-before[i])*8/last/s.bits)
				link += shares[i] / runs
				added += f.added(len(f.rtts)/2) / flows / runs
			}
			fair += jain(shares) / runs
			worst = min(worst, jain(shares))
		}
		t.Logf("eight flows, queue of %g BDP, %v apart: %.3f of the link, Jain %.4f, %.4f at worst, added %.2f",
			c.queue, c.apart, link, fair, worst, added)
		if link < 0.95 || fair < c.mean {
			t.Errorf("want 0.95 of the link and %g", c.mean)
		}
	}
}

// TestStartup: [MSX-8.6] behind a handshake a flow fills the link in few round trips, and does not
// overflow the queue before it has found the rate.
func TestStartup(t *testing.T) {
	for _, rtt := range []time.Duration{20 * ms, 100 * ms} {
		s := newSim(simPath{bits: 100e6, rtt: rtt, queue: 1}, 1)
		f := s.flow(nil)
		f.greet(0, 1)
		s.run(rtt + time.Second)
		got := float64(f.delivered-f.wasted) * 8 / s.bits
		missed := (time.Second - time.Duration(got*float64(time.Second))).Seconds() / rtt.Seconds()
		t.Logf("round trip %v: %.1f of them missed in the first second, %d packets dropped; %v", rtt, missed, s.dropped, f.cc)
		holds := int(s.bits/8*rtt.Seconds()) / s.packet
		if most := 2.85 + math.Log2(rtt.Seconds()/0.02); missed > most || s.dropped > holds*3/4 {
			t.Errorf("want %.1f missed, and 3/4 of the %d packets that the path holds dropped, at most", most, holds)
		}
	}
}

// TestBesideCubic: [MSX-8.4] it shares the link, with a queue of one BDP, with a CUBIC flow that starts
// later, at the same time and earlier.
func TestBesideCubic(t *testing.T) {
	for _, lead := range []time.Duration{3 * time.Second, 0, -3 * time.Second} {
		s := newSim(link, 7)
		ours, theirs := s.flow(NewBBR(s.packet, 0, 1)), s.flow(NewCubic(s.packet))
		ours.start(max(0, -lead))
		theirs.start(max(0, lead))
		s.run(lead.Abs())
		a, b := ours.delivered, theirs.delivered
		const last = 20
		s.run(lead.Abs() + last*time.Second)
		share := func(f *simFlow, before int) float64 { return float64(f.delivered-before) * 8 / last / s.bits }
		t.Logf("we start %v earlier: ours %.3f, CUBIC's %.3f; %v", lead, share(ours, a), share(theirs, b), ours.cc)
		if min(share(ours, a), share(theirs, b)) < 0.25 {
			t.Errorf("one is below 25%%")
		}
	}
}

// besideCubic gives what we and CUBIC get of a path from the second second on, in the
// mean of five runs. We start lead earlier.
func besideCubic(path simPath, lead time.Duration) (ours, theirs float64) {
	const runs, last = 5, 10
	for seed := range uint64(runs) {
		s := newSim(path, 7+seed)
		a, b := s.flow(NewBBR(s.packet, 0, seed)), s.flow(NewCubic(s.packet))
		a.start(max(0, -lead))
		b.start(max(0, lead))
		s.run(lead.Abs() + 2*time.Second)
		before := [2]int{a.delivered, b.delivered}
		s.run(lead.Abs() + (2+last)*time.Second)
		ours += float64(a.delivered-before[0]) * 8 / last / s.bits / runs
		theirs += float64(b.delivered-before[1]) * 8 / last / s.bits / runs
	}
	return ours, theirs
}

// TestRivalIsFoundSoon: CUBIC's taking over is seen in the decline of our rate, before
// little of that is left. Where the hosts stall, round trips and rates tell less.
func TestRivalIsFoundSoon(t *testing.T) {
	path := simPath{bits: 100e6, rtt: 20 * ms, queue: 1, packet: 1480, timer: ms}
	stalls := path
	stalls.stall, stalls.apart = 5*ms, 50*ms
	sum := 0.0
	for _, lead := range []time.Duration{3 * time.Second, 0, -3 * time.Second} {
		ours, theirs := besideCubic(path, lead)
		mine, others := besideCubic(stalls, lead)
		t.Logf("we start %v earlier: ours %.3f, CUBIC's %.3f; with stalls ours %.3f, CUBIC's %.3f", lead, ours, theirs, mine, others)
		if min(ours, theirs) < 0.25 {
			t.Errorf("one is below 25%%")
		}
		sum += mine / 3
	}
	if sum < 0.12 {
		t.Errorf("ours with stalls %.3f in the mean, want 0.12", sum)
	}
}
