package msp

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestFirstAndAckFlags: [MSP-2.10] FIRST is on every packet until one has been
// received, and never after that; [MSP-2.11] until the first message is
// acknowledged the ACK flag is clear and the ack field 0xFFFF; [MSP-2.12] a
// retransmission carries the flags as they stand.
func TestFirstAndAckFlags(t *testing.T) {
	for _, first := range []Seq{0, 0xfffe} {
		h := newHarness(t, first)
		h.dial()
		h.send("a", "b")
		h.wantPacket("nothing was heard", h.msg(FlagFirst, 0, 0, "a"))
		h.wantPacket("nothing was heard", h.msg(FlagFirst, 0, 1, "b"))
		h.wantPacketAfter("still nothing", initialTimeout, h.msg(FlagFirst, 0, 0, "a"))
		h.write(h.ack(0, 0))
		h.wantPacketAfter("no FIRST any more", 2*initialTimeout, h.msg(0, 0, 0, "a"))
		h.write(h.msg(0, 0, 0, "x"))
		h.wantPacket("a message was received", h.ack(FlagAck, 0))
		h.wantPacketAfter("the ack as it stands", 4*initialTimeout, h.msg(FlagAck, 0, 0, "a"))
	}
}

// TestMessageSizes: [MSP-2.13] a message has 1 to 1,024 bytes; another is an error
// and sends nothing.
func TestMessageSizes(t *testing.T) {
	h := dialled(t, 0)
	if err := h.c.Send(nil); err != ErrEmpty {
		t.Errorf("empty message: %v, want %v", err, ErrEmpty)
	}
	var size *MessageSizeError
	if err := h.c.Send(make([]byte, MaxMessage+1)); !errors.As(err, &size) || size.Size != MaxMessage+1 {
		t.Errorf("message of 1025 bytes: %v", err)
	}
	h.turn()
	h.wantIdle("a refused message is not sent")
	for i, n := range []int{1, MaxMessage} {
		m := strings.Repeat("m", n)
		h.send(m)
		h.wantPacket("messages have 1 to 1,024 bytes", h.msg(0, 0, i, m))
	}
}

// TestLargeMessageReceived: [MSP-2.14] "A received message of any size that its
// datagram could carry MUST be accepted."
func TestLargeMessageReceived(t *testing.T) {
	h := dialled(t, 0)
	for i, n := range []int{1025, 1195, 65530} {
		m := strings.Repeat("m", n)
		h.write(h.msg(0, 0, i, m))
		h.wantPacket("it is acknowledged", h.ack(FlagAck, i))
		if got := h.got[len(h.got)-1]; got != m {
			t.Errorf("message of %d bytes: got %d", n, len(got))
		}
	}
}

// TestNumbers: [MSP-3.1] messages are numbered 0, 1, 2… whatever their size,
// modulo 2^16; [MSP-3.3] a bare SHUTDOWN takes a number, an ack-only packet none.
func TestNumbers(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.send("a", strings.Repeat("b", 1000))
		h.wantPacket("the first", h.msg(0, 0, 0, "a"))
		h.wantPacket("the second", h.msg(0, 0, 1, strings.Repeat("b", 1000)))
		h.write(h.msg(FlagAck, 1, 0, "x"))
		h.wantPacket("an ack takes no number", h.ack(FlagAck, 0))
		h.send("c")
		h.wantPacket("the third", h.msg(FlagAck, 0, 2, "c"))
		h.shutdown()
		h.wantPacket("SHUTDOWN takes one", h.msg(FlagAck|FlagShutdown, 0, 3, ""))
	})
}

// TestRetransmissionIsTheSame: [MSP-3.4] "A message MUST keep its number, its bytes
// and its SHUTDOWN flag in every retransmission", also one whose neighbour
// became the last only afterwards.
func TestRetransmissionIsTheSame(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.send("a")
		h.wantPacket("sent", h.msg(0, 0, 0, "a"))
		h.shutdown()
		h.wantPacket("too late to ride on a", h.msg(FlagShutdown, 0, 1, ""))
		for i := range 2 {
			h.wantPacketAfter("again", initialTimeout<<i, h.msg(0, 0, 0, "a"))
		}
		h.write(h.ack(FlagAck, 0))
		h.wantPacket("the second seems lost too", h.msg(FlagShutdown, 0, 1, ""))
		h.wantPacketAfter("again", initialTimeout, h.msg(FlagShutdown, 0, 1, ""))
	})
}

