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
		h.oneMore()
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

// abortedOnce is a client whose first connection to the server one of the two has aborted.
func abortedOnce(t *testing.T, seed uint64, cfg Config, byServer bool) (s *sim, client, server *Mux) {
	t.Helper()
	s = newSim(t, seed)
	client, server = s.add('C', cfg), s.add('S', cfg)
	if _, err := server.Listen(addr('S', 80), 8); err != nil {
		t.Fatal(err)
	}
	dialled, accepted := dialAgain(s, client, server)
	if byServer {
		dialled, accepted = accepted, dialled
	}
	dialled.Stop()
	if !s.run(stopAgain, func() bool { return accepted.Cause() == Reset }) {
		t.Fatalf("%v, want reset", accepted.Cause())
	}
	return s, client, server
}

// dialAgain dials from the same port each time. accepted is nil if nothing came of it.
func dialAgain(s *sim, client, server *Mux) (dialled, accepted *Conn) {
	s.t.Helper()
	dialled, err := client.Dial(s.now, addr('C', 7000), addr('S', 80), 0)
	if err != nil {
		s.t.Fatal(err)
	}
	s.run(200*ms, never)
	for c := server.NextEvent(); c != nil; c = server.NextEvent() {
		if accepted = c; !c.accepted {
			c.Accept()
		}
	}
	return dialled, accepted
}

// TestStopOfEarlierConnection: [MSX-7.5] the STOPs of a connection do not reset a later one of
// the same 4-tuple whose end is missed by the peer.
func TestStopOfEarlierConnection(t *testing.T) {
	s, client, server := abortedOnce(t, 1, Config{Extended: true}, false)
	c, accepted := dialAgain(s, client, server)
	c.Shutdown()
	s.run(50*ms, never)
	accepted.Shutdown()
	s.loss = func(from Addr, b []byte) bool { return from == c.Local() && len(b) > 1 }
	s.run(stopAgain, never)
	s.loss = nil
	s.run(time.Second, func() bool { return accepted.Cause() != Open })
	if c.Cause() != Finished || accepted.Cause() != Finished {
		t.Errorf("it ended %v at the one end, %v at the other", c.Cause(), accepted.Cause())
	}
}

// TestDialAfterStop: [MSX-7.5] nor do they refuse one that the peer opens when it has heard
// the first; a listener that is gone does, and at once in the published format.
func TestDialAfterStop(t *testing.T) {
	for seed := range uint64(100) {
		s, client, server := abortedOnce(t, seed, Config{Extended: true}, true)
		s.delay = func() time.Duration { return 20*ms + time.Duration(s.rng.IntN(4000))*time.Microsecond }
		s.run(stopAgain-10*ms, never)
		if c, accepted := dialAgain(s, client, server); c.Cause() != Open || accepted == nil {
			t.Fatalf("seed %d: %v", seed, c.Cause())
		}
	}
	for _, row := range []struct {
		cfg    Config
		within time.Duration
	}{{Config{Extended: true}, (stopTimes + 2) * stopAgain}, {Config{}, stopAgain}} {
		s, client, _ := abortedOnce(t, 1, row.cfg, true)
		server := s.add('S', row.cfg)
		if _, err := server.Listen(addr('S', 81), 8); err != nil {
			t.Fatal(err)
		}
		c, _ := dialAgain(s, client, server)
		if !s.run(row.within, func() bool { return c.Cause() == Refused }) {
			t.Errorf("extended %v: %v, want refused", row.cfg.Extended, c.Cause())
		}
	}
}

// TestStopOfProbation: [MSX-7.5] a connection that perhaps never was is told to stop once.
func TestStopOfProbation(t *testing.T) {
	h := newHarnessConfig(t, Config{Extended: true})
	h.listen(8)
	h.write(h.msg(firstExt, 0, 0, "first life"))
	h.c.Stop()
	h.turn()
	for range stopTimes {
		h.advance(stopAgain)
	}
	h.write(h.msg(firstExt, 0, 0, "second life"))
	h.skip()
	h.writeExtended(64, params+" 06 bfffffff 01 00") // no data may be so far ahead
	h.wantPacket("a fault", stopPacket)
	h.wantQuiet("told once", 5*time.Second)
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
