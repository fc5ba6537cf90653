package msp

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"mesh.example/msp/engine/stream"
)

var seeds = flag.Int("seeds", 200, "runs of TestHostileLink")

// script is the application at one end: it sends messages, reads at its own
// pace, and closes when it has sent all and read the end.
type script struct {
	c        *Conn
	toSend   [][]byte
	sent     int
	got      [][]byte
	in       stream.Inbox
	part     []byte // of the message at hand
	eof      bool
	slow     bool
	pensive  bool // ends its direction only after the last message is under way
	nextRead time.Time
	endedAt  time.Time
}

func (a *script) step(s *sim) {
	if a.c == nil {
		return
	}
	if a.in.Alloc == nil {
		a.in = stream.Inbox{Alloc: a.c.mux.cfg.alloc, Free: a.c.mux.cfg.free}
	}
	for a.sent < len(a.toSend) && a.c.Send(a.toSend[a.sent]) == nil {
		a.sent++
	}
	if st := a.c.Stats(); a.sent == len(a.toSend) && (!a.pensive || st.InFlight == st.Queued) {
		a.c.Shutdown()
	}
	for !s.now.Before(a.nextRead) {
		for !a.in.Ready() && a.c.TakeTo(&a.in) {
		}
		if !a.in.Ready() {
			break
		}
		var b [100]byte
		n, ends := a.in.ReadMessage(b[:])
		a.part = append(a.part, b[:n]...)
		a.c.Consumed(a.in.Consumed())
		if !ends {
			continue
		}
		a.got = append(a.got, a.part)
		a.part = nil
		if a.slow {
			pause := 100
			if s.rng.IntN(50) == 0 {
				pause = 4000
			}
			a.nextRead = s.now.Add(time.Duration(s.rng.IntN(pause)) * time.Millisecond)
		}
	}
	a.eof = a.eof || a.c.EOF() && !a.in.Ready()
	if a.endedAt.IsZero() && a.c.Cause() != Open {
		a.endedAt = s.now
	}
}

// wake is a sim's alarm: when an application that pauses reads on.
func wake(s *sim, scripts ...*script) func() time.Time {
	return func() (at time.Time) {
		for _, a := range scripts {
			if a.nextRead.After(s.now) {
				at = earlier(at, a.nextRead)
			}
		}
		return at
	}
}

func messages(rng *rand.Rand, n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = make([]byte, 4+rng.IntN(200))
		binary.LittleEndian.PutUint32(out[i], uint32(i))
		for j := range out[i][4:] {
			out[i][4+j] = byte(rng.Uint32())
		}
	}
	return out
}

// counter counts message buffers, so that a lost one shows.
type counter struct{ allocated, freed int }

func (n *counter) config(first Seq) Config {
	cfg := Config{SendQueue: 32, initialSeq: first}
	n.use(&cfg)
	return cfg
}

func (n *counter) use(cfg *Config) {
	cfg.Alloc = func(size int) []byte { n.allocated++; return make([]byte, size) }
	cfg.Free = func([]byte) { n.freed++ }
}

// TestHostileLink runs two ends across 30% loss, reordering, duplication and a
// partition, with numbers that wrap: what is delivered is a prefix of what was
// sent; an end that saw EOF has all of it; an end that did not see it timed out
// after 10 s in which the link gave it nothing.
func TestHostileLink(t *testing.T) {
	runs := make([]outcome, *seeds)
	t.Run("seed", func(t *testing.T) {
		for seed := range runs {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				hostileRun(t, uint64(seed), &runs[seed])
			})
		}
	})
	sum := outcome{ends: map[Cause]int{}}
	for _, r := range runs {
		sum.sent += r.sent
		sum.delivered += r.delivered
		sum.packets += r.packets
		sum.lost += r.lost
		sum.retransmitted += r.retransmitted
		for cause, n := range r.ends {
			sum.ends[cause] += n
		}
	}
	t.Logf("ends: %v", sum.ends)
	t.Logf("messages: %d of %d delivered, %d retransmissions; packets: %d, %d lost",
		sum.delivered, sum.sent, sum.retransmitted, sum.packets, sum.lost)
	// A machine that delivers nothing, or a link that does no harm, must not pass.
	if *seeds >= 100 {
		if n := sum.ends[Finished]; n < *seeds {
			t.Errorf("%d of %d ends finished, want half of them", n, 2**seeds)
		}
		if sum.ends[TimedOut] == 0 {
			t.Error("no end timed out, although links were cut for more than 10 s")
		}
		if sum.delivered < sum.sent/2 {
			t.Errorf("%d of %d messages delivered, want half of them", sum.delivered, sum.sent)
		}
		if sum.lost < sum.packets/4 || sum.retransmitted < uint64(sum.delivered/4) {
			t.Errorf("%d of %d packets lost, %d retransmissions: not hostile", sum.lost, sum.packets, sum.retransmitted)
		}
	}
}

