package msp

import (
	"testing"
	"time"
)

// TestShutdownRides: [MSP-8.1.1] the end of a direction is told by SHUTDOWN on its
// last message; [MSP-8.1.2] it rides on the newest queued message if that was never
// sent, and otherwise goes as a bare message, the next in number; [MSP-8.1.3] which
// is repeated like any message; [MSP-8.1.4] nothing is accepted after it.
func TestShutdownRides(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		if err := h.c.Send([]byte("0")); err != nil {
			t.Fatal(err)
		}
		if err := h.c.Send([]byte("1")); err != nil {
			t.Fatal(err)
		}
		h.shutdown()
		h.wantPacket("not the last", h.msg(0, 0, 0, "0"))
		h.wantPacket("the last", h.msg(FlagShutdown, 0, 1, "1"))
		h.wantIdle("no bare one")
		if err := h.c.Send([]byte("2")); err != ErrShutdown {
			t.Errorf("Send: %v, want %v", err, ErrShutdown)
		}
		h.shutdown() // a second one is nothing
		h.wantIdle("told once")
		h.write(h.ack(FlagAck, 0))
		h.wantPacketAfter("repeated with its flag", h.c.snd.timeout(), h.msg(FlagShutdown, 0, 1, "1"))
	})
	established(t, func(t *testing.T, h *harness) {
		h.send("0")
		h.wantPacket("sent", h.msg(0, 0, 0, "0"))
		h.shutdown()
		h.wantPacket("bare", h.msg(FlagShutdown, 0, 1, ""))
		h.write(h.ack(FlagAck, 0))
		h.wantPacketAfter("repeated", h.c.snd.timeout(), h.msg(FlagShutdown, 0, 1, ""))
		h.write(h.ack(FlagAck, 1))
		if !h.c.Delivered() {
			t.Error("not delivered")
		}
		h.wantCause("the other direction is open", Open)
	})
	h := newHarness(t, 0)
	h.dial()
	h.shutdown()
	h.wantPacket("also before the peer was heard", h.msg(FlagFirst|FlagShutdown, 0, 0, ""))
}

// TestFinished: [MSP-8.1.5] a connection is finished when the peer's SHUTDOWN was
// delivered, all that was sent is acknowledged, and the newest message received
// has been acked; in whatever order it happens.
func TestFinished(t *testing.T) {
	established(t, func(t *testing.T, h *harness) { // the peer first
		h.write(h.msg(FlagShutdown, 0, 0, "bye"))
		h.wantPacket("acknowledged", h.ack(FlagAck, 0))
		h.send("one side may go on long after the other")
		h.shutdown()
		h.skip()
		h.wantCause("our SHUTDOWN is not acknowledged", Open)
		h.write(h.ack(FlagAck, 0))
		h.wantCause("our SHUTDOWN is not acknowledged", Open)
		h.write(h.ack(FlagAck, 1))
		h.wantCause("everything is done", Finished)
		h.wantIdle("there is nothing more to say")
	})
	established(t, func(t *testing.T, h *harness) { // we first
		h.shutdown()
		h.skip()
		h.write(h.ack(FlagAck, 0))
		h.wantCause("the peer goes on", Open)
		h.write(h.msg(FlagAck|FlagShutdown, 0, 0, "bye"))
		h.wantPacket("the last ack", h.ack(FlagAck, 0))
		h.wantCause("everything is done", Finished)
		h.wantGot("delivered", "bye")
		if s := h.c.State(); s&(Closed|Failed|Stopped|DataOut) != Closed {
			t.Errorf("state %v", s)
		}
		h.wantQuiet("a finished connection has no timer", time.Hour)
	})
	established(t, func(t *testing.T, h *harness) { // at once
		h.shutdown()
		h.skip()
		h.reading = false
		h.write(h.msg(FlagAck, 0, 0, "a"), h.msg(FlagAck|FlagShutdown, 0, 1, "b"))
		h.wantCause("the bytes are not delivered", Open)
		h.read("first", "a")
		h.wantPacket("taken", h.ack(FlagAck, 0))
		h.read("last", "b")
		h.wantPacket("taken", h.ack(FlagAck, 1))
		h.wantCause("everything is done", Finished)
	})
}

