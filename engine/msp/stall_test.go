package msp

import (
	"testing"
	"time"
)

// trip is the round trip of an established harness.
const trip = 100 * time.Millisecond

// stall answers retransmissions of the oldest message, as a receiver does whose
// reader does not read, until the peer counts as stalled.
func (h *harness) stall(unmoved Packet) {
	h.t.Helper()
	for range stalledAnswers {
		h.advance(h.c.snd.timeoutAt.Sub(h.now))
		h.advance(trip)
		h.write(unmoved)
	}
	if !h.c.snd.stalled {
		h.t.Fatal("not stalled")
	}
	h.skip()
}

// TestStall: [MSP-4.5.1] a peer counts as stalled when three successive timeout
// retransmissions have each been answered by an ack-only packet with an unmoved
// ack; [MSP-4.5.2] then the oldest message goes every 1,500 ms, and no new one;
// [MSP-4.5.3] "Window and threshold MUST NOT change while the peer is stalled";
// [MSP-4.5.4] an ack that moves ends the stall.
func TestStall(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		n := h.grow(16)
		unmoved, oldest := h.ack(FlagAck, n-1), h.msg(0, 0, n, "m")
		for range 3 {
			h.send("m")
		}
		h.skip()
		h.wantPacketAfter("first timeout", 200*ms, oldest)
		for _, next := range []time.Duration{400 * ms, 800 * ms} {
			h.advance(trip)
			h.write(unmoved)
			if h.c.Stats().Stalled {
				t.Fatal("stalled too early")
			}
			h.wantPacketAfter("next timeout", next-trip, oldest)
		}
		h.advance(trip)
		h.write(unmoved)
		if !h.c.Stats().Stalled {
			t.Fatal("not stalled after three")
		}
		h.send("new")
		for range 20 { // the peer is alive: it answers each
			h.wantQuiet("no new message", 1500*ms-trip-1)
			h.wantPacketAfter("the oldest", 1, oldest)
			h.advance(trip)
			h.write(unmoved)
		}
		h.write(unmoved, unmoved, unmoved, unmoved)
		h.wantIdle("no fast retransmission")
		if w := h.c.snd.window; w.size != 16 || w.threshold != 32 {
			t.Errorf("window %d, threshold %d, want 16 and 32", w.size, w.threshold)
		}
		h.write(h.ack(FlagAck, n))
		h.wantPacket("sending goes on at once", h.msg(0, 0, n+3, "new"))
		if w := h.c.snd.window; w.size != 16 || w.threshold != 32 || h.c.Stats().Stalled {
			t.Errorf("after the stall: %+v %+v, want a window of 16", w, h.c.Stats())
		}
	})
}

// TestStallEndsUnanswered: [MSP-4.5.4] a message to a stalled peer that is not
// answered was lost: it is repeated by the retransmission timeout.
func TestStallEndsUnanswered(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.send("m")
		h.skip()
		h.stall(h.ack(0, 0))
		oldest := h.msg(0, 0, 0, "m")
		h.wantPacketAfter("the probe", 1500*ms-trip, oldest)
		h.wantPacketAfter("a timeout later", 200*ms, oldest)
		if h.c.Stats().Stalled {
			t.Error("still stalled")
		}
	})
}

// TestWindowAfterStall: [MSP-4.5.3] the ack that ends a stall tells of the reader, not
// of the path, and changes no window.
func TestWindowAfterStall(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.fill(0)
		h.stall(h.ack(0, 0))
		h.write(h.ack(FlagAck, 0))
		if w := h.c.snd.window; w.size != 4 || w.threshold != 32 {
			t.Errorf("window %d, threshold %d, want 4 and 32", w.size, w.threshold)
		}
		h.skip()
	})
}

// TestLossIsNoStall: [MSP-4.5.1] an unmoved ack that comes too early or too late to
// answer the retransmission, or together with a message, or after only some of
// the timeouts, does not make the peer count as stalled: with losses, late acks and
// keep-alives come all the time.
func TestLossIsNoStall(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.send("m")
		h.skip()
		answer := func(after time.Duration, p Packet) {
			h.advance(h.c.snd.timeoutAt.Sub(h.now))
			h.advance(after)
			h.write(p)
			h.skip()
		}
		for range 3 {
			answer(trip/2-1, h.ack(0, 0))
		}
		for range 3 {
			answer(trip+4*25*ms+1, h.ack(0, 0))
		}
		for range 3 {
			answer(trip, h.msg(0, 0, 0, "x"))
		}
		answer(trip, h.ack(0, 0))
		answer(trip, h.ack(0, 0))
		answer(trip/2-1, h.ack(0, 0))
		answer(trip, h.ack(0, 0))
		if h.c.Stats().Stalled {
			t.Error("stalled")
		}
		answer(trip, h.ack(0, 0))
		answer(trip, h.ack(0, 0))
		if !h.c.Stats().Stalled {
			t.Error("not stalled after three in a row")
		}
	})
}

// TestNoLimitOfStall: [MSP-4.5.5] neither a stall nor the number of retransmissions
// has a limit; only silence gives up.
func TestNoLimitOfStall(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.send("m")
		for range 2000 {
			h.advance(1500 * ms)
			h.write(h.ack(0, 0))
		}
		h.wantCause("after 50 minutes", Open)
		if s := h.c.Stats(); s.Retransmitted < 900 {
			t.Errorf("%d retransmissions, want one at least every 3 s", s.Retransmitted)
		}
		h.advance(10*time.Second - 1)
		h.wantCause("almost 10 s of silence", Open)
		h.advance(1)
		h.wantCause("silence", TimedOut)
		h.skip()
	})
}
