package msp

import (
	"testing"
	"time"
)

// TestLinger: [MSP-8.2.1] a finished connection acks every retransmitted message at
// once for 10 s; [MSP-8.2.2] each starts these 10 s anew. [MSP-7.6] It sends nothing
// by itself. [MSP-9.8], [MSP-9.9] Afterwards such packets are dropped.
func TestLinger(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.write(h.msg(0, 0, 0, "a"))
		h.skip()
		h.shutdown()
		h.write(h.msg(FlagAck|FlagShutdown, 0, 1, ""))
		h.wantCause("finished", Finished)
		h.skip()
		for range 10 { // longer than what was remembered of it once
			h.wantQuiet("a lingering connection is silent", lingerTime-1)
			h.write(h.msg(FlagAck, 0, 0, "a"), h.msg(FlagAck|FlagShutdown, 0, 1, ""))
			h.wantPacket("acknowledged again", h.ack(FlagAck, 1))
			h.wantPacket("acknowledged again", h.ack(FlagAck, 1))
			h.write(h.ack(FlagAck, 0), Packet{})
			h.wantIdle("an ack-only packet is not answered")
			h.mux.InputUnbound(h.now, h.local, h.remote, AppendPacket(nil, h.msg(FlagAck, 0, 0, "a")), true)
			h.turn()
			h.wantPacket("also on a port that nobody has any more", h.ack(FlagAck, 1))
		}
		h.wantQuiet("", lingerTime)
		h.write(h.msg(FlagAck|FlagShutdown, 0, 1, ""), h.ack(FlagAck, 0), h.ack(0, 0), Packet{})
		h.wantIdle("late packets of a connection that ended well are dropped")
	})
}

// TestStopEndsLinger: [MSP-8.2.3] a STOP for a lingering connection ends the linger,
// and the application hears nothing of it.
func TestStopEndsLinger(t *testing.T) {
	for _, unbound := range []bool{false, true} {
		established(t, func(t *testing.T, h *harness) {
			h.finishBoth()
			if unbound {
				h.mux.InputUnbound(h.now, h.local, h.remote, AppendPacket(nil, stopPacket), true)
			} else {
				h.write(stopPacket)
			}
			if h.mux.NextEvent() != nil {
				t.Error("the application hears of it")
			}
			h.wantCause("it was finished before", Finished)
			h.write(h.msg(FlagAck|FlagShutdown, 0, 0, ""))
			h.wantIdle("the linger is over")
			h.dial() // the 4-tuple can be used again
			h.turn()
			h.wantPacket("opening", h.ack(FlagFirst, 0))
		})
	}
}

// TestDialLingering: a 4-tuple cannot be dialled while it lingers.
func TestDialLingering(t *testing.T) {
	h := dialled(t, 0)
	h.finishBoth()
	h.advance(lingerTime - 1)
	if _, err := h.mux.Dial(h.now, h.local, h.remote, 0); err != ErrInUse {
		t.Errorf("%v, want %v", err, ErrInUse)
	}
	h.advance(1)
	h.dial()
}

// ends are the ways in which a connection comes to be remembered.
var ends = map[string]func(h *harness){
	"finished": func(h *harness) { h.finishBoth() },
	"reset":    func(h *harness) { h.write(stopPacket) },
	"aborted":  func(h *harness) { h.c.Stop(); h.turn() },
	"timeout":  func(h *harness) { h.advance(10 * time.Second) },
	"failed":   func(h *harness) { h.c.Fail(); h.turn() },
}

// TestRemembered: [MSP-9.1] a 4-tuple is remembered for 60 s after its connection
// ended: after the linger if it finished, at once otherwise. [MSP-9.9] A packet
// without FIRST and STOP is answered with STOP if the connection ended by a STOP
// of ours or by a time-out, else dropped; what has FIRST and ACK is always dropped.
func TestRemembered(t *testing.T) {
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			established(t, func(t *testing.T, h *harness) {
				end(h)
				h.skip()
				memory := rememberTime
				if name == "finished" {
					h.write(h.msg(FlagAck, 0, 0, "")) // begins the linger anew
					h.skip()
					memory += lingerTime
				}
				key := tuple{h.local, h.remote}
				h.advance(memory - 1)
				if h.mux.closed.get(h.now, key) == nil {
					t.Error("forgotten before the time")
				}
				h.write(h.ack(FlagFirst|FlagAck, 0), h.msg(FlagFirst|FlagAck, 0, 0, "x"))
				h.wantIdle("FIRST and ACK are of the earlier connection")
				for _, p := range []Packet{{}, h.ack(0, 0), h.msg(FlagAck, 0, 0, "x")} {
					h.write(p)
					if name == "aborted" || name == "timeout" {
						h.wantPacket("the peer may not know", stopPacket)
					}
					h.wantIdle("late")
				}
				h.advance(1)
				if h.mux.closed.get(h.now, key) != nil || len(h.mux.closed.byTuple) != 0 {
					t.Error("not forgotten in time")
				}
				h.write(h.msg(FlagAck, 0, 0, "x"))
				h.wantPacket("unknown", stopPacket)
			})
		})
	}
}

