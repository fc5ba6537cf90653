package msp

import (
	"testing"
	"time"
)

// TestQueueFull: [MSP-12.4] a message that does not fit in the queue is refused
// without being sent in part, and DATAOUT tells when there is room again.
func TestQueueFull(t *testing.T) {
	h := newHarnessConfig(t, Config{SendQueue: 6})
	h.dial()
	for i := range 6 {
		if h.c.State()&DataOut == 0 || h.c.Room() != 6-i {
			t.Errorf("%d queued: state %v, room for %d", i, h.c.State(), h.c.Room())
		}
		if err := h.c.Send([]byte("m")); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.c.Send([]byte("m")); err != ErrFull || h.c.State()&DataOut != 0 {
		t.Errorf("Send: %v, state %v; want %v and no DATAOUT", err, h.c.State(), ErrFull)
	}
	if err := h.c.Queue(make([]byte, 10)); err != ErrFull {
		t.Errorf("Queue: %v, want %v", err, ErrFull)
	}
	h.turn()
	h.write(h.ack(FlagAck, 1))
	if h.c.State()&DataOut == 0 || h.c.Room() != 2 {
		t.Errorf("state %v, room for %d, want 2", h.c.State(), h.c.Room())
	}
	h.shutdown()
	if h.c.State()&(DataOut|ShutdownLocal) != ShutdownLocal {
		t.Errorf("state %v after Shutdown", h.c.State())
	}
	h.skip()
}

// TestQueueOwnsBuffer: Queue is Send without a copy.
func TestQueueOwnsBuffer(t *testing.T) {
	h := dialled(t, 0)
	buf := append(h.mux.cfg.alloc(HeaderLen), "hello"...)
	if err := h.c.Queue(buf); err != nil {
		t.Fatal(err)
	}
	h.turn()
	h.wantPacket("the message", h.msg(0, 0, 0, "hello"))
}

// TestStates: the bits of §12 through a life.
func TestStates(t *testing.T) {
	h := newHarness(t, 0)
	want := func(why string, s State) {
		t.Helper()
		if got := h.c.State(); got != s {
			t.Errorf("%s: %v, want %v", why, got, s)
		}
	}
	h.dial()
	want("new", DataOut)
	h.turn()
	h.write(h.ack(0, 0))
	want("connected", DataOut|ReceivedPacket)
	h.write(h.msg(0, 0, 0, "m"))
	want("data", DataOut|ReceivedPacket|ReceivedData)
	h.write(h.msg(FlagShutdown, 0, 1, ""))
	want("end of the peer", DataOut|ReceivedPacket|ReceivedData|ShutdownRemote)
	h.shutdown()
	want("own end", ReceivedPacket|ReceivedData|ShutdownRemote|ShutdownLocal)
	h.write(h.ack(FlagAck, 0))
	want("finished", ReceivedPacket|ReceivedData|ShutdownRemote|ShutdownLocal|Closed)
	h.skip()
}

// TestEvents: a connection is in the list once for all its news, and not again when
// nothing new happened.
func TestEvents(t *testing.T) {
	h := newHarness(t, 0)
	h.listen(8)
	input := func(p Packet) {
		h.mux.Input(h.now, h.local, h.remote, AppendPacket(nil, p))
	}
	input(h.msg(FlagFirst, 0, 0, "a"))
	input(h.msg(FlagFirst, 0, 1, "b"))
	c := h.mux.NextEvent()
	if c == nil || h.mux.NextEvent() != nil {
		t.Fatal("want one event")
	}
	h.seen = append(h.seen, c)
	c.Accept()
	input(h.msg(FlagFirst, 0, 0, "a"))
	input(h.ack(0, 0))
	if h.mux.NextEvent() != nil {
		t.Error("a duplicate and a keep-alive are no news")
	}
	input(stopPacket)
	if h.mux.NextEvent() != c || h.mux.NextEvent() != nil {
		t.Error("want one event for the end")
	}
	h.turn()
	h.skip()
}

// TestPollForNothing: [MSP-12.5] calling Advance and Poll earlier than NextTimeout
// says, or for nothing, is harmless; NextTimeout is then as before.
func TestPollForNothing(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.send("m")
		h.skip()
		at := h.mux.NextTimeout()
		for d := time.Duration(0); d < 200*ms; d += 7 * ms {
			h.mux.Advance(epoch.Add(d))
			h.mux.touch(h.c)
			h.mux.Poll(epoch.Add(d), func(_, _ Addr, data []byte) { t.Errorf("sent % x", data) })
			h.mux.Poll(epoch.Add(d), func(_, _ Addr, data []byte) { t.Errorf("sent % x", data) })
			if got := h.mux.NextTimeout(); !got.Equal(at) {
				t.Fatalf("the deadline moved from %v to %v", at, got)
			}
		}
	})
}

// TestTimerHeap: connections come out in the order of their deadlines, whatever is
// set, moved and taken out.
func TestTimerHeap(t *testing.T) {
	var h timerHeap
	conns := make([]Conn, 50)
	for i := range conns {
		conns[i].timer = -1
		h.set(&conns[i], epoch.Add(time.Duration(i*37%50)*ms))
	}
	for i := 0; i < 50; i += 5 {
		h.set(&conns[i], time.Time{})
		h.set(&conns[i], time.Time{})
		h.set(&conns[i+1], epoch.Add(time.Duration(i*13%100)*ms))
	}
	last := time.Time{}
	for n := 40; n > 0; n-- {
		at := h.next()
		if h.due(at.Add(-1)) != nil {
			t.Fatal("due before the time")
		}
		c := h.due(at)
		if c == nil || at.Before(last) || !c.deadline.Equal(at) || c.timer != -1 {
			t.Fatalf("%d left: %+v", n, c)
		}
		last = at
	}
	if !h.next().IsZero() || h.due(last.Add(time.Hour)) != nil {
		t.Error("something is left")
	}
}
