package cc

import (
	"math"
	"testing"
	"time"
)

const ms = time.Millisecond

var day = time.Unix(1e9, 0)

func at(d time.Duration) time.Time { return day.Add(d) }

func wantRate(t *testing.T, why string, s sample, want float64) {
	t.Helper()
	if got := float64(s.delivered) / s.interval.Seconds(); math.Abs(got/want-1) > 0.001 {
		t.Errorf("%s: %.0f bytes/s, want %.0f (%+v)", why, got, want, s)
	}
}

func TestSampler(t *testing.T) {
	var s sampler
	var p [6]Packet

	t.Log("# Four packets leave at once; their ACK takes a round trip")
	for i := range 4 {
		s.packetSent(at(0), &p[i], 1000, i*1000)
	}
	for i := range 4 {
		s.packetAcked(at(100*ms), &p[i])
	}
	got, ok := s.take()
	if !ok || got.limited || got.prior != 0 || got.inFlight != 4000 {
		t.Fatalf("sample %+v, %v", got, ok)
	}
	wantRate(t, "four in 100 ms", got, 40000)
	if _, ok := s.take(); ok {
		t.Error("a second sample of the same ACK")
	}

	t.Log("# One leaves early and one late, both ACKs come together: the time of sending counts")
	s.packetSent(at(100*ms), &p[4], 1000, 0)
	s.packetSent(at(300*ms), &p[5], 1000, 1000)
	s.packetAcked(at(310*ms), &p[4])
	s.packetAcked(at(310*ms), &p[5])
	got, _ = s.take()
	wantRate(t, "two in 210 ms", got, 2000/0.210)

	t.Log("# A lost packet is in the sample's losses, until it turns up")
	s.packetSent(at(400*ms), &p[0], 1000, 0)
	s.packetSent(at(400*ms), &p[1], 1000, 1000)
	s.packetLost(&p[0])
	s.packetAcked(at(500*ms), &p[1])
	if got, _ = s.take(); got.lost != 1000 || got.delivered != 1000 {
		t.Errorf("sample %+v, want 1000 lost and 1000 delivered", got)
	}
	s.packetFound(&p[0])
	if s.packetAcked(at(510*ms), &p[0]); s.lost != 0 {
		t.Errorf("%d lost after all was found", s.lost)
	}

	t.Log("# What leaves after the application had nothing to send is limited, until that is delivered")
	s.take()
	s.appLimited(0)
	s.packetSent(at(600*ms), &p[0], 1000, 0)
	s.packetAcked(at(700*ms), &p[0])
	if got, _ = s.take(); !got.limited {
		t.Error("sample is not limited")
	}
	s.packetSent(at(700*ms), &p[0], 1000, 0)
	if p[0].limited {
		t.Error("limited for ever")
	}
}

func TestBaseRTT(t *testing.T) {
	var b baseRTT
	b.add(0, 20*ms, 0)
	b.add(time.Second, 30*ms, 0)
	if b.rtt != 20*ms || b.stale(5*time.Second) {
		t.Errorf("base %+v", b)
	}
	if !b.stale(5*time.Second + 1) {
		t.Error("not stale after 5 s")
	}
	b.add(6*time.Second, 21*ms, ms)
	if b.rtt != 20*ms || b.stale(10*time.Second) {
		t.Errorf("nearly seen: base %+v", b)
	}
	b.add(15*time.Second, 40*ms, ms)
	b.add(17*time.Second, 41*ms, ms)
	if b.rtt != 40*ms {
		t.Errorf("10 s without it: base %v, want the least of late, 40 ms", b.rtt)
	}
}

func TestPacer(t *testing.T) {
	var p Pacer
	now := at(0)
	burst := func(n int, rate float64) (packets int) {
		for !p.ReadyAt(now).After(now) {
			p.Sent(now, n, rate)
			if packets++; packets > 10000 {
				t.Fatal("no end to the burst")
			}
		}
		return packets
	}
	t.Log("# 10 kB/s in packets of 1 kB: two at once, then one each 100 ms")
	if got := burst(1000, 10e3); got != 2 {
		t.Errorf("burst of %d, want 2", got)
	}
	if got := p.ReadyAt(now).Sub(now); got != 100*ms {
		t.Errorf("ready in %v, want 100 ms", got)
	}
	t.Log("# 100 MB/s: 2 ms of the rate, and the packet that exceeds it")
	now = now.Add(time.Hour)
	if got := burst(1000, 100e6); got != 201 {
		t.Errorf("burst of %d after idleness, want 201", got)
	}
	t.Log("# A timer that fires each millisecond, or nearly each two, keeps the rate")
	sent := 0
	for range 1000 {
		now = now.Add(ms)
		sent += burst(1000, 100e6)
		now = now.Add(1900 * time.Microsecond)
		sent += burst(1000, 100e6)
	}
	if sent < 289900 || sent > 290300 {
		t.Errorf("%d packets in 2.9 s, want 290000", sent)
	}
	t.Log("# Unpaced")
	for range 100 {
		p.Sent(now, 65000, 0)
		if p.ReadyAt(now).After(now) {
			t.Fatal("held without a rate")
		}
	}
	t.Log("# A ping-pong is never held")
	for range 100 {
		now = now.Add(ms)
		if p.ReadyAt(now).After(now) {
			t.Fatal("a lone packet is held")
		}
		p.Sent(now, 1000, 1e6)
	}
}

