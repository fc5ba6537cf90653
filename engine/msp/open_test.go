package msp

import (
	"testing"
	"time"
)

// TestEarlyData: [MSP-6.1.1] messages queued before the peer was heard are sent at
// once, with FIRST, as many as the window allows.
func TestEarlyData(t *testing.T) {
	h := newHarness(t, 0)
	h.dial()
	h.send("0", "1", "2", "3", "4", "5")
	for i, m := range []string{"0", "1", "2", "3"} {
		h.wantPacket("at once", h.msg(FlagFirst, 0, i, m))
	}
	h.wantIdle("the window is 4")
	h.advance(50 * ms)
	h.write(h.msg(FlagAck, 3, 0, "answer"))
	h.wantPacket("one round trip later", h.msg(FlagAck, 0, 4, "4"))
	h.wantPacket("one round trip later", h.msg(FlagAck, 0, 5, "5"))
	h.wantIdle("the messages carry the ack")
	h.wantGot("a request and its answer take one round trip", "answer")
	if s := h.c.State(); s&(ReceivedPacket|ReceivedData) != ReceivedPacket|ReceivedData {
		t.Errorf("state %v", s)
	}
}

// TestAnnouncement: [MSP-6.1.2] without a message an ack-only FIRST goes out when the
// driver's delay is over, which is 10 ms at most; [MSP-6.1.3] it is repeated by the
// retransmission timeout until the peer has answered; [MSP-6.1.6] an attempt that is
// not answered within 10 s of its creation is a time-out. [MSP-7.1], [MSP-7.4] A
// connection that is not established has neither keep-alives nor probes.
func TestAnnouncement(t *testing.T) {
	h := newHarness(t, 0)
	c, err := h.mux.Dial(h.now, h.local, h.remote, 10*ms)
	if err != nil {
		t.Fatal(err)
	}
	h.c = c
	h.turn()
	opening := h.ack(FlagFirst, 0)
	h.wantPacketAfter("the delay is over", 10*ms, opening)
	sum := 10 * ms
	for _, d := range []time.Duration{200, 400, 800, 1600, 2000, 2000, 2000} {
		h.wantQuiet("no keep-alive between", d*ms*9/10)
		h.c.Discard() // anything that makes the machine look at it
		h.turn()
		h.wantPacketAfter("again", d*ms/10, opening)
		sum += d * ms
	}
	h.wantQuiet("patience", 10*time.Second-sum-1)
	h.wantCause("almost 10 s", Open)
	h.advance(1)
	h.wantCause("10 s after the creation", TimedOut)
	if c.State() != Closed|Failed {
		t.Errorf("state %v, want %v", c.State(), Closed|Failed)
	}
	h.wantQuiet("nothing is sent about it", time.Minute)
}

// TestAnnouncementEnds: [MSP-6.1.3] the opening packet is not repeated once a message
// is in flight, [MSP-6.1.4] nor when the first packet that is not STOP has made
// the connection established.
func TestAnnouncementEnds(t *testing.T) {
	h := newHarness(t, 0)
	h.dial()
	h.turn()
	h.wantPacket("opening", h.ack(FlagFirst, 0))
	h.advance(100 * ms)
	h.send("m")
	h.wantPacket("a message", h.msg(FlagFirst, 0, 0, "m"))
	h.wantPacketAfter("again, no opening between", 200*ms, h.msg(FlagFirst, 0, 0, "m"))

	for _, answer := range [][]byte{{0}, {0, 0xff, 0xff}, {0, 0xff, 0xff, 0}, {4, 0xff, 0xff, 0, 0, 'x'}} {
		h := newHarness(t, 0)
		h.dial()
		h.turn()
		h.skip()
		h.writeRaw(answer...)
		if !h.c.Connected() || h.c.State()&ReceivedPacket == 0 {
			t.Errorf("not established by % x", answer)
		}
		h.skip()
		h.wantQuiet("no opening any more", keepAliveInterval-1)
	}
}

