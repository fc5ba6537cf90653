package msp

import (
	"testing"
	"time"
)

const ms = time.Millisecond

// wantRTT wants the filter to hold just this.
func (h *harness) wantRTT(why string, smoothed, variance time.Duration) {
	h.t.Helper()
	if s := h.c.Stats(); s.RTT != smoothed || s.RTTVar != variance {
		h.t.Fatalf("%s: smoothed %v, variation %v, want %v and %v", why, s.RTT, s.RTTVar, smoothed, variance)
	}
}

// fresh returns a connection that has measured nothing.
func fresh(t *testing.T, first Seq) *harness {
	h := dialled(t, first)
	h.c.snd.rtt = rttState{roundEnd: first}
	return h
}

// TestSample: [MSP-4.2.1] a sample is the time from the sending of a message to the
// arrival of the first ack that covers it; [MSP-4.2.5] the filter is RFC 6298's.
func TestSample(t *testing.T) {
	for _, first := range []Seq{0, 0xffff} {
		h := fresh(t, first)
		h.send("0")
		h.advance(80 * ms)
		h.write(h.ack(FlagAck, 0))
		h.wantRTT("at first R and R/2", 80*ms, 40*ms)
		h.send("1")
		h.advance(120 * ms)
		h.write(h.ack(FlagAck, 1))
		h.wantRTT("variation by 1/4, smoothed by 1/8", 85*ms, 40*ms)
		h.write(h.ack(FlagAck, 1))
		h.wantRTT("only the first ack that covers it", 85*ms, 40*ms)
		h.send("2")
		h.advance(45 * ms)
		h.write(h.ack(FlagAck, 2))
		h.wantRTT("a shorter one", 80*ms, 40*ms)
	}
}

// TestKarn: [MSP-4.2.2] an ack that covers "a message that was sent more than once
// MUST NOT give a sample", also not for the others, which waited for that one.
func TestKarn(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.c.snd.rtt = rttState{roundEnd: h.first}
		h.send("0")
		h.advance(initialTimeout)
		h.send("1", "2")
		h.advance(30 * ms)
		h.write(h.ack(FlagAck, 1))
		h.wantRTT("0 was sent twice, and 1 may have waited for it", 0, 0)
		h.advance(30 * ms)
		h.write(h.ack(FlagAck, 2))
		h.wantRTT("2 was sent once", 60*ms, 30*ms)
		h.skip()
	})
}

// TestSmallestOfRound: [MSP-4.2.3] of the samples of one round only the smallest is
// fed to the filter.
func TestSmallestOfRound(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.c.snd.rtt = rttState{smoothed: 80 * ms, variance: 40 * ms, roundEnd: h.first.add(4)}
		h.send("0", "1", "2", "3")
		for i, d := range []time.Duration{60, 10, 10, 10} { // 60, 70, 80, 90 ms
			h.advance(d * ms)
			h.write(h.ack(FlagAck, i))
			h.wantRTT("the round is not over", 80*ms, 40*ms)
		}
		h.send("4")
		h.advance(100 * ms)
		h.write(h.ack(FlagAck, 4))
		h.wantRTT("60 ms was the smallest", 77500*time.Microsecond, 35*ms)
		h.skip()
	})
}

// TestNoSampleAfterStall: [MSP-4.2.4] no sample is taken from an ack that ends a
// stall, whichever message it covers.
func TestNoSampleAfterStall(t *testing.T) {
	h := fresh(t, 0)
	h.send("0", "1", "2", "3")
	h.stall(h.ack(0, 0))
	h.c.snd.queue[0].sends = 1 // so that Karn's rule alone would not see it
	h.write(h.ack(FlagAck, 3))
	h.wantRTT("it waited for the reader", 0, 0)
	h.skip()
}

// TestLearned: [MSP-4.2.6] what was learned of a SID starts the filter of the next
// connection to it.
func TestLearned(t *testing.T) {
	h := fresh(t, 0)
	h.send("0")
	h.advance(80 * ms)
	h.write(h.ack(FlagAck, 0))
	h.c.Stop()
	h.turn()
	h.skip()

	h.local.Port++
	h.dial()
	h.wantRTT("the same SID", 80*ms, 40*ms)
	h.send("0")
	h.wantPacket("its first message", h.msg(FlagFirst, 0, 0, "0"))
	h.wantPacketAfter("repeated by what was learned", 240*ms, h.msg(FlagFirst, 0, 0, "0"))
	h.remote = addr('X', 257)
	h.dial()
	h.wantRTT("another", 0, 0)
}

