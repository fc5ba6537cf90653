package msp

import (
	"testing"
	"time"
)

// losses runs f in every variant of established, with losses found by timeout
// and by acks. repaired(n) fills the window with messages numbered from n on, of
// which the first is lost and its retransmission is not; it returns the number
// that comes after them.
func losses(t *testing.T, f func(t *testing.T, h *harness, repaired func(n int) int)) {
	t.Helper()
	for _, by := range []string{"timeout", "acks"} {
		t.Run("by "+by, func(t *testing.T) {
			established(t, func(t *testing.T, h *harness) {
				f(t, h, func(n int) int {
					h.t.Helper()
					h.knowPath()
					end := n
					for ; h.c.snd.sent < h.c.snd.window.size; end++ {
						h.send("m")
						h.wantPacket("room in the window", h.msg(h.ackFlag(n), n-1, end, "m"))
					}
					h.lose(by, n)
					h.wantPacket("the lost message again", h.msg(0, 0, n, "m"))
					h.advance(90 * time.Millisecond)
					h.write(h.ack(FlagAck, end-1))
					h.wantIdle("everything is acknowledged")
					h.send("m") // an exchange that measures, and ends the doubling
					h.skip()
					h.advance(200*time.Millisecond - 1)
					h.write(h.ack(FlagAck, end))
					h.wantIdle("everything is acknowledged")
					h.c.snd.echoes = 0
					return end + 1
				})
			})
		})
	}
}

// ackFlag is for messages of ours in tests where the peer sends none.
func (h *harness) ackFlag(int) Flags { return 0 }

// lose makes the sender find message n lost, by its timeout or by unmoved acks
// of three messages behind it.
func (h *harness) lose(by string, n int) {
	h.t.Helper()
	if by == "timeout" {
		h.wantQuiet("the timeout", 200*time.Millisecond-1)
		h.advance(1)
		return
	}
	h.advance(100 * time.Millisecond)
	unmoved := h.ack(0, 0)
	if n > 0 {
		unmoved = h.ack(FlagAck, n-1)
	}
	h.write(unmoved)
	h.write(unmoved)
	h.wantIdle("two unmoved acks prove nothing")
	h.write(unmoved)
}

// TestRepairOfSeveral: [MSP-4.3.7] a loss starts a recovery up to the newest message
// sent by then; [MSP-4.3.8] during it an ack that moves without reaching that
// point lets the message that is now the oldest be sent again at once, one time,
// if it was sent longer ago than a round trip. [MSP-4.1.5] It is one loss.
func TestRepairOfSeveral(t *testing.T) {
	for _, by := range []string{"timeout", "acks"} {
		established(t, func(t *testing.T, h *harness) {
			n := h.grow(8)
			for range 8 { // of which 0, 2 and 5 are lost
				h.send("m")
			}
			h.skip()
			h.lose(by, n)
			h.wantPacket("0 again", h.msg(0, 0, n, "m"))
			h.advance(100 * time.Millisecond)
			h.write(h.ack(FlagAck, n+1))
			h.wantPacket("2 is known to be missing", h.msg(0, 0, n+2, "m"))
			h.write(h.ack(FlagAck, n+1))
			h.wantIdle("one time")
			h.advance(100 * time.Millisecond)
			h.write(h.ack(FlagAck, n+4))
			h.wantPacket("so is 5", h.msg(0, 0, n+5, "m"))
			h.advance(100 * time.Millisecond)
			h.write(h.ack(FlagAck, n+7))
			h.wantIdle("the recovery is over")
			if w := h.c.snd.window.size; w != 4 {
				t.Errorf("window %d, want 4: three losses of one recovery", w)
			}
		})
	}
}

