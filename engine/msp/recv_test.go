package msp

import (
	"bytes"
	"fmt"
	"testing"
)

// TestOrder: [MSP-5.2.1] the application gets each message once, whole and in order;
// [MSP-5.2.2] a message whose number was taken "is a duplicate and MUST NOT be
// delivered again".
func TestOrder(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		for _, i := range []int{2, 1, 2, 4, 0, 0, 1, 3, 4, 2} {
			h.write(h.msg(0, 0, i, fmt.Sprint(i)))
		}
		h.wantGot("in order", "0", "1", "2", "3", "4")
		h.skip()
		s := h.c.Stats()
		if s.Duplicates != 5 || s.MessagesReceived != 5 || s.BytesReceived != 5 {
			t.Errorf("%+v, want 5 duplicates and 5 messages of 1 byte", s)
		}
	})
}

// TestHold: [MSP-5.2.3] a message among the 64 numbers after the newest acknowledged
// one is held, [MSP-5.2.4] one beyond is dropped unanswered, while the ack in its
// packet counts; [MSP-5.2.5] no window of the peer is presumed.
func TestHold(t *testing.T) {
	for _, reading := range []bool{true, false} {
		established(t, func(t *testing.T, h *harness) {
			h.reading = reading
			h.send("ours")
			h.skip()
			h.write(h.msg(FlagAck, 0, 64, "beyond"))
			h.wantIdle("it is dropped unanswered")
			if !h.c.Flushed() {
				t.Error("its ack was not taken")
			}
			for i := 63; i >= 0; i-- {
				h.write(h.msg(0, 0, i, "m"))
			}
			h.skip()
			if !reading {
				if s := h.c.Stats(); s.Held != 64 {
					t.Errorf("%d held for the reader, want 64", s.Held)
				}
				h.write(h.msg(0, 0, 64, "beyond"))
				h.wantIdle("no place")
				for range 64 {
					h.read("what is held", "m")
				}
				h.skip()
			}
			h.write(h.msg(0, 0, 64, "next"))
			if h.c.Stats().Dropped == 0 {
				t.Error("nothing counted as dropped")
			}
			if !reading {
				h.read("what comes then", "next")
			} else if len(h.got) != 65 {
				t.Errorf("%d messages, want 65", len(h.got))
			}
			h.skip()
		})
	}
}

// TestShutdownInOrder: [MSP-5.2.6] SHUTDOWN takes effect when its message is the next
// in order, after its bytes were delivered.
func TestShutdownInOrder(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.reading = false
		h.write(h.msg(FlagShutdown, 0, 1, "b"))
		if h.c.EOF() {
			t.Fatal("EOF before the first message")
		}
		h.write(h.msg(0, 0, 0, "a"))
		h.read("first", "a")
		if h.c.EOF() {
			t.Fatal("EOF before the bytes of the last message")
		}
		h.read("last", "b")
		if !h.c.EOF() || h.c.Peek() != nil || h.c.State()&ShutdownRemote == 0 {
			t.Fatal("no EOF at the end")
		}
		h.skip()
	})
	established(t, func(t *testing.T, h *harness) {
		h.write(h.msg(FlagShutdown, 0, 0, ""))
		h.wantPacket("a bare SHUTDOWN is acknowledged without a reader", h.ack(FlagAck, 0))
		if !h.c.EOF() {
			t.Fatal("no EOF")
		}
	})
}

// TestAfterShutdown: [MSP-5.2.7] "A message numbered after the one with SHUTDOWN MUST
// be ignored", whether it comes before or after it. What was held of such ones
// once was a buffer lost.
func TestAfterShutdown(t *testing.T) {
	for _, reading := range []bool{true, false} {
		established(t, func(t *testing.T, h *harness) {
			h.reading = reading
			h.write(h.msg(0, 0, 3, "later"), h.msg(0, 0, 5, "much later"), h.msg(FlagShutdown, 0, 4, "another end"))
			h.write(h.msg(FlagShutdown, 0, 2, "c"), h.msg(0, 0, 3, "after"))
			h.write(h.msg(0, 0, 1, "b"), h.msg(0, 0, 0, "a"))
			if !reading {
				for _, m := range []string{"a", "b", "c"} {
					h.read("in order", m)
				}
			} else {
				h.wantGot("up to the end", "a", "b", "c")
			}
			h.write(h.msg(0, 0, 3, "after"))
			if h.c.Peek() != nil || !h.c.EOF() || h.c.Stats().Held != 0 {
				t.Errorf("after the end: %q, EOF %v, %d held", h.c.Peek(), h.c.EOF(), h.c.Stats().Held)
			}
			h.skip()
		})
	}
}

// TestEmptyMessage: [MSP-5.2.8] a message without bytes and without SHUTDOWN takes its
// number and is acknowledged, but is not shown; [MSP-2.7] five bytes are a message
// packet.
func TestEmptyMessage(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.write(h.msg(0, 0, 0, ""))
		h.wantPacket("it is acknowledged", h.ack(FlagAck, 0))
		h.write(h.msg(0, 0, 1, "a"))
		h.wantPacket("it took a number", h.ack(FlagAck, 1))
		h.wantGot("it is not shown", "a")
		h.reading = false
		h.write(h.msg(0, 0, 2, "b"), h.msg(0, 0, 3, ""), h.msg(0, 0, 4, ""), h.msg(0, 0, 5, "c"))
		h.wantIdle("acks are withheld")
		h.read("between", "b")
		h.wantPacket("with those behind it", h.ack(FlagAck, 4))
		h.read("between", "c")
		h.skip()
	})
}