// TestRememberedLimit: [MSP-9.2] at most 4,096 4-tuples are remembered, and the oldest
// are forgotten first; those that linger are apart, and have a limit as well.
func TestRememberedLimit(t *testing.T) {
	table := newClosedTable()
	key := func(i int) tuple { return tuple{addr('L', 80), addr('R', uint32(i+1))} }
	ended := &Conn{cause: Reset}
	finished := &Conn{cause: Finished, published: new(published)}
	for i := range 5000 {
		table.add(epoch, key(i), ended)
	}
	if table.len() != rememberLimit || table.byTuple[key(903)] != nil || table.byTuple[key(904)] == nil {
		t.Errorf("%d remembered, want the newest %d", table.len(), rememberLimit)
	}
	for i := range 70000 {
		table.add(epoch, key(10000+i), finished)
	}
	if table.len() != rememberLimit+lingerLimit {
		t.Errorf("%d known, want %d", table.len(), rememberLimit+lingerLimit)
	}
	if table.byTuple[key(4999)] != nil || !table.get(epoch, key(79999)).lingers(epoch) {
		t.Error("not the oldest were forgotten")
	}
	heard := table.get(epoch, key(79999))
	heard.linger(epoch.Add(lingerTime / 2))
	table.expire(epoch.Add(lingerTime))
	if !heard.lingers(epoch.Add(lingerTime)) || len(table.lingering) != 1 || table.len() != rememberLimit+1 {
		t.Errorf("%d linger, %d known, want the one that was heard again", len(table.lingering), table.len())
	}
	table.expire(epoch.Add(2 * lingerTime))
	if table.len() != rememberLimit {
		t.Errorf("%d remembered after the linger, want %d", table.len(), rememberLimit)
	}
	table.expire(epoch.Add(2*lingerTime + rememberTime))
	if table.len() != 0 || table.lingering != nil || table.remembered != nil {
		t.Errorf("%d remembered in the end", table.len())
	}
}

// ghosts runs f on a listener that remembers a connection of the peer's 4-tuple.
func ghosts(t *testing.T, f func(t *testing.T, h *harness)) {
	for name, end := range ends {
		for _, first := range []Seq{0, 0xfffe} {
			t.Run(name, func(t *testing.T) {
				h := accepted(t, first)
				end(h)
				h.skip()
				h.c = nil
				f(t, h)
			})
		}
	}
}

// TestProbation: [MSP-9.3] a fresh FIRST on a remembered or lingering 4-tuple "MUST be
// answered at once with `00 ffff`, which acknowledges nothing"; [MSP-9.4] the new
// connection "MUST NOT be shown to the application"; [MSP-9.5] its messages "are
// held and MUST NOT be acknowledged"; [MSP-9.7] a further FIRST without ACK is
// answered like the first; [MSP-9.6] a packet with neither FIRST nor ACK nor STOP
// ends the probation: what is held is acknowledged, the older one forgotten.
func TestProbation(t *testing.T) {
	ghosts(t, func(t *testing.T, h *harness) {
		h.write(h.msg(FlagFirst, 0, 0, "a"))
		h.wantPacket("at once, acknowledging nothing", h.ack(0, 0))
		h.write(h.msg(FlagFirst, 0, 1, "b"))
		h.wantPacket("held", h.ack(0, 0))
		h.write(h.ack(FlagFirst, 0))
		h.wantPacket("answered like the first", h.ack(0, 0))
		h.wantIdle("nothing else")
		shown := 0
		h.mux.Conns(func(*Conn) { shown++ })
		if h.c != nil || shown != 0 || h.mux.Stats().Probations != 1 {
			t.Error("shown to the application")
		}
		h.write(h.ack(0, 0))
		if h.c == nil {
			t.Fatal("the probation did not end")
		}
		h.wantGot("what was held", "a", "b")
		h.wantPacket("what was held", h.ack(FlagAck, 1))
		if h.mux.closed.get(h.now, tuple{h.local, h.remote}) != nil {
			t.Error("the older one is not forgotten")
		}
		h.write(h.msg(0, 0, 2, "c"))
		h.wantPacket("an ordinary connection", h.ack(FlagAck, 2))
		if h.l.ghosts != 0 || h.l.waiting != 0 {
			t.Errorf("listener: %d on probation, %d waiting", h.l.ghosts, h.l.waiting)
		}
	})
	ghosts(t, func(t *testing.T, h *harness) { // proved by a message
		h.write(h.ack(FlagFirst, 0))
		h.wantPacket("answered", h.ack(0, 0))
		h.write(h.msg(0, 0, 0, "a"))
		h.wantPacket("a live one", h.ack(FlagAck, 0))
		h.wantGot("a live one", "a")
	})
}