// TestHalvedOncePerRecovery: [MSP-4.1.5] a repair that is needed again before the ack
// has reached the recovery point is of the same loss.
func TestHalvedOncePerRecovery(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		n := h.grow(16)
		for range 16 { // of which 0 and 2 are lost
			h.send("m")
		}
		h.skip()
		h.lose("timeout", n)
		h.wantPacket("0 again", h.msg(0, 0, n, "m"))
		h.advance(100 * time.Millisecond)
		h.write(h.ack(FlagAck, n+1))
		h.wantPacket("2 again, lost once more", h.msg(0, 0, n+2, "m"))
		h.wantPacketAfter("2 a third time", h.c.snd.timeout(), h.msg(0, 0, n+2, "m"))
		h.advance(100 * time.Millisecond)
		h.write(h.ack(FlagAck, n+15))
		if w := h.c.snd.window; w.threshold != 8 || w.size < 8 {
			t.Errorf("window %d, threshold %d, want 8 and no less", w.size, w.threshold)
		}
	})
}

// TestNoRepairOfYoung: [MSP-4.3.8] a message that was sent within the last round
// trip (200 ms while none is known) is not taken for lost.
func TestNoRepairOfYoung(t *testing.T) {
	for _, c := range []struct {
		roundTrip, age time.Duration // in milliseconds
		lost           bool
	}{{0, 199, false}, {0, 201, true}, {100, 99, false}, {100, 101, true}} {
		h := dialled(t, 0)
		h.send("0")
		h.advance(150 * time.Millisecond)
		h.send("1")
		h.skip()
		h.wantPacketAfter("0 is lost", 50*time.Millisecond, h.msg(0, 0, 0, "0"))
		h.c.snd.rtt.smoothed = c.roundTrip * time.Millisecond
		h.wantQuiet("1 grows old", (c.age-50)*time.Millisecond)
		h.write(h.ack(FlagAck, 0))
		if c.lost {
			h.wantPacket("1 is older than a round trip", h.msg(0, 0, 1, "1"))
		}
		h.wantIdle("1 may still be under way")
	}
}

// TestTimerStart: [MSP-4.3.3] the timer counts from the later of the last sending of
// the oldest message and the last ack that moved; [MSP-4.3.4] on expiry the oldest
// is sent again, and no other.
func TestTimerStart(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.send("0")
		h.advance(50 * time.Millisecond)
		h.send("1", "2")
		if n := h.skip(); n != 3 {
			t.Fatalf("%d messages sent, want 3", n)
		}
		h.advance(100 * time.Millisecond)
		h.write(h.ack(0, 0)) // unmoved
		h.wantPacketAfter("200 ms after the oldest was sent", 50*time.Millisecond, h.msg(0, 0, 0, "0"))
		h.wantQuiet("no other", 100*time.Millisecond)
		h.write(h.ack(FlagAck, 0))
		h.wantPacket("1 seems lost too", h.msg(0, 0, 1, "1"))
		h.advance(100 * time.Millisecond)
		h.write(h.ack(FlagAck, 1))
		h.wantPacket("and so does 2", h.msg(0, 0, 2, "2"))
		h.wantPacketAfter("200 ms after the ack moved", 200*time.Millisecond, h.msg(0, 0, 2, "2"))
		h.write(h.ack(FlagAck, 2))
		h.wantQuiet("nothing is unacknowledged, no timer runs", 600*time.Millisecond)
	})
	established(t, func(t *testing.T, h *harness) {
		h.send("0")
		h.advance(50 * time.Millisecond)
		h.send("1")
		h.skip()
		h.advance(50 * time.Millisecond)
		h.write(h.ack(FlagAck, 0))
		h.wantPacketAfter("a whole timeout after the ack moved", h.c.snd.rtt.timeout(0), h.msg(0, 0, 1, "1"))
	})
}