// TestStopForLastAck: [MSP-8.1.6] a STOP that arrives when the peer's SHUTDOWN was
// delivered, and of the own messages only a bare SHUTDOWN is unacknowledged,
// finishes the connection without an error. With message bytes unacknowledged it
// is a reset: nothing says that they were delivered.
func TestStopForLastAck(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.send("0")
		h.write(h.msg(FlagAck|FlagShutdown, 0, 0, "bye"))
		h.shutdown()
		h.skip()
		h.write(stopPacket)
		h.wantCause("a stock peer has forgotten us", Finished)
		if !h.c.Delivered() || !h.c.Flushed() {
			t.Errorf("delivered %v, flushed %v", h.c.Delivered(), h.c.Flushed())
		}
		h.wantQuiet("no timer is left", time.Minute)
	})
	for _, early := range []string{"peer goes on", "bytes unacknowledged", "SHUTDOWN on bytes", "not shut down"} {
		established(t, func(t *testing.T, h *harness) {
			switch early {
			case "peer goes on":
				h.shutdown()
			case "bytes unacknowledged":
				h.write(h.msg(FlagShutdown, 0, 0, "bye"))
				h.send("0")
				h.shutdown()
			case "SHUTDOWN on bytes":
				h.write(h.msg(FlagShutdown, 0, 0, "bye"))
				if err := h.c.Send([]byte("0")); err != nil {
					t.Fatal(err)
				}
				h.shutdown()
			default:
				h.write(h.msg(FlagShutdown, 0, 0, "bye"))
			}
			h.skip()
			h.write(stopPacket)
			h.wantCause(early, Reset)
			if h.c.Delivered() || h.c.Flushed() != (early == "not shut down") {
				t.Errorf("%s: delivered %v, flushed %v", early, h.c.Delivered(), h.c.Flushed())
			}
		})
	}
}

// TestAbort: [MSP-8.3.1] an abort is one STOP of 1 byte, which is not repeated;
// [MSP-8.3.2] what is queued is dropped. [MSP-1.7] No packet is empty.
func TestAbort(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.reading = false
		h.write(h.msg(0, 0, 0, "unread"))
		h.fill(0)
		h.c.Stop()
		h.c.Stop()
		h.turn()
		if len(h.out) != 1 || len(h.out[0].data) != 1 {
			t.Fatalf("sent %v, want one packet of 1 byte", h.out)
		}
		h.wantPacket("abort", stopPacket)
		h.wantCause("abort", Aborted)
		h.wantQuiet("told once", time.Minute)
		if h.c.Peek() != nil || h.c.Room() != 0 || len(h.c.snd.queue) != 0 || h.c.rcv.held != 0 {
			t.Error("something is left")
		}
	})
	established(t, func(t *testing.T, h *harness) { // of the peer
		h.fill(0)
		h.write(stopPacket)
		if len(h.c.snd.queue) != 0 || h.buffers.allocated != h.buffers.freed {
			t.Error("something is left")
		}
	})
}

// TestNoAnswerToStop: [MSP-8.3.3] "A STOP MUST NOT be answered, least of all with
// STOP", in no state.
func TestNoAnswerToStop(t *testing.T) {
	stops := func(h *harness) []Packet {
		return []Packet{
			stopPacket, h.ack(FlagStop|FlagFirst, 0), h.msg(FlagStop|FlagFirst, 0, 0, "x"), h.msg(FlagStop|FlagAck, 0, 0, "x"),
		}
	}
	states := map[string]func(h *harness){
		"unknown":    func(h *harness) { h.remote.Port++ },
		"open":       func(h *harness) {},
		"reset":      func(h *harness) { h.write(stopPacket) },
		"aborted":    func(h *harness) { h.c.Stop(); h.turn() },
		"timed out":  func(h *harness) { h.advance(10 * time.Second) },
		"finished":   func(h *harness) { h.finishBoth() },
		"remembered": func(h *harness) { h.finishBoth(); h.advance(lingerTime) },
		"probation":  func(h *harness) { h.finishBoth(); h.listenToo(); h.write(h.ack(FlagFirst, 0)) },
		"listening":  func(h *harness) { h.listenToo(); h.remote.Port++ },
	}
	for name, prepare := range states {
		t.Run(name, func(t *testing.T) {
			established(t, func(t *testing.T, h *harness) {
				for _, p := range stops(h) {
					h.local.Port++ // another each time
					if h.l != nil {
						h.l.Close()
						h.l = nil
					}
					h.dial()
					h.write(h.ack(0, 0))
					prepare(h)
					h.skip()
					h.write(p)
					h.wantIdle("bound")
					h.mux.InputUnbound(h.now, h.local, h.remote, AppendPacket(nil, p), true)
					h.turn()
					h.wantIdle("unbound")
				}
			})
		})
	}
}

// finishBoth shuts both directions of a connection without messages down.
func (h *harness) finishBoth() {
	h.t.Helper()
	h.shutdown()
	h.write(h.msg(FlagAck|FlagShutdown, 0, 0, ""))
	h.wantCause("both directions were shut down", Finished)
	h.skip()
}

// listenToo makes something listen on the local address, if nothing does.
func (h *harness) listenToo() {
	h.t.Helper()
	if h.mux.listeners[h.local] == nil {
		h.listen(8)
	}
}