// TestCallEachOther: [MSP-6.1.5] a packet with FIRST from the peer of a connecting
// 4-tuple is an ordinary packet of that connection.
func TestCallEachOther(t *testing.T) {
	s := newSim(t, 1)
	a, b := s.add('A', Config{}), s.add('B', Config{})
	ca, err := a.Dial(s.now, addr('A', 5), addr('B', 6), 0)
	if err != nil {
		t.Fatal(err)
	}
	cb, err := b.Dial(s.now, addr('B', 6), addr('A', 5), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := cb.Send([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if !s.run(time.Second, func() bool { return ca.Peek() != nil && cb.Connected() }) {
		t.Fatalf("they do not meet: %v, %v", ca.State(), cb.State())
	}
}

// TestListen: [MSP-6.2.1] a fresh FIRST of an unknown 4-tuple creates a connection if
// something listens; [MSP-6.2.2] the packet that opened it is answered at once,
// with `00 ffff` if there is nothing to acknowledge yet; [MSP-1.3] the 4-tuple alone
// tells connections apart.
func TestListen(t *testing.T) {
	for _, first := range []Seq{0, 0xfffe} {
		for _, reading := range []bool{true, false} {
			h := newHarness(t, first)
			h.listen(8)
			h.reading = reading
			h.write(h.msg(FlagFirst, 0, 0, "a"))
			if h.c == nil {
				t.Fatal("no connection")
			}
			if reading {
				h.wantPacket("there is something to acknowledge", h.ack(FlagAck, 0))
			} else {
				h.wantPacket("nobody has read", h.ack(0, 0))
			}
			h.wantIdle("one answer")
			one := h.c
			h.remote.Port++
			h.write(h.ack(FlagFirst, 0))
			h.wantPacket("also an ack-only one is answered", h.ack(0, 0))
			if h.c == one || h.c.Local() != h.local || h.c.Remote() != h.remote || h.c.Listener() != h.l {
				t.Error("another port is another connection")
			}
			h.remote.SID[0]++
			h.write(h.msg(FlagFirst, 0, 0, "b"))
			h.skip()
			if n := h.mux.Stats(); n.Conns != 3 || n.Accepted != 3 {
				t.Errorf("%d connections, want 3", n.Conns)
			}
		}
	}
}

// TestBeforeAccept: [MSP-6.2.3] messages are received and acknowledged before the
// application has accepted the connection.
func TestBeforeAccept(t *testing.T) {
	h := newHarness(t, 0)
	h.listen(8)
	h.accepting = false
	for i := range 20 {
		h.write(h.msg(FlagFirst, 0, i, "m"))
		h.wantPacket("acknowledged", h.ack(FlagAck, i))
	}
}

// TestBacklog: [MSP-6.2.4] if the backlog is full, a FIRST leaves no state and gets no
// answer, so that a retransmission may succeed.
func TestBacklog(t *testing.T) {
	h := newHarness(t, 0)
	h.listen(2)
	h.accepting = false
	var waiting []*Conn
	for i := range 4 {
		h.remote.Port = uint32(300 + i)
		h.write(h.ack(FlagFirst, 0))
		if i < 2 {
			h.wantPacket("room", h.ack(0, 0))
		}
		h.wantIdle("the backlog is full")
	}
	h.mux.Conns(func(c *Conn) { waiting = append(waiting, c) })
	if len(waiting) != 2 || h.mux.Stats().BacklogDrops != 2 {
		t.Fatalf("%d connections, %d dropped, want 2 and 2", len(waiting), h.mux.Stats().BacklogDrops)
	}
	waiting[0].Accept()
	waiting[0].Accept() // counts once
	h.write(h.ack(FlagFirst, 0))
	h.wantPacket("a retransmission succeeds", h.ack(0, 0))
	h.remote.Port++
	h.write(h.ack(FlagFirst, 0))
	h.wantIdle("full again")
	waiting[1].Stop()
	h.turn()
	h.skip()
	h.write(h.ack(FlagFirst, 0))
	h.wantIdle("it ended, but it still waits")
	waiting[1].Accept()
	h.write(h.ack(FlagFirst, 0))
	h.wantPacket("room again", h.ack(0, 0))
}

// TestAllow: [MSP-6.2.5] a FIRST from a SID that the listener does not allow is
// answered with STOP.
func TestAllow(t *testing.T) {
	h := newHarness(t, 0)
	h.listen(2)
	refused := h.remote.SID
	h.l.Allow = func(remote Addr) bool { return remote.SID != refused }
	h.write(h.msg(FlagFirst, 0, 0, "a"))
	h.wantPacket("not allowed", stopPacket)
	if s := h.mux.Stats(); s.Filtered != 1 || s.Conns != 0 {
		t.Errorf("%+v", s)
	}
	h.remote.SID[0]++
	h.write(h.ack(FlagFirst, 0))
	h.wantPacket("allowed", h.ack(0, 0))
}

// TestListenAddress: [MSP-6.2.6] a listener is bound to one SID, or to all of the
// node; the one for the single SID comes first.
func TestListenAddress(t *testing.T) {
	h := newHarness(t, 0)
	all, err := h.mux.Listen(Addr{AllSIDs, h.local.Port}, 8)
	if err != nil {
		t.Fatal(err)
	}
	h.write(h.ack(FlagFirst, 0))
	h.wantPacket("any SID", h.ack(0, 0))
	if h.c.Listener() != all || all.Addr().SID != AllSIDs || h.c.Local() != h.local {
		t.Errorf("listener %v, local address %v", h.c.Listener().Addr(), h.c.Local())
	}
	h.listen(8)
	h.remote.Port++
	h.write(h.ack(FlagFirst, 0))
	if h.c.Listener() != h.l {
		t.Error("the listener of the single SID does not come first")
	}
	if _, err := h.mux.Listen(h.local, 8); err != ErrInUse {
		t.Errorf("a second listener: %v, want %v", err, ErrInUse)
	}
	if _, err := h.mux.Dial(h.now, h.local, h.remote, 0); err != ErrInUse {
		t.Errorf("dialling a 4-tuple in use: %v, want %v", err, ErrInUse)
	}
	h.skip()
}

// TestListenerClose: accepted connections live on, those that wait are stopped.
func TestListenerClose(t *testing.T) {
	h := newHarness(t, 0)
	h.listen(8)
	h.write(h.ack(FlagFirst, 0))
	h.skip()
	h.accepting = false
	h.remote.Port++
	h.write(h.ack(FlagFirst, 0))
	h.skip()
	h.l.Close()
	h.l.Close()
	h.turn()
	h.wantPacket("nobody will accept it", stopPacket)
	h.wantIdle("one STOP")
	h.wantCause("accepted before", Open)
}

// TestRefused: [MSP-6.3.1] a STOP that is the first packet received by a connecting
// end means refused; [MSP-6.3.2] on an established connection it means reset.
func TestRefused(t *testing.T) {
	h := newHarness(t, 0)
	h.dial()
	h.send("m")
	h.skip()
	h.write(stopPacket)
	h.wantCause("refused", Refused)
	if h.c.State() != Closed|Stopped {
		t.Errorf("state %v, want %v", h.c.State(), Closed|Stopped)
	}
	established(t, func(t *testing.T, h *harness) {
		h.write(stopPacket)
		h.wantCause("reset", Reset)
		h.wantQuiet("a STOP is not answered", time.Minute)
		if err := h.c.Send([]byte("m")); err != ErrClosed {
			t.Errorf("Send: %v, want %v", err, ErrClosed)
		}
	})
}