// TestAnsweredOpening: [MSP-4.2.7] the answer to an ack-only FIRST that was sent once
// is a sample; a FIRST of the peer that crosses it is no answer.
func TestAnsweredOpening(t *testing.T) {
	for _, flags := range []Flags{0, FlagFirst} {
		h := newHarness(t, 0)
		h.dial()
		h.turn()
		h.advance(80 * ms)
		h.write(h.ack(flags, 0))
		if flags == 0 {
			h.wantRTT("an answer", 80*ms, 40*ms)
		} else {
			h.wantRTT("no answer", 0, 0)
		}
		h.skip()
	}
	h := newHarness(t, 0)
	h.dial()
	h.turn()
	h.advance(initialTimeout + 80*ms)
	h.write(h.ack(0, 0))
	h.wantRTT("it may answer the first or the second", 0, 0)
	h.skip()
}

// TestTimeoutValue: [MSP-4.3.1] the timeout is smoothed + 4 × variation, the latter
// counted as 10 ms at least; [MSP-4.3.2] 200 ms before anything is known;
// [MSP-4.3.5] doubled by each expiry, to at most 2 s.
func TestTimeoutValue(t *testing.T) {
	for _, c := range []struct {
		smoothed, variance time.Duration
		expiries           int
		want               time.Duration
	}{
		{0, 0, 0, 200 * ms}, {0, 0, 1, 400 * ms}, {0, 0, 3, 1600 * ms}, {0, 0, 4, 2 * time.Second},
		{0, 0, 1000, 2 * time.Second},
		{1, 0, 0, 10*ms + 1}, {50 * ms, 1 * ms, 0, 60 * ms}, {50 * ms, 10 * ms, 0, 90 * ms},
		{1500 * ms, 100 * ms, 0, 1900 * ms}, {1500 * ms, 100 * ms, 1, 2 * time.Second},
		{3 * time.Second, 0, 0, 2 * time.Second}, {3 * time.Second, 0, 5, 2 * time.Second},
	} {
		r := rttState{smoothed: c.smoothed, variance: c.variance}
		if got := r.timeout(c.expiries); got != c.want {
			t.Errorf("%v ± %v after %d expiries: %v, want %v", c.smoothed, c.variance, c.expiries, got, c.want)
		}
	}
}

// TestDoubling: [MSP-4.3.5] the instants of retransmissions.
func TestDoubling(t *testing.T) {
	h := newHarness(t, 0)
	h.dial()
	h.send("0")
	h.wantPacket("at once", h.msg(FlagFirst, 0, 0, "0"))
	for _, d := range []time.Duration{200, 400, 800, 1600, 2000, 2000, 2000} {
		h.wantPacketAfter("doubled to at most 2 s", d*ms, h.msg(FlagFirst, 0, 0, "0"))
	}
}

// TestSlowPath: [MSP-4.3.6] the doubling lasts until the next sample. On a path of
// 500 ms, which is slower than the first timeout, only the first messages are
// sent more than once, one at a time as they are here. So it is for an opening
// without data.
func TestSlowPath(t *testing.T) {
	const path = 500 * ms
	run := func(t *testing.T, h *harness, seq int) {
		for ; seq < 6; seq++ {
			flags := Flags(0)
			if !h.c.heard {
				flags = FlagFirst
			}
			h.send("m")
			h.wantPacket("new", h.msg(flags, 0, seq, "m"))
			if !h.c.heard {
				h.wantPacketAfter("nothing known yet", 200*ms, h.msg(flags, 0, seq, "m"))
				h.wantQuiet("doubled", path-200*ms)
			} else if h.c.Stats().RTT == 0 && h.c.snd.backoff == 1 {
				h.wantPacketAfter("doubled once", 400*ms, h.msg(flags, 0, seq, "m"))
				h.wantQuiet("doubled twice", path-400*ms)
			} else {
				h.wantQuiet("the timeout is longer than the path", path)
			}
			h.write(h.ack(FlagAck, seq))
		}
		if h.c.Stats().RTT != path {
			t.Errorf("measured %v, want %v", h.c.Stats().RTT, path)
		}
		h.send("m")
		h.wantPacket("new", h.msg(0, 0, seq, "m"))
		h.wantPacketAfter("a sample has ended the doublings", h.c.snd.rtt.timeout(0), h.msg(0, 0, seq, "m"))
	}
	t.Run("with data", func(t *testing.T) {
		h := newHarness(t, 0)
		h.dial()
		run(t, h, 0)
	})
	t.Run("without", func(t *testing.T) {
		h := newHarness(t, 0)
		h.dial()
		h.turn()
		h.wantPacket("opening", h.ack(FlagFirst, 0))
		h.wantPacketAfter("again", 200*ms, h.ack(FlagFirst, 0))
		h.advance(path - 200*ms)
		h.write(h.ack(0, 0))
		run(t, h, 0)
	})
}

