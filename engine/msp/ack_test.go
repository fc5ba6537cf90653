package msp

import (
	"testing"
	"time"
)

// TestAckField: [MSP-5.1.1] the ack field is read only when the ACK flag is set;
// [MSP-5.1.2] an ack covers every message up to its number; [MSP-5.1.3] an older
// one changes nothing, and the rest of its packet is used.
func TestAckField(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.send("0", "1", "2", "3")
		h.skip()
		p := h.ack(0, 0)
		p.Ack = h.first.add(2)
		h.write(p)
		if n := len(h.c.snd.queue); n != 4 {
			t.Errorf("an ack without its flag was taken: %d left", n)
		}
		h.write(h.ack(FlagAck, 2))
		if n := len(h.c.snd.queue); n != 1 {
			t.Errorf("%d messages left, want 1", n)
		}
		h.write(h.msg(FlagAck, 0, 0, "rest"))
		h.wantPacket("the message counts", h.ack(FlagAck, 0))
		h.wantGot("the message counts", "rest")
		if n := len(h.c.snd.queue); n != 1 || h.c.snd.una != h.first.add(3) {
			t.Errorf("an old ack changed something: %d left from %d on", n, h.c.snd.una)
		}
	})
}

// TestAckOfNothingSent: [MSP-5.1.4] "An ack beyond the newest message sent MUST be
// ignored, and the rest of its packet with it": it does not prove that the peer
// of this connection is alive, either.
func TestAckOfNothingSent(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.send("0")
		h.skip()
		for _, beyond := range []int{1, 100, 0x7ffe} {
			h.write(h.msg(FlagAck, beyond, 0, "foreign"), h.ack(FlagAck|FlagFirst, beyond))
		}
		h.wantIdle("not answered")
		h.wantGot("not delivered")
		if h.c.Flushed() || h.c.Stats().Dropped != 6 {
			t.Errorf("flushed %v, %d dropped, want false and 6", h.c.Flushed(), h.c.Stats().Dropped)
		}
		for h.c.Cause() == Open {
			h.advance(time.Second)
			h.write(h.ack(FlagAck, 9))
		}
		if d := h.now.Sub(epoch); h.c.Cause() != TimedOut || d != 10*time.Second {
			t.Errorf("%v after %v, want a time-out after 10 s", h.c.Cause(), d)
		}
		h.skip()
	})
	h := newHarness(t, 0)
	h.dial()
	h.write(h.ack(FlagAck, 0))
	h.skip()
	if h.c.Connected() {
		t.Error("it made the connection established")
	}
}

// TestAckPerBatch: [MSP-5.3.1] new messages are answered with one ack-only packet per
// batch, unless a message packet that goes out carries the ack.
func TestAckPerBatch(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.write(h.msg(0, 0, 0, "a"), h.msg(0, 0, 1, "b"), h.msg(0, 0, 2, "c"))
		h.wantPacket("one for three", h.ack(FlagAck, 2))
		h.wantIdle("one for three")
		if err := h.c.Send([]byte("answer")); err != nil {
			t.Fatal(err)
		}
		h.write(h.msg(0, 0, 3, "d"))
		h.wantPacket("the answer carries the ack", h.msg(FlagAck, 3, 0, "answer"))
		h.wantIdle("no other is needed")
	})
}