// outcome is what one run came to.
type outcome struct {
	ends            map[Cause]int
	sent, delivered int // messages
	packets, lost   int
	retransmitted   uint64
}

func hostileRun(t *testing.T, seed uint64, result *outcome) {
	s := newSim(t, seed)
	first := Seq(0)
	if seed%2 == 1 {
		first = 0xffff - Seq(s.rng.IntN(60))
	}
	var buffers counter
	client, server := s.add('C', buffers.config(first)), s.add('S', buffers.config(first))
	cutFrom := time.Duration(s.rng.IntN(8000)) * time.Millisecond
	cutTo := cutFrom + time.Duration(s.rng.IntN(14000))*time.Millisecond
	cut := func() bool {
		at := s.now.Sub(epoch)
		return at >= cutFrom && at < cutTo
	}
	s.loss = func(Addr, []byte) bool { return s.rng.Float64() < 0.3 || cut() }
	s.delay = func() time.Duration { return time.Duration(1+s.rng.IntN(60)) * time.Millisecond }
	s.dup = func() bool { return s.rng.Float64() < 0.1 }
	wire := watchWire(s, first)

	a := &script{toSend: messages(s.rng, s.rng.IntN(300)), slow: seed%3 == 0, pensive: seed%4 == 0}
	b := &script{toSend: messages(s.rng, s.rng.IntN(300)), slow: seed%5 == 0, pensive: seed%4 < 2}
	s.alarm = wake(s, a, b)
	if _, err := server.Listen(addr('S', 80), 8); err != nil {
		t.Fatal(err)
	}
	var err error
	if a.c, err = client.Dial(s.now, addr('C', 70000), addr('S', 80), 0); err != nil {
		t.Fatal(err)
	}
	wire.end('C').conn = a.c
	ended := func() bool {
		if b.c == nil {
			if c := server.NextEvent(); c != nil {
				b.c = c
				c.Accept()
				wire.end('S').conn = c
			}
		}
		a.step(s)
		b.step(s)
		return a.c.Cause() != Open && (b.c == nil || b.c.Cause() != Open)
	}
	if !s.run(10*time.Minute, ended) {
		t.Fatalf("not ended: client %v %+v, server %v %+v", a.c.State(), a.c.Stats(), b.c.State(), b.c.Stats())
	}
	for s.now = s.now.Add(time.Second); a.nextRead.After(s.now) || b.nextRead.After(s.now); {
		s.now = s.now.Add(time.Second)
	}
	for range 200 { // read what is left
		s.now = s.now.Add(time.Second)
		a.step(s)
		b.step(s)
	}
	result.ends = map[Cause]int{}
	for name, end := range map[string][2]*script{"client": {a, b}, "server": {b, a}} {
		me, peer := end[0], end[1]
		if me.c == nil {
			continue
		}
		checkEnd(t, name, me, peer, wire.end(me.c.local.SID[0]).heardAt)
		result.ends[me.c.Cause()]++
		result.sent += me.sent
		result.delivered += len(me.got)
		result.retransmitted += me.c.Stats().Retransmitted
	}
	result.packets, result.lost = wire.packets, wire.lost
	s.run(2*time.Minute, never)
	if client.timers.Len()+server.timers.Len() != 0 || len(client.conns)+len(server.conns) != 0 {
		t.Errorf("left behind: %d timers, %d connections", client.timers.Len()+server.timers.Len(), len(client.conns)+len(server.conns))
	}
	if buffers.allocated != buffers.freed {
		t.Errorf("%d message buffers allocated, %d freed", buffers.allocated, buffers.freed)
	}
}

func checkEnd(t *testing.T, name string, me, peer *script, heardAt time.Time) {
	t.Helper()
	if len(me.got) > len(peer.toSend) {
		t.Fatalf("%s got %d messages, %d were sent", name, len(me.got), len(peer.toSend))
	}
	for i, m := range me.got {
		if !bytes.Equal(m, peer.toSend[i]) {
			t.Fatalf("%s: message %d differs", name, i)
		}
	}
	switch me.c.Cause() {
	case Finished:
		if !me.eof || len(me.got) != len(peer.toSend) {
			t.Errorf("%s finished with %d of %d messages, EOF %v", name, len(me.got), len(peer.toSend), me.eof)
		}
	case TimedOut:
		if silence := me.endedAt.Sub(heardAt); silence != 10*time.Second {
			t.Errorf("%s timed out after %v", name, silence)
		}
		if me.eof && len(me.got) != len(peer.toSend) {
			t.Errorf("%s saw EOF after %d of %d messages", name, len(me.got), len(peer.toSend))
		}
	case Reset:
		// Only after the peer itself had timed out, or had lingered its time.
		if c := peer.c.Cause(); c != TimedOut && c != Finished {
			t.Errorf("%s was reset while its peer is %v", name, c)
		}
	default:
		t.Errorf("%s ended: %v", name, me.c.Cause())
	}
}