// TestSlowerPath: [MSP-4.3.6] a path that becomes slower than the timeout is measured
// again: after a few exchanges, one message at a time, nothing is sent twice.
func TestSlowerPath(t *testing.T) {
	for oneWay := 80 * ms; oneWay < 900*ms; oneWay += 10 * ms {
		s := newSim(t, 1)
		delay := 50 * ms
		s.delay = func() time.Duration { return delay }
		client, server := s.add('C', Config{}), s.add('S', Config{})
		if _, err := server.Listen(addr('S', 80), 1); err != nil {
			t.Fatal(err)
		}
		c, err := client.Dial(s.now, addr('C', 257), addr('S', 80), 0)
		if err != nil {
			t.Fatal(err)
		}
		exchange := func(n int) {
			t.Helper()
			for range n {
				if err := c.Send([]byte("m")); err != nil {
					t.Fatal(err)
				}
				if !s.run(time.Minute, func() bool {
					for d := server.NextEvent(); d != nil; d = server.NextEvent() {
						for d.Take() != nil {
						}
					}
					return c.Flushed()
				}) {
					t.Fatal("not acknowledged")
				}
			}
		}
		exchange(20)
		delay = oneWay
		exchange(10)
		before := c.Stats()
		exchange(10)
		if after := c.Stats(); after.Retransmitted != before.Retransmitted {
			t.Errorf("round trip %v: measured %v, %d of 10 messages repeated", 2*oneWay, after.RTT, after.Retransmitted-before.Retransmitted)
		}
	}
}

// TestNeedlessRepair: [MSP-4.3.6] an ack that moves over a repeated message ends the
// doublings; the unmoved ack of a repair that was needless brings them back, and from
// the third on only a sample ends them.
func TestNeedlessRepair(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		seq := 0
		repaired := func(needless bool) {
			h.send("m")
			h.skip()
			h.advance(h.c.snd.timeout())
			h.skip()
			h.advance(50 * ms)
			h.write(h.ack(FlagAck, seq))
			if needless {
				h.write(h.ack(FlagAck, seq))
			}
			seq++
			h.advance(time.Second) // later than any answer
			h.skip()
		}
		wantTimeout := func(why string, d time.Duration) {
			t.Helper()
			if got := h.c.snd.timeout(); got != d {
				t.Fatalf("%s: timeout %v, want %v", why, got, d)
			}
		}
		repaired(false)
		wantTimeout("a loss", 200*ms)
		for i := range 3 {
			repaired(true)
			wantTimeout("a needless repair", []time.Duration{400, 800, 1600}[i]*ms)
		}
		repaired(false)
		wantTimeout("the third", 2*time.Second)
		h.send("m")
		h.skip()
		h.advance(100 * ms)
		h.write(h.ack(FlagAck, seq))
		seq++
		h.knowPath()
		wantTimeout("a sample", 200*ms)
		repaired(false)
		wantTimeout("a loss", 200*ms)
	})
}

// TestVariationIsLearned: [MSX-4.9] a connection to a peer that is known begins with the
// variation of its round trip, too: the loss of its first packets is found out as soon as
// that of later ones.
func TestVariationIsLearned(t *testing.T) {
	s, _, _, dialled := idleWorld(t, 10)
	first, last := dialled[0].Stats(), dialled[9].Stats()
	if first.RTT != last.RTT || first.RTTVar < first.RTT/5 {
		t.Fatalf("the first has a round trip of %v ± %v, the last of %v", first.RTT, first.RTTVar, last.RTT)
	}
	if last.RTTVar > first.RTTVar/2 {
		t.Errorf("the tenth begins with a round trip of %v ± %v", last.RTT, last.RTTVar)
	}
	sent := 0
	s.loss = func(Addr, []byte) bool { sent++; return sent == 1 }
	start := s.now
	if err := dialled[9].Send([]byte("request")); err != nil {
		t.Fatal(err)
	}
	s.run(time.Second, dialled[9].Flushed)
	if took := s.now.Sub(start); took > 3*last.RTT {
		t.Errorf("the loss of its first request costs %v", took-last.RTT)
	}
}

// TestReceiverMeasuresNothing: [MSX-4.9] a connection that only receives does not pass on what
// it has measured long ago.
func TestReceiverMeasuresNothing(t *testing.T) {
	s, _, server, dialled := idleWorld(t, 2)
	s.delay = func() time.Duration { return 200 * ms }
	for range 10 {
		if err := dialled[1].Send([]byte("measured")); err != nil {
			t.Fatal(err)
		}
		s.run(2*time.Second, dialled[1].Flushed)
	}
	known := dialled[0].peer.rtt
	if known.smoothed < 200*ms {
		t.Fatalf("measured %v", known.smoothed)
	}
	for c := server.NextEvent(); c != nil; c = server.NextEvent() {
		if c.Remote() == dialled[0].Local() {
			c.Send([]byte("pushed"))
		}
	}
	if !s.run(2*time.Second, dialled[0].HasMore) {
		t.Fatal("nothing was received")
	}
	if dialled[0].peer.rtt.smoothed < known.smoothed {
		t.Errorf("%v is known of the peer, want %v", dialled[0].peer.rtt.smoothed, known.smoothed)
	}
}
