package msp

import "testing"

// writeFrom has packets arrive of which something is known.
func (h *harness) writeFrom(from Origin, packets ...Packet) {
	h.t.Helper()
	for _, p := range packets {
		h.mux.InputFrom(h.now, h.local, h.remote, AppendPacket(nil, p), from)
	}
	h.turn()
}

// Of what was heard early a connection stays early until it takes a packet under
// session keys. A STOP is none: it answers a recording as well.
func TestEarlyUntilTaken(t *testing.T) {
	opened := func() *harness {
		h := newHarness(t, 0)
		h.listen(1)
		h.writeFrom(Origin{Early: true}, h.msg(FlagFirst, -1, 0, "request"))
		if !h.c.Early() {
			t.Error("an opening that came early is not")
		}
		h.skip()
		return h
	}
	h := opened()
	h.writeFrom(Origin{Early: true}, h.ack(FlagAck, 0))
	h.writeFrom(Origin{}, h.ack(FlagAck, 5)) // acknowledges what was never sent
	if !h.c.Early() {
		t.Error("no longer early by a packet that was dropped")
	}
	h.send("answer")
	h.skip()
	h.writeFrom(Origin{}, h.ack(FlagAck, 0))
	if h.c.Early() {
		t.Error("still early after an acknowledgement under session keys")
	}
	h.writeFrom(Origin{Early: true}, h.ack(FlagAck, 0))
	if h.c.Early() {
		t.Error("early again")
	}

	h = opened()
	h.writeFrom(Origin{}, Packet{Flags: FlagStop})
	h.wantCause("STOP", Reset)
	if !h.c.Early() {
		t.Error("a STOP under session keys proves a recording")
	}

	h = newHarness(t, 0)
	h.dial()
	h.writeFrom(Origin{Early: true}, Packet{Flags: FlagStop})
	if h.wantCause("STOP", Refused); h.c.Early() {
		t.Error("early, but nothing was heard")
	}
}

// A restart ends connections by when they began.
func TestRestarted(t *testing.T) {
	for _, tc := range []struct {
		made, boot int64
		want       Cause
	}{{made: 10, boot: 11, want: Restarted}, {made: 11, boot: 11}, {made: 12, boot: 11}, {made: 0, boot: 11}} {
		h := newHarness(t, 0)
		h.listen(1)
		h.writeFrom(Origin{Made: tc.made}, h.msg(FlagFirst, -1, 0, "hello"))
		h.writeFrom(Origin{Made: 20}, h.ack(FlagAck, 0)) // it began with the first
		h.mux.Restarted([32]byte{}, h.remote.SID, tc.boot)
		h.mux.Restarted(h.local.SID, [32]byte{}, tc.boot)
		h.wantCause("another pair", Open)
		h.mux.Restarted(h.local.SID, h.remote.SID, tc.boot)
		h.turn()
		h.wantCause("made then", tc.want)
		h.skip()
		h.wantIdle("no word to a peer that knows nothing of it")
	}
}