func TestHyStart(t *testing.T) {
	var h hystart
	h.reset()
	delivered := int64(0)
	round := func(rtt time.Duration) {
		prior := delivered
		delivered += 10
		for range 10 {
			h.ack(prior, delivered, rtt)
		}
	}
	round(20 * ms)
	if round(23 * ms); h.css {
		t.Error("3 ms more, below the least threshold of 4 ms: left slow start")
	}
	round(23 * ms)
	if round(28 * ms); !h.css || h.growth() != 0.25 {
		t.Error("5 ms more in a round: still in slow start")
	}
	if round(22 * ms); h.css {
		t.Error("the round trip fell below where it began: still conservative")
	}
	round(40 * ms)
	for i := range cssRounds {
		if h.done {
			t.Errorf("done after %d rounds, want %d", i, cssRounds)
		}
		round(40 * ms)
	}
	if !h.done {
		t.Error("not done after 5 conservative rounds")
	}
}

// ackWindow has a full window acknowledged at now, sent a round trip of rtt ago.
func (c *cubic) ackWindow(now time.Time, rtt time.Duration, lose int) (lost []Packet) {
	n := c.Window() / c.packet
	ps := make([]Packet, n)
	for i := range ps {
		c.Sent(now.Add(-rtt), &ps[i], c.packet, i*c.packet)
	}
	for i := range ps {
		if i < lose {
			c.Lost(now, &ps[i])
			lost = append(lost, ps[i])
		} else {
			c.Acked(now, &ps[i])
		}
	}
	c.EndAck(now, rtt, 0)
	return lost
}

// TestCubicWindow compares with W_cubic(t) of RFC 9438: 0.4 (t - K)^3 + W_max.
func TestCubicWindow(t *testing.T) {
	c := newCubic(1000)
	c.cwnd, c.ssthresh = 1000, 1000
	now, rtt := at(time.Second), 100*ms
	c.ackWindow(now, rtt, 3)
	if got := c.Window(); got != 700000 {
		t.Fatalf("window %d after a loss at 1000 packets, want 700 packets", got)
	}
	now = now.Add(rtt + ms)
	c.ackWindow(now, rtt, 0) // begins the epoch
	began := now
	k := math.Cbrt(300 / 0.4)
	for range 150 {
		now = now.Add(rtt + ms)
		c.ackWindow(now, rtt, 0)
		x := now.Sub(began).Seconds()
		want := 0.4*math.Pow(x-k, 3) + 1000
		if got := float64(c.Window()) / 1000; math.Abs(got/want-1) > 0.03 {
			t.Fatalf("%.1f s after the loss: window of %.1f packets, want %.1f", x, got, want)
		}
	}
	t.Log("# All losses of an event turn out spurious: it is undone")
	before := c.Window()
	now = now.Add(rtt + ms)
	lost := c.ackWindow(now, rtt, 2)
	if got := c.Window(); float64(got) > 0.71*float64(before) {
		t.Fatalf("window %d after a loss at %d", got, before)
	}
	c.Spurious(now, &lost[0])
	c.Spurious(now, &lost[1])
	if got := c.Window(); got < before {
		t.Errorf("window %d after undoing, want %d", got, before)
	}
}

func TestECN(t *testing.T) {
	var e ecnEcho
	e.marked = 1
	if e.endRound(100) || e.factor() < 0.99 {
		t.Errorf("one mark in a hundred: factor %.3f", e.factor())
	}
	for range 20 {
		e.marked = 100
		if !e.endRound(100) {
			t.Fatal("all are marked, and that is no congestion")
		}
	}
	if e.factor() > 0.3 {
		t.Errorf("all packets of 20 rounds are marked: factor %.3f", e.factor())
	}
	for range 16 {
		e.endRound(100)
	}
	if e.factor() != 1 {
		t.Errorf("16 rounds without marks: factor %.3f", e.factor())
	}
}

// TestInitialWindow: 10 packets, or 32 where the round trip is short, in bytes no
// more than ordinary packets would be, but two.
func TestInitialWindow(t *testing.T) {
	for _, c := range []struct {
		packet int
		rtt    time.Duration
		want   int
	}{
		{1200, 0, 12_000},
		{1200, 20 * time.Millisecond, 38_400},
		{1200, 200 * time.Millisecond, 38_400},
		{1200, 400 * time.Millisecond, 12_000}, // as of a radio, whose queue is short
		{9000, 0, 18_000},
		{65507, time.Millisecond, 131_014},
	} {
		if got := initialWindow(c.packet, c.rtt); got != c.want {
			t.Errorf("packets of %d bytes, round trip %v: %d bytes, want %d", c.packet, c.rtt, got, c.want)
		}
	}
}