// TestPartialRead: a message may be consumed in parts; it counts when it is whole.
func TestPartialRead(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.reading = false
		h.write(h.msg(0, 0, 0, "hello"), h.msg(0, 0, 1, "world"))
		h.c.Consume(2)
		h.turn()
		h.wantIdle("a part is not acknowledged")
		if got := string(h.c.Peek()); got != "llo" {
			t.Fatalf("left over %q, want %q", got, "llo")
		}
		h.c.Consume(3)
		h.turn()
		h.wantPacket("the whole is", h.ack(FlagAck, 0))
		h.c.Consume(1)
		h.read("Take gives what is left", "orld")
		h.wantPacket("the whole is", h.ack(FlagAck, 1))
	})
}

// TestReadAfterEnd: what arrived in order before the end is the reader's, with what
// has no bytes between and behind it.
func TestReadAfterEnd(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.reading = false
		h.write(h.msg(0, 0, 0, "a"), h.msg(0, 0, 1, ""), h.msg(0, 0, 2, "b"), h.msg(FlagShutdown, 0, 3, ""))
		h.write(stopPacket)
		h.wantCause("STOP", Reset)
		h.skip()
		h.read("before the STOP", "a")
		if h.c.EOF() {
			t.Error("EOF too early")
		}
		h.read("before the STOP", "b")
		if !h.c.EOF() {
			t.Error("the end was here too")
		}
		h.wantIdle("nothing is acknowledged after a STOP")
	})
	established(t, func(t *testing.T, h *harness) {
		h.reading = false
		h.write(h.msg(0, 0, 0, "a"), h.msg(FlagShutdown, 0, 2, ""))
		h.skip()
		h.write(stopPacket)
		h.read("before the STOP", "a")
		if h.c.EOF() || h.c.Stats().Held != 0 {
			t.Error("EOF behind a gap that is never filled")
		}
	})
}

// FuzzReorder drives the receiver and a naive model with the same messages.
func FuzzReorder(f *testing.F) {
	f.Add(uint16(0), []byte{0, 1, 2, 0x80})
	f.Add(uint16(0xfff0), []byte{5, 4, 3, 0x83, 2, 1, 0, 0x85, 0x82})
	f.Add(uint16(0xffff), []byte{0x40, 0x41, 0xc3, 2, 0, 0x81, 0x3f, 0xc0, 7, 0x20, 0x21})
	f.Fuzz(func(t *testing.T, first uint16, ops []byte) {
		var buffers counter
		var cfg Config
		buffers.use(&cfg)
		r := receiver{next: Seq(first)}
		held := map[int]string{} // by number from first on
		next, end := 0, 1<<30    // the next to be taken; the one with SHUTDOWN
		for i, op := range ops {
			if op >= 0xc0 { // take some
				for range op - 0xbf {
					want, ok := held[next]
					if got := r.hasNext(); got != ok {
						t.Fatalf("op %d: message %d is there: %v, want %v", i, next, got, ok)
					}
					if !ok {
						break
					}
					b := r.take()
					if string(b) != want {
						t.Fatalf("op %d: message %d is %q, want %q", i, next, b, want)
					}
					cfg.free(b)
					delete(held, next)
					if r.shutdown != (next == end) {
						t.Fatalf("op %d: end after message %d is %v", i, next, r.shutdown)
					}
					next++
				}
				continue
			}
			// A message somewhere from 10 behind to 10 beyond the 64.
			n := next - 10 + int(op&0x7f)%84
			p := Packet{Kind: KindMessage, Seq: Seq(first).add(n), Payload: []byte(fmt.Sprint(i))}
			if n%7 == 0 {
				p.Payload = nil
			}
			if op >= 0x80 && op%8 == 3 {
				p.Flags = FlagShutdown
			}
			_, here := held[n]
			want := arrivedOutOfOrder
			switch {
			case n < next || here:
				want = arrivedDuplicate
			case n >= next+holdMessages || n > end:
				want = arrivedBeyond
			default:
				held[n] = string(p.Payload)
				if p.Flags != 0 {
					end = n
					for k := range held {
						if k > n {
							delete(held, k)
						}
					}
				}
				gap := false
				for k := next; k < n; k++ {
					_, here := held[k]
					gap = gap || !here
				}
				if !gap {
					want = arrivedInOrder
				}
			}
			if got := r.insert(p, cfg.alloc, cfg.free); got != want {
				t.Fatalf("op %d: message %d arrived as %d, want %d", i, n, got, want)
			}
			if r.held != len(held) {
				t.Fatalf("op %d: %d held, want %d", i, r.held, len(held))
			}
		}
		ack, flags := r.ack()
		if next == 0 && (ack != noAck || flags != 0) || next > 0 && (ack != Seq(first).add(next-1) || flags != FlagAck) {
			t.Fatalf("ack %v %d after %d messages from %d", flags, ack, next, first)
		}
		r.dropGaps(cfg.free)
		r.drop(cfg.free)
		if buffers.allocated != buffers.freed {
			t.Fatalf("%d buffers allocated, %d freed", buffers.allocated, buffers.freed)
		}
	})
}

// TestBuffersAreCopies: Input may not keep its argument.
func TestBuffersAreCopies(t *testing.T) {
	h := dialled(t, 0)
	h.reading = false
	b := AppendPacket(nil, h.msg(0, 0, 0, "hello"))
	h.writeRaw(b...)
	copy(b, bytes.Repeat([]byte{0xee}, len(b)))
	h.read("what came", "hello")
	h.skip()
}