// TestReaderLeft: [MSP-8.3.4] an end whose reader has left discards and acks what
// arrives until its SHUTDOWN is acknowledged; [MSP-8.3.5] from then on it answers
// the next new message that has bytes with STOP.
func TestReaderLeft(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.reading = false
		h.write(h.msg(0, 0, 0, "unread"))
		h.wantIdle("withheld")
		h.send("answer")
		h.skip()
		h.c.Close()
		h.turn()
		h.wantPacket("SHUTDOWN carries the ack", h.msg(FlagAck|FlagShutdown, 0, 1, ""))
		h.wantIdle("what was unread is discarded")
		h.write(h.msg(FlagAck, 0, 1, "more"))
		h.wantPacket("discarded and acknowledged", h.ack(FlagAck, 1))
		h.wantCause("the answer is under way", Open)
		h.write(h.ack(FlagAck, 1), h.msg(FlagAck, 1, 1, "more"))
		h.wantPacket("a duplicate is not new", h.ack(FlagAck, 1))
		h.write(h.msg(FlagAck, 1, 2, ""))
		h.wantPacket("nor has this one bytes", h.ack(FlagAck, 2))
		h.write(h.msg(FlagAck, 1, 3, "even more"))
		h.wantPacket("nobody will read it", stopPacket)
		h.wantCause("aborted", Aborted)
		if !h.c.Delivered() {
			t.Error("all of ours was acknowledged")
		}
		h.wantGot("nobody reads")
	})
	established(t, func(t *testing.T, h *harness) { // CloseRead alone
		h.c.Discard()
		h.write(h.msg(0, 0, 0, "a"))
		h.wantPacket("discarded and acknowledged", h.ack(FlagAck, 0))
		h.send("we can still send")
		h.skip()
		h.write(h.msg(FlagAck, 0, 1, "b"))
		h.wantPacket("also when all so far is acknowledged", h.ack(FlagAck, 1))
	})
	established(t, func(t *testing.T, h *harness) { // the peer has nothing more to say
		h.c.Close()
		h.turn()
		h.skip()
		h.write(h.msg(FlagAck|FlagShutdown, 0, 0, ""))
		h.wantPacket("the end", h.ack(FlagAck, 0))
		h.wantCause("an end without bytes is no offence", Finished)
	})
}

// TestOrphan: [MSP-8.3.6] an end that has left both directions aborts when the peer
// does not end its own for 60 s after everything was acknowledged.
func TestOrphan(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.c.Close()
		h.turn()
		h.write(h.ack(FlagAck, 0))
		h.skip()
		for range 59 {
			h.advance(time.Second)
			h.write(h.ack(FlagAck, 0))
		}
		h.skip()
		h.wantQuiet("almost 60 s", time.Second-1)
		h.advance(1)
		h.wantPacket("60 s", stopPacket)
		h.wantCause("60 s", Aborted)
	})
}

// TestOrphanOfSlowReader: [MSP-8.3.6] a peer that never reads does not hold a
// connection open that was left; one that reads slowly is waited for.
func TestOrphanOfSlowReader(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		for range 3 {
			h.send("m")
		}
		h.c.Close()
		h.skip()
		wait := func(d time.Duration) {
			for end := h.now.Add(d); h.now.Before(end); {
				h.advance(min(time.Second, end.Sub(h.now)))
				if h.c.Cause() == Open {
					h.write(h.ack(0, 0)) // alive, and acknowledges nothing
				}
			}
			h.skip()
		}
		wait(4 * time.Minute)
		h.write(h.ack(FlagAck, 0))
		wait(5*time.Minute - time.Second)
		h.wantCause("one message was read 5 minutes ago, almost", Open)
		wait(2 * time.Second)
		h.wantCause("nothing for 5 minutes", Aborted)
		if h.c.Delivered() {
			t.Error("delivered")
		}
	})
}

// TestQuietEnds: Drop and Fail end a connection without a word, and so does Stop if
// the peer cannot know of it: [MSP-12.6] Stop sends STOP if the peer may know of the
// connection, and frees the local state.
func TestQuietEnds(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.c.Drop()
		h.turn()
		h.wantQuiet("Drop", time.Minute)
		h.wantCause("Drop", Aborted)
	})
	established(t, func(t *testing.T, h *harness) {
		h.c.Fail()
		h.turn()
		h.wantQuiet("Fail", time.Minute)
		h.wantCause("Fail", Failure)
		if h.c.State()&(Closed|Failed) != Closed|Failed {
			t.Errorf("state %v", h.c.State())
		}
	})
	h := newHarness(t, 0)
	h.dial()
	h.c.Stop()
	h.turn()
	h.wantIdle("nothing was ever sent")
	if len(h.mux.conns) != 0 || h.mux.timers.Len() != 0 {
		t.Error("state is left")
	}
	h.local.Port++
	h.dial()
	h.turn()
	h.wantPacket("opening", h.ack(FlagFirst, 0))
	h.c.Stop()
	h.turn()
	h.wantPacket("the peer may know", stopPacket)
}
