package msp

import (
	"encoding/hex"
	"fmt"
	"testing"
	"time"
)

// TestKeepAlive: [MSP-7.1] an established connection sends an ack-only packet
// 1,500 ms after the last packet of any kind that it sent.
func TestKeepAlive(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.wantPacketAfter("after an ack", keepAliveInterval, h.ack(0, 0))
		h.write(h.ack(0, 0))
		h.wantPacketAfter("after a keep-alive", keepAliveInterval, h.ack(0, 0))
		h.advance(time.Second)
		h.send("m")
		h.wantPacket("a message", h.msg(0, 0, 0, "m"))
		h.write(h.ack(FlagAck, 0))
		h.wantPacketAfter("after a message", keepAliveInterval, h.ack(0, 0))
	})
}

// TestKeepAlivesTogether: [MSP-7.2] keep-alives to one SID that fall due within 300 ms
// of each other go together, some of them earlier and none later; those to
// another SID, and of another identity, by themselves.
func TestKeepAlivesTogether(t *testing.T) {
	h := newHarness(t, 0)
	var conns []*Conn
	start := h.now
	for i, c := range []struct {
		at            time.Duration // when it is opened, and last sends
		local, remote byte
	}{{0, 'L', 'R'}, {100, 'L', 'R'}, {200, 'L', 'X'}, {300, 'L', 'R'}, {300, 'M', 'R'}, {301, 'L', 'R'}} {
		h.advance(start.Add(c.at * ms).Sub(h.now))
		h.local, h.remote = addr(c.local, uint32(1000+i)), addr(c.remote, 80)
		h.dial()
		h.turn()
		h.write(h.ack(0, 0))
		conns = append(conns, h.c)
	}
	h.skip()
	h.advance(start.Add(keepAliveInterval + 400*ms).Sub(h.now))
	want := []time.Duration{1500, 1500, 1700, 1500, 1800, 1801}
	if len(h.out) != len(want) {
		t.Errorf("%d keep-alives, want %d", len(h.out), len(want))
	}
	for i, c := range conns {
		if at := c.idle.lastSent.Sub(start); at != want[i]*ms {
			t.Errorf("keep-alive of connection %d after %v, want %v", i, at, want[i]*ms)
		}
	}
	h.skip()
}

// TestSilence: [MSP-7.4] after 3 s without a packet an ack-only packet is sent every
// 500 ms until something arrives; [MSP-7.5] after 10 s the connection ends as a
// time-out, and nothing is sent about it.
func TestSilence(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		for range 2 {
			h.wantPacketAfter("keep-alive", 1500*ms, h.ack(0, 0))
			h.wantPacketAfter("keep-alive at 3 s", 1500*ms, h.ack(0, 0))
			for range 5 {
				h.wantPacketAfter("probe", 500*ms, h.ack(0, 0))
			}
			h.write(h.ack(0, 0))
		}
		h.advance(3 * time.Second)
		if n := h.skip(); n != 2 {
			t.Fatalf("%d keep-alives, want 2", n)
		}
		for range 13 {
			h.wantPacketAfter("probe", 500*ms, h.ack(0, 0))
		}
		h.wantQuiet("10 s are over", time.Minute)
		h.wantCause("silence", TimedOut)
		if s := h.c.State(); s&(Closed|Failed|Stopped) != Closed|Failed {
			t.Errorf("state %v", s)
		}
	})
	// A packet that was sent in the meantime does not put off the first probe.
	h := dialled(t, 0)
	h.advance(2800 * ms)
	h.write(h.ack(0, 0))
	h.advance(2900 * ms)
	h.send("m")
	h.skip()
	h.c.snd.timeoutAt = time.Time{}
	h.wantPacketAfter("500 ms after the last packet", 500*ms, h.msg(0, 0, 0, "m"))
}

// TestProbeByMessage: [MSP-7.4] if a message is in flight it is the probe: it asks for
// an answer.
func TestProbeByMessage(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.advance(3 * time.Second)
		h.skip()
		h.send("m")
		h.wantPacket("new", h.msg(0, 0, 0, "m"))
		h.wantPacketAfter("timeout", 200*ms, h.msg(0, 0, 0, "m"))
		h.wantPacketAfter("timeout", 400*ms, h.msg(0, 0, 0, "m"))
		for range 6 {
			h.wantPacketAfter("probe", 500*ms, h.msg(0, 0, 0, "m"))
		}
		h.write(h.ack(FlagAck, 0))
		h.wantPacketAfter("alive again", keepAliveInterval, h.ack(0, 0))
	})
}