// TestAnswersAtOnce: [MSP-5.3.2] a message out of order, [MSP-5.3.3] a duplicate and
// [MSP-5.3.4] an ack-only packet with FIRST are answered at once with an ack-only
// packet; [MSP-5.3.5] any other ack-only packet "MUST NOT be answered", but for
// the probes of a peer that hears nothing.
func TestAnswersAtOnce(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.write(h.msg(0, 0, 1, "b"))
		h.wantPacket("out of order", h.ack(0, 0))
		h.write(h.msg(0, 0, 1, "b"))
		h.wantPacket("a duplicate of what is held", h.ack(0, 0))
		h.write(h.msg(0, 0, 0, "a"))
		h.wantPacket("in order", h.ack(FlagAck, 1))
		h.write(h.msg(0, 0, 0, "a"))
		h.wantPacket("a duplicate of what was taken", h.ack(FlagAck, 1))
		if err := h.c.Send([]byte("m")); err != nil {
			t.Fatal(err)
		}
		h.write(h.msg(0, 0, 0, "a"))
		h.wantPacket("a message does not stand for it", h.msg(FlagAck, 1, 0, "m"))
		h.wantPacket("an ack-only packet", h.ack(FlagAck, 1))
		h.write(h.ack(0, 0), h.ack(FlagAck, 0), h.ack(FlagShutdown, 0))
		h.wantIdle("ack-only packets are not answered")
		h.write(h.ack(FlagAck, 0))
		h.advance(999 * ms)
		h.write(h.ack(FlagAck, 0))
		h.wantIdle("we sent something 999 ms ago")
		h.advance(400 * ms)
		h.write(h.ack(FlagAck, 0))
		h.wantPacket("a probe: the second within a second, and we are quiet", h.ack(FlagAck, 1))
		h.advance(1000 * ms)
		h.write(h.ack(FlagAck, 0))
		h.wantIdle("a keep-alive")
	})
	for _, first := range []Seq{0, 0xfffe} {
		h := newHarness(t, first)
		h.dial()
		h.turn()
		h.wantPacket("opening", h.ack(FlagFirst, 0))
		for range 3 {
			h.write(h.ack(FlagFirst, 0))
			h.wantPacket("an ack-only FIRST is answered", h.ack(0, 0))
		}
	}
}

// TestLateFirst: [MSP-5.3.6] a duplicate or ack-only packet with FIRST goes unanswered
// once the peer has sent a packet without FIRST: it is late, or the work of a new
// connection that must not be acked from the state of this one. New messages
// with FIRST are taken as ever.
func TestLateFirst(t *testing.T) {
	h := newHarness(t, 0)
	h.listen(8)
	h.write(h.msg(FlagFirst, 0, 0, "a"))
	h.wantPacket("opening", h.ack(FlagAck, 0))
	h.write(h.msg(FlagFirst, 0, 0, "a"))
	h.wantPacket("the ack may be lost", h.ack(FlagAck, 0))
	h.write(h.ack(FlagFirst, 0))
	h.wantPacket("the ack may be lost", h.ack(FlagAck, 0))
	h.write(h.ack(0, 0))
	h.write(h.msg(FlagFirst, 0, 0, "z"), h.ack(FlagFirst, 0))
	h.wantIdle("the peer has heard us")
	h.write(h.msg(FlagFirst, 0, 1, "b"))
	h.wantPacket("a new message, overtaken", h.ack(FlagAck, 1))
	h.write(h.msg(0, 0, 0, "a"))
	h.wantPacket("a duplicate without FIRST", h.ack(FlagAck, 1))
	h.wantGot("each once", "a", "b")
}

// TestWithheld: [MSP-5.4.1] a message is acknowledged when it has been taken;
// [MSP-5.4.2] until then "the ack MUST be withheld"; [MSP-5.4.3] what was withheld is
// acknowledged at once when the reader makes room; [MSP-5.4.4] keep-alives and
// answers meanwhile show the unmoved ack; [MSP-5.4.5] what is acknowledged stays.
func TestWithheld(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.reading = false
		h.advance(0)
		h.write(h.msg(0, 0, 0, "a"), h.msg(0, 0, 1, "b"))
		h.wantIdle("nobody has read")
		h.write(h.msg(0, 0, 0, "a"))
		h.wantPacket("a duplicate shows the unmoved ack", h.ack(0, 0))
		h.wantPacketAfter("so does a keep-alive", keepAliveInterval, h.ack(0, 0))
		h.read("room", "a")
		h.wantPacket("acknowledged at once", h.ack(FlagAck, 0))
		h.write(h.msg(0, 0, 1, "b"))
		h.wantPacket("unmoved", h.ack(FlagAck, 0))
		if err := h.c.Send([]byte("m")); err != nil {
			t.Fatal(err)
		}
		h.read("room", "b")
		h.wantPacket("a message that goes carries it", h.msg(FlagAck, 1, 0, "m"))
		h.wantIdle("no ack of its own")
	})
}