// TestFastRetransmission: [MSP-4.4.1] only ack-only packets with an unmoved ack
// count, one for each message that was sent after the oldest; [MSP-4.4.3] the
// third causes the oldest to be sent again, [MSP-4.4.4] once for each value of
// the ack.
func TestFastRetransmission(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.grow(8)
		n := 4
		for range 3 {
			h.send("m")
		}
		h.skip()
		unmoved := h.ack(FlagAck, n-1)
		h.write(unmoved, unmoved, unmoved, unmoved, unmoved)
		h.wantIdle("two messages behind the oldest can be answered twice only")
		h.write(h.ack(FlagAck, n+2))
		n += 3

		for range 8 {
			h.send("m")
		}
		h.skip()
		unmoved = h.ack(FlagAck, n-1)
		h.write(unmoved, unmoved)
		h.write(h.msg(FlagAck, n-1, 0, "a message with the same ack"))
		h.wantPacket("its ack", h.ack(FlagAck, 0))
		h.write(h.ack(FlagAck, n-2))
		h.wantIdle("neither that nor an older ack counts")
		h.write(unmoved)
		h.wantPacket("the third", h.msg(FlagAck, 0, n, "m"))
		for range 9 {
			h.write(unmoved)
		}
		h.wantIdle("once for this ack")
		h.advance(90 * time.Millisecond)
		h.write(h.ack(FlagAck, n+7))
		n += 8

		// "The count starts anew when the ack moves."
		for range 4 {
			h.send("m")
		}
		h.skip()
		h.c.snd.echoes = 0
		unmoved = h.ack(FlagAck, n-1)
		h.write(unmoved, unmoved)
		h.wantIdle("two")
		h.write(unmoved)
		h.wantPacket("three", h.msg(FlagAck, 0, n, "m"))
	})
}

// TestAnswerToRetransmission: [MSP-4.4.2] "An answer to a retransmission MUST NOT
// count", also when it comes after the ack of the first copy.
func TestAnswerToRetransmission(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.send("0", "1", "2", "3")
		h.skip()
		h.wantPacketAfter("a timeout that comes too early", 200*time.Millisecond, h.msg(0, 0, 0, "0"))
		h.advance(10 * time.Millisecond)
		h.write(h.ack(FlagAck, 0)) // of the first copy
		h.skip()
		unmoved := h.ack(FlagAck, 0)
		for range h.c.snd.echoes {
			h.write(unmoved)
		}
		h.write(unmoved)
		h.write(unmoved)
		h.wantIdle("the answers to copies are left out")
	})
}

// TestNoFastAfterTimeout: [MSP-4.4.3] once the timer has expired for a message it
// alone decides; the unmoved acks may be of a reader who does not read.
func TestNoFastAfterTimeout(t *testing.T) {
	h := dialled(t, 0)
	h.send("0", "1", "2", "3")
	h.skip()
	h.wantPacketAfter("timeout", 200*time.Millisecond, h.msg(0, 0, 0, "0"))
	for range 6 {
		h.write(h.ack(0, 0))
	}
	h.wantIdle("no fast retransmission")
}

// TestHalvedOnlyIfRepaired: [MSP-4.4.5] the window is halved only if the ack moves
// after the retransmission, and soon.
func TestHalvedOnlyIfRepaired(t *testing.T) {
	for _, by := range []string{"timeout", "acks"} {
		established(t, func(t *testing.T, h *harness) {
			n := h.grow(16)
			for range 16 {
				h.send("m")
			}
			h.skip()
			h.lose(by, n)
			h.wantPacket("again", h.msg(0, 0, n, "m"))
			for range 8 {
				h.write(h.ack(FlagAck, n-1))
			}
			if w := h.c.snd.window.size; w != 16 {
				t.Errorf("window %d before the ack moved, want 16", w)
			}
			h.c.snd.timeoutAt = time.Time{} // a reader pauses, and the loss is not repeated
			h.advance(2*h.c.snd.rtt.timeout(0) + 1)
			h.write(h.ack(FlagAck, n+15))
			if w := h.c.snd.window.size; w < 16 {
				t.Errorf("window %d after the reader read, want no less than 16", w)
			}
		})
	}
}
