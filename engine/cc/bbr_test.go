package cc

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

var link = simPath{bits: 100e6, rtt: 20 * ms, queue: 1}

// warm is a flow that has filled the link for 2 s.
func warm() (*simulation, *simFlow, *bbr) {
	s := newSim(link, 1)
	b := newBBR(s.packet, 0, 1)
	f := s.flow(b)
	f.start(0)
	s.run(2 * time.Second)
	return s, f, b
}

// TestAppLimited: phases in which the application has little to send do not lower
// the estimate, and nothing of the little is held.
func TestAppLimited(t *testing.T) {
	s, f, b := warm()
	rate := b.rate.max()
	f.feed(20*ms, 5*s.packet)
	s.run(3 * time.Second)
	before, from := f.offered, len(f.rtts)
	s.run(20 * time.Second)
	if got := b.rate.max(); got < 0.9*rate {
		t.Errorf("rate %.0f after 18 s of little data, was %.0f: %v", got, rate, b)
	}
	if got, want := f.offered-before, 17*50*5*s.packet; math.Abs(float64(got)/float64(want)-1) > 0.01 {
		t.Errorf("%d bytes sent, want %d", got, want)
	}
	// The receiver's delay of up to a quarter of the round trip is in these.
	if got := f.added(from); got > 0.3 {
		t.Errorf("round trip grew by %.2f", got)
	}
	if b.phase == probeRTT {
		t.Error("probes the round trip that it sees all the time")
	}
}

// TestIdleRestart: after idleness packets are paced, not sent in a burst.
func TestIdleRestart(t *testing.T) {
	s, f, b := warm()
	f.feed(time.Hour, 1)
	s.run(60 * time.Second)
	f.limit = 0
	before := f.offered
	f.send()
	if got := (f.offered - before) / s.packet; got > 22 {
		t.Errorf("burst of %d packets after a minute, want 2 ms of the rate", got)
	}
	got := f.offered
	s.run(61 * time.Second)
	if got = f.offered - got; float64(got) < 0.9*12.5e6 {
		t.Errorf("%d bytes in the second after, want 12.5 MB: %v", got, b)
	}
	if b.phase == probeRTT {
		t.Error("idleness is followed by a probe of the round trip")
	}
}

// TestFirstFlight: before anything is known ten packets leave at once, whatever
// their size.
func TestFirstFlight(t *testing.T) {
	for _, c := range []Controller{NewBBR(1200, 0, 1), NewCubic(1200)} {
		var p Packet
		var pacer Pacer
		for i := range 10 {
			if c.Window() < (i+1)*1200 {
				t.Fatalf("window %d holds packet %d back: %v", c.Window(), i, c)
			}
			if now := at(time.Duration(i) * ms); pacer.ReadyAt(now).After(now) {
				t.Fatalf("packet %d is held: %v", i, c)
			}
			c.Sent(at(time.Duration(i)*ms), &p, 1200, i*1200)
			pacer.Sent(at(time.Duration(i)*ms), 1200, c.Rate())
		}
	}
}

// TestPathChanges: the rate is found again when the path becomes quicker, slower, longer.
// A longer path is taken for somebody's queue at first.
func TestPathChanges(t *testing.T) {
	s := newSim(link, 1)
	f := s.flow(NewBBR(s.packet, 0, 1))
	f.start(0)
	for _, change := range []struct {
		what  string
		after time.Duration
		do    func()
	}{
		{"four times slower", 3 * time.Second, func() { s.bits = 25e6 }},
		{"quick again", 3 * time.Second, func() { s.bits = 100e6 }},
		{"three times longer", 30 * time.Second, func() { s.rtt = 60 * ms }},
		{"short again", 3 * time.Second, func() { s.rtt = 20 * ms }},
	} {
		s.run(s.now + 3*time.Second)
		change.do()
		s.run(s.now + change.after)
		before := f.delivered
		s.run(s.now + 2*time.Second)
		if got := float64(f.delivered-before) * 4 / s.bits; got < 0.85 {
			t.Errorf("%s: %.2f of the rate %v later: %v", change.what, got, change.after, f.cc)
		}
	}
}

// TestPolicer: losses of our own making, without a queue, die out.
func TestPolicer(t *testing.T) {
	p := link
	p.queue = 0.02
	s := newSim(p, 1)
	f := s.flow(NewBBR(s.packet, 0, 1))
	f.start(0)
	s.run(10 * time.Second)
	if got := float64(s.dropped*s.packet) / float64(f.offered); got > 0.15 {
		t.Errorf("%.2f of the packets dropped: %v", got, f.cc)
	}
	if got := float64(f.delivered) * 8 / 10 / s.bits; got < 0.9 {
		t.Errorf("%.2f of the rate", got)
	}
}

// FuzzController calls anything in any order; what comes out stays sane.
func FuzzController(f *testing.F) {
	f.Add([]byte{0, 10, 0, 10, 1, 5, 5, 90, 2, 0, 3, 0, 4, 200, 6, 0, 7, 1}, uint64(1))
	seed := rand.New(rand.NewPCG(1, 2))
	long := make([]byte, 4096)
	for i := range long {
		long[i] = byte(seed.Uint32())
	}
	f.Add(long, uint64(2))
	f.Fuzz(func(t *testing.T, ops []byte, seed uint64) {
		for _, c := range []Controller{NewBBR(1200, 0, seed), NewCubic(1200)} {
			drive(t, c, ops)
		}
	})
}

