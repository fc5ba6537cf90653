package msp

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"mesh.example/msp/engine/cc"
	"mesh.example/msp/engine/stream"
)

// watchedIdle gives a harness with an idle extended connection, of which the layer
// below watches over the peer while *watched. The connection's idle timeout is 12 s.
func watchedIdle(t *testing.T) (h *harness, watched *bool) {
	t.Helper()
	watched = new(bool)
	*watched = true
	h = newHarnessConfig(t, Config{Extended: true, Watched: func(local, remote Addr) bool {
		if local != h.local || remote.SID != h.remote.SID {
			t.Errorf("asked whether %v is watched for %v", remote, local)
		}
		return *watched
	}})
	h.listen(8)
	h.oneMore()
	return h, watched
}

// oneMore has the peer open a connection more.
func (h *harness) oneMore() {
	h.t.Helper()
	h.write(h.ack(firstExt, 0))
	h.wantExtended("the answer", "PARAMS")
	h.advance(20 * time.Millisecond)
	h.writeExtended(64, "02 4040 00 00 00 "+params)
	h.wantExtended("parameters are acknowledged", "ACK 64")
}

// TestWatchedConnIsQuiet: [MSX-7.3] an idle connection whose peer is watched over
// neither asks nor ends, and wakes once an hour, to ask for itself.
func TestWatchedConnIsQuiet(t *testing.T) {
	h, _ := watchedIdle(t)
	for i := range byte(3) {
		heard := h.now
		h.wantQuiet("watched over", watchedFor-time.Second)
		if at := h.mux.NextTimeout(); !at.Equal(heard.Add(watchedFor)) {
			t.Errorf("wakes %v after it was heard, want %v", at.Sub(heard), watchedFor)
		}
		h.advance(time.Second)
		h.wantExtended("it asks once an hour", "PING")
		h.writeExtended(65+i, h.ackOf(66+i))
	}
	h.wantCause("after hours", Open)
}

// ackOf gives the frame that acknowledges packet n and no other, in hex.
func (h *harness) ackOf(n byte) string { return fmt.Sprintf("02 40%02x 00 00 00", n) }

// An hourly question without an answer ends it, as does anything else that the peer
// owes an answer.
func TestWatchedConnThatAsks(t *testing.T) {
	for name, ask := range map[string]func(h *harness){
		"once an hour":       func(h *harness) { h.advance(watchedFor - 5*time.Second) },
		"with its own words": func(h *harness) { h.send("hello") },
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := watchedIdle(t)
			h.advance(5 * time.Second)
			ask(h)
			h.skip()
			h.advance(idleTimeout - time.Millisecond)
			h.wantCause("while the answer may come", Open)
			h.advance(time.Millisecond)
			h.wantCause("10 s later", TimedOut)
		})
	}
}

// A connection watches over itself while nobody else does, whoever did before.
func TestNoLongerWatched(t *testing.T) {
	h, watched := watchedIdle(t)
	h.wantQuiet("watched over", time.Minute)
	h.writeExtended(65, "01")
	h.wantExtended("answer", "ACK 65")
	*watched = false
	h.wantQuiet("heard just now", 4*time.Second-time.Millisecond)
	h.advance(time.Millisecond)
	h.wantExtended("nobody watches", "PING")
	h.advance(idleTimeout)
	h.wantCause("silence", TimedOut)
}

// TestDoubted: [MSX-14.5] where the layer below watches no longer, each connection asks
// for itself at once; those that are answered are left to it again.
func TestDoubted(t *testing.T) {
	h, _ := watchedIdle(t)
	h.remote.Port++
	h.oneMore()
	h.advance(time.Minute)
	h.wantIdle("watched over")
	h.mux.Doubted(h.now, h.local.SID, [32]byte{'?'})
	h.mux.Doubted(h.now, [32]byte{'?'}, h.remote.SID)
	h.turn()
	h.wantIdle("the doubt is about others")
	h.mux.Doubted(h.now, h.local.SID, h.remote.SID)
	h.turn()
	asked := map[Addr]bool{}
	for _, p := range h.out {
		if strings.Contains(stream.String(p.data), "PING") {
			asked[p.remote] = true
		}
	}
	if len(asked) != 2 || len(h.out) != 2 {
		t.Fatalf("%d packets, PINGs of %d connections, want 2", len(h.out), len(asked))
	}
	h.skip()
	h.writeExtended(65, h.ackOf(66))
	h.advance(idleTimeout)
	for _, c := range h.seen {
		want := Open
		if c.remote != h.remote {
			want = TimedOut
		}
		if c.Cause() != want {
			t.Errorf("%v: %v, want %v", c.remote, c.Cause(), want)
		}
	}
	h.skip() // that one has ended makes the other ask again
	h.writeExtended(66, h.ackOf(67))
	h.wantQuiet("left to the layer below", watchedFor-time.Second)
}

