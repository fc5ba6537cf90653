package msp

import (
	"testing"
	"time"
)

// TestStopAgain: [MSX-7.5] an extended connection's abort is told three times, a second
// apart, until another connection has its place.
func TestStopAgain(t *testing.T) {
	aborted := func(t *testing.T) *harness {
		h := newHarnessConfig(t, Config{Extended: true})
		h.listen(8)
		h.write(h.ack(firstExt, 0))
		h.wantExtended("the answer", "PARAMS")
		h.writeExtended(64, "02 4040 00 00 00 "+params)
		h.skip()
		h.c.Stop()
		h.turn()
		h.wantPacket("abort", stopPacket)
		h.wantPacketAfter("a second later", stopAgain, stopPacket)
		return h
	}
	t.Run("lost", func(t *testing.T) {
		h := aborted(t)
		h.wantPacketAfter("once more", stopAgain, stopPacket)
		h.wantQuiet("that is all", time.Minute)
	})
	t.Run("replaced", func(t *testing.T) {
		h := aborted(t)
		h.advance(stopAgain / 2)
		h.write(h.ack(firstExt, 0))
		h.wantExtended("the peer calls again", "PARAMS")
		h.advance(stopAgain)
		for len(h.out) > 0 {
			h.wantExtended("no STOP of the one before", "PARAMS")
		}
	})
}

// TestLostStop: [MSX-7.5] of many idle connections that an end aborts where every other
// packet is lost most end soon at the other, too.
func TestLostStop(t *testing.T) {
	const conns = 200
	s, _, server, dialled := idleWorld(t, conns)
	s.loss = func(Addr, []byte) bool { return s.rng.IntN(2) == 0 }
	for _, c := range dialled {
		c.Stop()
	}
	s.run(3*time.Second, never)
	if left := server.Stats().Conns; left < conns/16 || left > conns/4 {
		t.Errorf("%d of %d are left, want about an eighth", left, conns)
	}
}

// TestStopAgainBounded: the STOPs that wait are so many at most.
func TestStopAgainBounded(t *testing.T) {
	var q stopAgains
	for i := range uint32(3 * stopMemory) {
		q.add(epoch, tuple{local: addr('A', i)}, stopTimes)
	}
	if len(q) != stopMemory || q[0].local != addr('A', 2*stopMemory) {
		t.Errorf("%d wait, %v first, want %d of the last", len(q), q[0].local.Port, stopMemory)
	}
	said := 0
	q.due(epoch.Add(stopAgain), func(tuple) bool { said++; return true })
	if said != stopMemory || len(q) != stopMemory || q.next() != epoch.Add(2*stopAgain) {
		t.Errorf("%d were said, %d wait until %v", said, len(q), q.next())
	}
	q.due(epoch.Add(2*stopAgain), func(tuple) bool { said++; return true })
	if said != 2*stopMemory || len(q) != 0 {
		t.Errorf("%d were said, %d wait", said, len(q))
	}
}