// TestProbationEnds: [MSP-9.10] a probation ends in silence, 10 s after its last
// packet, or with a STOP from the peer. [MSP-7.6] It sends no keep-alives.
func TestProbationEnds(t *testing.T) {
	for _, stop := range []Flags{FlagStop, FlagStop | FlagFirst, 0} {
		ghosts(t, func(t *testing.T, h *harness) {
			older := h.mux.closed.get(h.now, tuple{h.local, h.remote})
			h.write(h.msg(FlagFirst, 0, 0, "a"))
			h.skip()
			if stop != 0 {
				h.write(h.ack(stop, 0))
				h.wantIdle("no answer to STOP")
			} else {
				h.wantQuiet("silence", 10*time.Second-1)
				if len(h.mux.conns) != 1 {
					t.Error("ended before the time")
				}
				h.advance(1)
				h.wantIdle("silence")
			}
			if len(h.mux.conns) != 0 || h.l.ghosts != 0 || h.c != nil || h.mux.NextEvent() != nil {
				t.Error("not ended")
			}
			if h.mux.closed.get(h.now, tuple{h.local, h.remote}) != older {
				t.Error("it is remembered in the place of the older one")
			}
		})
	}
}

// TestProbationAndLinger: [MSP-9.8] a packet with ACK on a probationary 4-tuple belongs
// to the earlier connection: it is re-acked while that lingers, and otherwise
// dropped. It ends no probation.
func TestProbationAndLinger(t *testing.T) {
	ghosts(t, func(t *testing.T, h *harness) {
		r := h.mux.closed.get(h.now, tuple{h.local, h.remote})
		lingers := r.lingers(h.now)
		h.write(h.ack(FlagFirst, 0))
		h.skip()
		h.write(h.msg(FlagAck, 0, 0, "old"))
		if lingers {
			h.wantPacket("re-acked", h.ack(FlagAck, 0))
		}
		h.write(h.ack(FlagAck, 0), h.ack(FlagAck|FlagFirst, 0))
		h.wantIdle("dropped")
		if h.c != nil {
			t.Error("the probation ended")
		}
	})
}

// TestProbationBacklog: [MSP-9.11] as many probations as the backlog of the listener
// are kept, and a FIRST that finds them full gets no answer; nor do they lead
// around the backlog.
func TestProbationBacklog(t *testing.T) {
	h := newHarness(t, 0)
	h.listen(2)
	for port := range uint32(6) {
		h.remote.Port = 300 + port
		h.write(h.ack(FlagFirst, 0))
		h.c.Stop()
		h.turn()
	}
	h.skip()
	h.accepting = false
	open := func(port uint32, p Packet) int {
		h.remote.Port = 300 + port
		h.write(p)
		return h.skip()
	}
	if open(0, h.ack(FlagFirst, 0)) != 1 || open(1, h.ack(FlagFirst, 0)) != 1 || open(2, h.ack(FlagFirst, 0)) != 0 {
		t.Fatal("want two probations and no third")
	}
	open(0, h.ack(0, 0))
	open(1, h.ack(0, 0))
	if h.l.waiting != 2 {
		t.Fatalf("%d wait, want 2", h.l.waiting)
	}
	open(2, h.ack(FlagFirst, 0))
	open(2, h.ack(0, 0))
	if h.l.waiting != 2 || h.l.ghosts != 1 || h.mux.Stats().BacklogDrops != 2 {
		t.Fatalf("%d wait, %d on probation, want 2 and 1: %+v", h.l.waiting, h.l.ghosts, h.mux.Stats())
	}
	h.mux.Conns(func(c *Conn) { h.seen = append(h.seen, c); c.Accept() })
	open(2, h.ack(0, 0))
	if h.l.waiting != 1 || h.l.ghosts != 0 {
		t.Fatalf("%d wait, %d on probation, want 1 and 0", h.l.waiting, h.l.ghosts)
	}
}