// drive reads pairs of an operation and its argument.
func drive(t *testing.T, c Controller, ops []byte) {
	now, size, inFlight := at(0), 1200, 0
	var flying, gone []Packet
	for ; len(ops) >= 2; ops = ops[2:] {
		op, arg := ops[0], int(ops[1])
		switch op % 11 {
		case 0, 8:
			flying = append(flying, Packet{})
			c.Sent(now, &flying[len(flying)-1], max(1, size*arg/255), inFlight)
			inFlight += flying[len(flying)-1].Bytes
		case 1, 2:
			if len(flying) == 0 {
				break
			}
			i := arg % len(flying)
			inFlight -= flying[i].Bytes
			if op%11 == 1 {
				c.Acked(now, &flying[i])
			} else {
				c.Lost(now, &flying[i])
				gone = append(gone, flying[i])
			}
			flying = append(flying[:i], flying[i+1:]...)
		case 3:
			if len(gone) > 0 {
				c.Spurious(now, &gone[len(gone)-1])
				gone = gone[:len(gone)-1]
			}
		case 4:
			c.Marked(now, arg-10)
		case 5:
			c.EndAck(now, time.Duration(arg)*time.Duration(arg)*100*time.Microsecond, inFlight)
		case 6:
			c.AppLimited(now, inFlight)
		case 9:
			c.Take(float64(arg * arg * arg))
		case 10:
			if got := c.Yield(); got < 0 || math.IsNaN(got) || c.Held() != 0 {
				t.Fatalf("yielded %v, and holds %v: %v", got, c.Held(), c)
			}
		case 7:
			now = now.Add(time.Duration(arg-8) * time.Duration(arg) * 10 * time.Microsecond)
			if arg == 255 {
				size = 65000
				c.SetPacketSize(size)
			}
		}
		if w := c.Window(); w < 2*size || w > maxWindow {
			t.Fatalf("window %d: %v", w, c)
		}
		_, paced := c.(*bbr)
		if r := c.Rate(); math.IsNaN(r) || math.IsInf(r, 0) || r < 0 || paced && r == 0 {
			t.Fatalf("rate %v: %v", r, c)
		}
	}
}

func BenchmarkController(b *testing.B) {
	for _, row := range []struct {
		name string
		c    Controller
	}{{"bbr", NewBBR(1200, 0, 1)}, {"cubic", NewCubic(1200)}} {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			c, now := row.c, at(0)
			var ring [64]Packet
			var pacer Pacer
			for i := range b.N {
				p := &ring[i%64]
				if i >= 64 {
					c.Acked(now, p)
					if i%8 == 0 {
						c.EndAck(now, 640*time.Microsecond, 63*1200)
					}
				}
				pacer.ReadyAt(now)
				c.Sent(now, p, 1200, 63*1200)
				pacer.Sent(now, 1200, c.Rate())
				now = now.Add(10 * time.Microsecond)
			}
		})
	}
}

// TestNoAllocation: none per packet, none per ACK.
func TestNoAllocation(t *testing.T) {
	for _, c := range []Controller{NewBBR(1200, 0, 1), NewCubic(1200)} {
		var p Packet
		now := at(0)
		if n := testing.AllocsPerRun(1000, func() {
			c.Sent(now, &p, 1200, 0)
			now = now.Add(ms)
			c.Acked(now, &p)
			c.EndAck(now, ms, 0)
		}); n != 0 {
			t.Errorf("%v allocations per packet: %v", n, c)
		}
	}
}

// radio is a slow path that holds nine packets.
var radio = simPath{bits: 250e3, rtt: 400 * ms, queue: 1, loss: 0.05, packet: 1500}

// TestFewPackets: where a path holds few packets, one of them in the queue is no reason to
// look for the base round trip, which would leave the path empty, nor to take it for
// others' queue; and the base that a small handshake gave is that of full packets.
func TestFewPackets(t *testing.T) {
	const seeds, last, step = 8, 60 * time.Second, 10 * ms
	one := durationOf(float64(radio.packet), radio.bits/8)
	stays, short := make(map[phase]float64), 0
	for seed := range uint64(seeds) {
		s := newSim(radio, seed)
		f := s.flow(nil)
		f.greet(0, seed)
		s.run(radio.rtt)
		for s.now < last {
			s.run(s.now + step)
			b := f.cc.(*bbr)
			stays[b.phase] += step.Seconds() / last.Seconds() / seeds
			if b.phase == cruise && b.base.rtt < radio.rtt+one*9/10 {
				short++
			}
		}
	}
	if short > 0 {
		t.Errorf("cruises with a base below that of full packets, %v, for %v", radio.rtt+one, time.Duration(short)*step)
	}
	if stays[probeRTT] > 0.03 || stays[share] > 0.06 {
		t.Errorf("%.3f of the time probing the round trip, want 0.03 at most; %.3f sharing, want 0.06", stays[probeRTT], stays[share])
	}
}

// TestNearAlone: where others send too, a packet in the queue is no base round trip.
func TestNearAlone(t *testing.T) {
	b := newBBR(1500, 400*ms, 1)
	b.rate.add(30e3)
	if got := b.near(); got < 80*ms {
		t.Errorf("alone, %v above the base passes for it, want about two packets of 50 ms", got)
	}
	b.enterShare(0)
	if got := b.near(); got != b.base.rtt/32 {
		t.Errorf("among others, %v above the base passes for it, want %v", got, b.base.rtt/32)
	}
}