// fill queues as many messages as there is room for, from number n on, lets them
// go out, and returns how many did.
func (h *harness) fill(n int) int {
	h.t.Helper()
	for ; h.c.Room() > 0; n++ {
		if err := h.c.Send([]byte(fmt.Sprint("m", n))); err != nil {
			h.t.Fatal(err)
		}
	}
	h.turn()
	return h.skip()
}

// grow sends and acknowledges whole windows until the window has this size. It
// returns the number of the next message.
func (h *harness) grow(size int) (next int) {
	h.t.Helper()
	for h.c.snd.window.size < size {
		n := 0
		for h.c.snd.sent < h.c.snd.window.size {
			h.send("m")
			n++
		}
		h.skip()
		h.advance(100 * time.Millisecond)
		next += n
		h.write(h.ack(FlagAck, next-1))
		h.skip()
	}
	h.knowPath()
	return next
}

// TestInitialWindow: [MSP-4.1.2] the window is 4 messages until a packet of the
// peer has arrived, [MSP-4.1.1] and it "MUST NOT be exceeded".
func TestInitialWindow(t *testing.T) {
	h := newHarness(t, 0xfffe)
	h.dial()
	if n := h.fill(0); n != 4 {
		t.Errorf("%d messages sent, want 4", n)
	}
	h.advance(time.Second) // retransmissions, but nothing new
	if s := h.c.Stats(); s.InFlight != 4 || s.Retransmitted != 2 {
		t.Errorf("%d in flight, %d retransmitted, want 4 and 2", s.InFlight, s.Retransmitted)
	}
}

// TestSlowStart: [MSP-4.1.3] below the threshold each acknowledged message adds one
// to the window, as long as the window is what holds the sender back; [MSP-4.1.6]
// it is never above 32.
func TestSlowStart(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		n := h.fill(0)
		for _, want := range []int{4, 8, 16, 32, 32, 32} {
			if got := h.c.Stats().InFlight; got != want {
				t.Fatalf("%d in flight, want %d", got, want)
			}
			h.advance(50 * time.Millisecond)
			h.write(h.ack(FlagAck, n-1))
			h.fill(0)
			n = h.c.snd.una.sub(h.first) + h.c.snd.sent
		}
	})
	h := dialled(t, 0)
	for i := range 10 { // one at a time
		h.send("m")
		h.write(h.ack(FlagAck, i))
	}
	if h.c.snd.window.size != 4 {
		t.Errorf("a window of 4 that was never full grew to %d", h.c.snd.window.size)
	}
}

// TestCongestionAvoidance: [MSP-4.1.4] from the threshold on, each round trip adds
// one to the window.
func TestCongestionAvoidance(t *testing.T) {
	w := window{size: 8, threshold: 8}
	for i, step := range []struct{ acked, want int }{{4, 8}, {4, 9}, {8, 9}, {1, 10}, {9, 10}, {1, 11}} {
		w.messagesAcked(step.acked, true)
		if w.size != step.want {
			t.Fatalf("step %d: window %d, want %d", i, w.size, step.want)
		}
	}
	w = window{size: 32, threshold: 4}
	for range 100 {
		w.messagesAcked(32, true)
	}
	if w.size != 32 {
		t.Errorf("grew to %d, want 32", w.size)
	}
}

// TestWindowHalved: [MSP-4.1.5] a loss sets window and threshold to half the
// window, once per recovery, but not below 4. The losses are found by ack and by
// timeout.
func TestWindowHalved(t *testing.T) {
	losses(t, func(t *testing.T, h *harness, repaired func(n int) int) {
		n := h.grow(16)
		n = repaired(n)
		if w := h.c.snd.window; w.size != 8 || w.threshold != 8 {
			t.Fatalf("window %d, threshold %d after a loss, want 8 and 8", w.size, w.threshold)
		}
		n = repaired(n)
		repaired(n)
		if w := h.c.snd.window; w.size != 4 || w.threshold != 4 {
			t.Fatalf("window %d, threshold %d after three losses, want 4 and 4", w.size, w.threshold)
		}
	})
}