// TestAlive: [MSP-7.3] every packet of a connection proves that the peer is alive,
// whatever becomes of its contents.
func TestAlive(t *testing.T) {
	for name, p := range map[string]func(h *harness) Packet{
		"flags only":         func(h *harness) Packet { return Packet{Flags: 0xf0} },
		"ack":                func(h *harness) Packet { return h.ack(0, 0) },
		"late ack":           func(h *harness) Packet { return h.ack(FlagAck, -1000) },
		"message beyond":     func(h *harness) Packet { return h.msg(0, 0, 1000, "m") },
		"duplicate":          func(h *harness) Packet { return h.msg(0, 0, -5, "m") },
		"late FIRST":         func(h *harness) Packet { return h.msg(FlagFirst, 0, -5, "m") },
		"SHUTDOWN in an ack": func(h *harness) Packet { return h.ack(FlagShutdown, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			established(t, func(t *testing.T, h *harness) {
				for range 3 {
					h.advance(9 * time.Second)
					h.write(p(h))
				}
				h.wantCause("9 s of silence", Open)
				h.skip()
			})
		})
	}
}

// TestIdleExchange reproduces the recorded exchange of a connection with nothing
// to say for 4 s (docs/protocol.md §8.1), as seen by its client: [MSP-8.1.3],
// [MSP-8.1.5]. The link takes 5.5 ms each way, so that the round trip is the 11 ms
// of the recording. The application acts at the recorded instants. Our timers are
// exact, and so are all our instants; the recording is of a daemon that looks at
// its timers once in a while, hence the keep-alive of 3000 stands there as 3002,
// and times were rounded to a millisecond: 2 ms of tolerance.
func TestIdleExchange(t *testing.T) {
	const tolerance = 2
	want := []struct {
		at  int
		way byte
		hex string
	}{
		{0, '>', "04ffff"}, {11, '<', "00ffff"},
		{1500, '>', "00ffff"}, {1511, '<', "00ffff"},
		{3002, '>', "00ffff"}, {3013, '<', "00ffff"},
		{3963, '>', "01ffff0000"}, {3975, '<', "020000"},
		{4471, '<', "0300000000"}, {4471, '>', "020000"},
	}
	s := newSim(t, 1)
	s.delay = func() time.Duration { return 5500 * time.Microsecond }
	client, server := s.add('C', Config{}), s.add('S', Config{})
	var got []string
	note := func(way byte, b []byte) {
		got = append(got, fmt.Sprintf("%v %c %x", s.now.Sub(epoch), way, b))
		i := len(got) - 1
		if i >= len(want) {
			t.Errorf("more than was recorded: %v", got[i])
			return
		}
		w := want[i]
		raw, _ := hex.DecodeString(w.hex)
		late := s.now.Sub(epoch) - time.Duration(w.at)*ms
		if way != w.way || string(b) != string(raw) || late.Abs() > tolerance*ms {
			t.Errorf("got %v, want %d ms %c %s", got[i], w.at, w.way, w.hex)
		}
	}
	s.trace = func(_ time.Time, from Addr, b []byte, _ bool) {
		if from.SID[0] == 'C' {
			note('>', b)
		}
	}
	s.deliver = func(to Addr, b []byte) {
		if to.SID[0] == 'C' {
			note('<', b)
		}
	}
	if _, err := server.Listen(addr('S', 80), 1); err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(s.now, addr('C', 257), addr('S', 80), 0)
	if err != nil {
		t.Fatal(err)
	}
	var d *Conn
	s.run(3963*ms, func() bool {
		if d == nil {
			d = server.NextEvent()
		}
		return false
	})
	d.Accept()
	c.Shutdown()
	s.run(4471*ms-3963*ms-5500*time.Microsecond, never)
	d.Shutdown()
	s.run(4*time.Minute, never)
	if len(got) != len(want) {
		t.Errorf("%d packets, want %d", len(got), len(want))
	}
	for _, c := range []*Conn{c, d} {
		if c.Cause() != Finished || !c.Delivered() || !c.EOF() {
			t.Errorf("%v, delivered %v, EOF %v; want finished", c.Cause(), c.Delivered(), c.EOF())
		}
	}
}

// TestNotInGroup: [MSP-7.6] a connection on probation takes no part in the keep-alives
// of the others to its SID, [MSP-7.1] nor does one that is not established.
func TestNotInGroup(t *testing.T) {
	h := accepted(t, 0)
	older := h.remote
	h.c.Stop()
	h.turn()
	h.remote.Port++
	h.write(h.ack(FlagFirst, 0))
	h.skip()
	h.remote.Port++
	h.dial()
	h.turn()
	h.skip()
	h.c.announceAt = time.Time{}
	h.remote = older
	h.write(h.ack(FlagFirst, 0))
	h.wantPacket("on probation", h.ack(0, 0))
	h.remote.Port++
	h.wantPacketAfter("of the established one", keepAliveInterval, h.ack(0, 0))
	h.wantIdle("and of no other")
}
