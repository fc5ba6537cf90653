package msp

import (
	"testing"
	"time"
)

// TestStray: [MSP-10.1] a fresh FIRST of an unknown 4-tuple on a bound port where
// nothing listens, and [MSP-10.2] any other packet of an unknown 4-tuple but a STOP,
// is answered with STOP; [MSP-10.5] a STOP "MUST be dropped"; [MSP-10.6] the STOP goes
// from the port that was addressed to the port that sent.
func TestStray(t *testing.T) {
	h := newHarness(t, 0)
	h.write(h.ack(FlagFirst, 0))
	h.wantPacket("fresh FIRST", stopPacket) // and its addresses
	h.write(h.msg(FlagFirst, 0, 0, "x"))
	h.wantPacket("fresh FIRST", stopPacket)
	h.local.Port++
	h.listen(8)
	for _, p := range []Packet{
		{}, {Flags: FlagFirst}, h.ack(0, 0), h.ack(FlagAck, 0), h.ack(FlagFirst|FlagAck, 0), h.msg(0, 0, 0, "x"),
		{Kind: KindAck, Flags: FlagFirst, Ack: 0}, // acknowledges, without the flag
		{Kind: KindAck, Flags: FlagFirst | FlagAck, Ack: noAck},
	} {
		h.write(p)
		h.wantPacket(p.String(), stopPacket)
		h.wantIdle("one")
	}
	h.write(stopPacket)
	h.wantIdle("a STOP")
	if s := h.mux.Stats(); s.StopsSent != 10 || s.Conns != 0 || s.Unknown != 11 {
		t.Errorf("%+v", s)
	}
}

// TestUnbound: [MSP-10.3] on a port that nobody has bound only a fresh FIRST is
// answered with STOP, everything else meets silence; [MSP-10.4] so does that if the
// answer is switched off.
func TestUnbound(t *testing.T) {
	h := newHarness(t, 0)
	input := func(p Packet, answer bool) {
		h.mux.InputUnbound(h.now, h.local, h.remote, AppendPacket(nil, p), answer)
		h.turn()
	}
	for _, p := range []Packet{h.ack(FlagFirst, 0), h.msg(FlagFirst, 0, 0, ""), h.msg(FlagFirst|0x80, 0, 9, "x")} {
		input(p, true)
		h.wantPacket("fresh FIRST", stopPacket)
		input(p, false)
		h.wantIdle("switched off")
	}
	for _, p := range []Packet{
		{}, {Flags: FlagFirst}, stopPacket, h.ack(0, 0), h.ack(FlagAck, 0), h.ack(FlagFirst|FlagAck, 0),
		h.ack(FlagFirst|FlagStop, 0), h.msg(0, 0, 0, "x"), {Kind: KindMessage, Flags: FlagFirst, Ack: 7},
		{Kind: KindAck, Flags: FlagFirst | FlagAck, Ack: noAck},
	} {
		input(p, true)
		h.wantIdle(p.String())
	}
	if s := h.mux.Stats(); s.StopsSent != 3 || s.Unknown != 16 {
		t.Errorf("%+v", s)
	}
}

// TestStopRate: [MSP-10.2], [MSP-10.3] STOPs go at a limited rate per SID, per local
// address and in all.
func TestStopRate(t *testing.T) {
	h := newHarness(t, 0)
	count := func(n int, local, remote func(i int) Addr) int {
		for i := range n {
			h.mux.Input(h.now, local(i), remote(i), []byte{0})
			h.mux.InputUnbound(h.now, local(i), remote(i), []byte{4, 0xff, 0xff}, true)
		}
		h.turn()
		return h.skip()
	}
	ports := func(name byte) func(int) Addr { return func(i int) Addr { return addr(name, uint32(i+1)) } }
	sids := func(i int) Addr { return Addr{SID: [32]byte{1, byte(i), byte(i >> 8)}, Port: 9} }
	fixed := func(int) Addr { return addr('L', 80) }

	if n := count(100, ports('L'), ports('R')); n != stopsPerSID {
		t.Errorf("%d STOPs to one SID, want %d", n, stopsPerSID)
	}
	h.advance(time.Second)
	if n := count(300, fixed, sids); n != stopsPerLocal {
		t.Errorf("%d STOPs from one address, want %d", n, stopsPerLocal)
	}
	h.advance(time.Second)
	if n := count(2000, ports('L'), sids); n != stopsInAll {
		t.Errorf("%d STOPs in all, want %d", n, stopsInAll)
	}
	s := h.mux.Stats()
	if want := uint64(2*(100+300+2000)) - s.StopsSent; s.StopsSuppressed != want {
		t.Errorf("%d suppressed, want %d", s.StopsSuppressed, want)
	}
	if n := len(h.mux.stops.bySID) + len(h.mux.stops.byLocal); n > 2*stopsInAll {
		t.Errorf("%d entries to count by", n)
	}
	h.advance(time.Second)
	if n := count(1, fixed, sids); n != 2 {
		t.Errorf("%d STOPs in the next second, want 2", n)
	}
}

// TestTables: [MSP-11.1] the limits hold for any input of any peer; [MSP-11.2] beyond
// one, what a stranger sends is dropped and displaces no live connection.
func TestTables(t *testing.T) {
	h := newHarnessConfig(t, Config{MaxConns: 50, MaxConnsPerSID: 20})
	h.listen(1000)
	h.write(h.ack(FlagFirst, 0))
	live := h.c
	flood := func(sid byte) {
		for port := range uint32(100) {
			h.remote = addr(sid, 1000+port)
			h.write(h.msg(FlagFirst, 0, int(port%70), "x"), h.ack(FlagFirst, 0))
		}
		h.skip()
	}
	flood('R')
	if n := h.mux.Stats().Conns; n != 20 {
		t.Errorf("%d connections of one SID, want 20", n)
	}
	for sid := range byte(50) {
		flood('a' + sid)
	}
	if s := h.mux.Stats(); s.Conns != 50 || s.Conns > s.ConnsLimit || s.BacklogDrops == 0 {
		t.Errorf("%+v, want 50 connections", s)
	}
	if live.Cause() != Open {
		t.Error("a live connection was displaced")
	}
	h.remote = addr('Z', 1)
	h.dial() // ours are not bounded by theirs
	h.mux.Conns(func(c *Conn) { h.seen = append(h.seen, c) })
	h.advance(10 * time.Second)
	if len(h.mux.conns) != 0 || h.mux.byPeers != 0 || h.mux.timers.Len() != 0 {
		t.Errorf("left: %d connections, %d by peers, %d timers", len(h.mux.conns), h.mux.byPeers, h.mux.timers.Len())
	}
	h.skip()
}

// TestPeerTable: what is kept of SIDs without a connection is bounded.
func TestPeerTable(t *testing.T) {
	h := newHarness(t, 0)
	for i := range 3000 {
		h.remote = Addr{SID: [32]byte{1, byte(i), byte(i >> 8)}, Port: 9}
		h.dial()
		h.c.Stop()
		h.turn()
	}
	if n := len(h.mux.peers.bySID); n > idlePeerLimit+1 || n < idlePeerLimit {
		t.Errorf("%d SIDs kept, want %d", n, idlePeerLimit)
	}
	h.skip()
}