// A connection that does not get to ask before the doubt is over sees to itself all
// the same.
func TestDoubtOvertaken(t *testing.T) {
	h, watched := watchedIdle(t)
	h.remote.Port++
	h.oneMore()
	h.advance(time.Minute)
	*watched = false
	h.mux.Doubted(h.now, h.local.SID, h.remote.SID)
	h.writeExtended(65, "01")
	h.skip()
	h.advance(5 * time.Second)
	asked := map[Addr]bool{}
	for _, p := range h.out {
		asked[p.remote] = true
	}
	if other := h.seen[0].remote; !asked[other] {
		t.Errorf("%v does not ask", other)
	}
	h.skip()
}

// TestGone: [MSX-14.1] a peer that is gone ends its idle connections; one that was heard,
// by its own account, and those of others go on.
func TestGone(t *testing.T) {
	h, _ := watchedIdle(t)
	idle := h.c
	h.advance(time.Minute)
	h.remote.Port++
	h.oneMore()
	h.mux.Gone(h.local.SID, [32]byte{'?'})
	h.mux.Gone([32]byte{'?'}, h.remote.SID)
	h.turn()
	if idle.Cause() != Open {
		t.Fatalf("others are gone: %v", idle.Cause())
	}
	h.mux.Gone(h.local.SID, h.remote.SID)
	h.turn()
	if idle.Cause() != TimedOut {
		t.Errorf("idle: %v", idle.Cause())
	}
	if s := idle.State(); s&(Closed|Failed|Stopped) != Closed|Failed {
		t.Errorf("state %v", s)
	}
	h.remote.Port--
	h.wantPacket("the peer may hear us still", stopPacket)
	h.remote.Port++
	h.wantCause("heard of late", Open)
	h.wantExtended("it sees for itself", "PING")
	if len(h.mux.again) > 0 {
		t.Error("the STOP will be told again")
	}
}

// TestWatchAtOneEnd: an end that is watched over and one that is not get on with each
// other: the one asks, and the other answers.
func TestWatchAtOneEnd(t *testing.T) {
	for _, who := range []string{"both", "client", "server", "nobody"} {
		t.Run(who, func(t *testing.T) {
			s := newSim(t, 1)
			s.delay = func() time.Duration { return 5 * time.Millisecond }
			config := func(name string) Config {
				watched := who == name || who == "both"
				return Config{Extended: true, Watched: func(Addr, Addr) bool { return watched }}
			}
			client, server := s.add('C', config("client")), s.add('S', config("server"))
			if _, err := server.Listen(addr('S', 80), 8); err != nil {
				t.Fatal(err)
			}
			var conns []*Conn
			for i := range uint32(5) {
				c, err := client.Dial(s.now, addr('C', 70000+i), addr('S', 80), 0)
				if err != nil {
					t.Fatal(err)
				}
				conns = append(conns, c)
				s.run(time.Second, never)
			}
			before := s.n
			s.run(3*time.Hour, never)
			server.Conns(func(c *Conn) { conns = append(conns, c) })
			for _, c := range conns {
				if len(conns) != 10 || c.Cause() != Open {
					t.Fatalf("%d connections, %v: %v", len(conns), c.local, c.Cause())
				}
			}
			least, most := 3*3600/10, 4*3*3600/10 // a PING and its answer every ten seconds
			if who == "both" {
				least, most = 2*5, 4*5*3 // and every hour
			}
			if n := s.n - before; n < least || n > most {
				t.Errorf("%d packets in three hours, want %d … %d", n, least, most)
			}
		})
	}
}

// TestWatchedConnGivesBack: a connection that moved much and is idle, with its peer
// watched over, holds no memory for what it moved.
func TestWatchedConnGivesBack(t *testing.T) {
	h, _ := watchedIdle(t)
	h.c.x.Stream = stream.New(stream.Config{
		Local: &extendedParams, PacketSize: 1200, Controller: wideOpen{cc.NewBBR(1200, 0, 1)},
		Alloc: h.mux.cfg.alloc, Free: h.mux.cfg.free,
	})
	h.writeExtended(64, "09 0c 01 04 80010000 02 04 80800000") // messages of 64 KiB, a window of 8 MiB
	for range 100 {
		if err := h.c.Send(make([]byte, 10_000)); err != nil {
			t.Fatal(err)
		}
		h.turn()
	}
	h.out = nil
	last := h.c.x.Next() - 1
	h.writeExtended(65, fmt.Sprintf("02 %04x 00 00 %04x", 0x4000|last, 0x4000|(last-stream.FirstNumber)))
	if !h.c.Flushed() || last < 500 {
		t.Fatalf("%d packets were sent, all acknowledged: %v", last, h.c.Flushed())
	}
	before := heapInUse()
	h.wantQuiet("watched over", time.Minute)
	if after := heapInUse(); after > before-500*100 {
		t.Errorf("the idle connection holds %d bytes more, and gave none back of what %d packets had", after-before, last)
	}
	runtime.KeepAlive(h)
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
