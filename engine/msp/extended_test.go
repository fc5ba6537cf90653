package msp

import (
	"fmt"
	"testing"
	"time"

	"mesh.example/msp/engine/cc"
	"mesh.example/msp/engine/stream"
)

// TestExtendedHostileLink is TestHostileLink for every mix of ends that announce
// the extended format and ends that do not: only if both do it is used.
func TestExtendedHostileLink(t *testing.T) {
	for _, mix := range []struct{ client, server bool }{{true, true}, {true, false}, {false, true}} {
		ends := map[Cause]int{}
		runs := *seeds
		if !mix.client || !mix.server {
			runs /= 4 // it is TestHostileLink once more
		}
		t.Run(fmt.Sprintf("client %v server %v", mix.client, mix.server), func(t *testing.T) {
			for seed := range runs {
				extendedRun(t, uint64(seed), mix.client, mix.server, ends)
			}
			t.Logf("ends: %v", ends)
			if n := ends[Finished]; runs >= 50 && (n < runs || ends[TimedOut] == 0) {
				t.Errorf("ends: %v; want half of them finished, and some timed out", ends)
			}
		})
	}
}

func extendedRun(t *testing.T, seed uint64, clientDoes, serverDoes bool, ends map[Cause]int) {
	t.Helper()
	s := newSim(t, seed)
	first := Seq(0)
	if seed%2 == 1 {
		first = 0xffff - Seq(s.rng.IntN(60))
	}
	var buffers counter
	config := func(extended bool) Config {
		cfg := buffers.config(first)
		cfg.Extended = extended
		return cfg
	}
	client, server := s.add('C', config(clientDoes)), s.add('S', config(serverDoes))
	cutFrom := time.Duration(s.rng.IntN(8000)) * time.Millisecond
	cutTo := cutFrom + time.Duration(s.rng.IntN(14000))*time.Millisecond
	s.loss = func(Addr, []byte) bool {
		at := s.now.Sub(epoch)
		return s.rng.Float64() < 0.3 || at >= cutFrom && at < cutTo
	}
	s.delay = func() time.Duration { return time.Duration(1+s.rng.IntN(60)) * time.Millisecond }
	s.dup = func() bool { return s.rng.Float64() < 0.1 }
	extended := 0
	s.trace = func(_ time.Time, from Addr, b []byte, _ bool) {
		if b[0] == stream.Format {
			extended++
			return
		}
		p, _ := ParsePacket(b)
		if announces := p.Flags&FlagExtended != 0; announces && (p.Flags&FlagFirst == 0 || from.SID[0] == 'S' || !clientDoes) {
			t.Errorf("seed %d: %c sent %v", seed, from.SID[0], p)
		}
	}
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
	ended := func() bool {
		if b.c == nil {
			if c := server.NextEvent(); c != nil {
				b.c = c
				c.Accept()
			}
		}
		a.step(s)
		b.step(s)
		return a.c.Cause() != Open && (b.c == nil || b.c.Cause() != Open)
	}
	if !s.run(10*time.Minute, ended) {
		t.Fatalf("seed %d: not ended: client %v %+v, server %v %+v", seed, a.c.State(), a.c.Stats(), b.c.State(), b.c.Stats())
	}
	for range 350 { // read what is left
		s.now = s.now.Add(time.Second)
		a.step(s)
		b.step(s)
	}
	for name, end := range map[string][2]*script{"client": {a, b}, "server": {b, a}} {
		if end[0].c == nil {
			continue
		}
		checkExtendedEnd(t, fmt.Sprint("seed ", seed, " ", name), end[0], end[1])
		ends[end[0].c.Cause()]++
	}
	if both := clientDoes && serverDoes; !both && extended > 0 || both && b.c != nil && extended == 0 {
		t.Errorf("seed %d: %d packets of the extended format", seed, extended)
	}
	s.run(2*time.Minute, never)
	if client.timers.Len()+server.timers.Len() != 0 || len(client.conns)+len(server.conns) != 0 {
		t.Errorf("seed %d: left behind: %d timers, %d connections", seed, client.timers.Len()+server.timers.Len(), len(client.conns)+len(server.conns))
	}
	if buffers.allocated != buffers.freed {
		t.Errorf("seed %d: %d message buffers allocated, %d freed", seed, buffers.allocated, buffers.freed)
	}
}

func checkExtendedEnd(t *testing.T, name string, me, peer *script) {
	t.Helper()
	if len(me.got) > len(peer.toSend) {
		t.Fatalf("%s got %d messages, %d were sent", name, len(me.got), len(peer.toSend))
	}
	for i, m := range me.got {
		if string(m) != string(peer.toSend[i]) {
			t.Fatalf("%s: message %d differs", name, i)
		}
	}
	if me.eof && len(me.got) != len(peer.toSend) {
		t.Errorf("%s saw EOF after %d of %d messages", name, len(me.got), len(peer.toSend))
	}
	switch cause := me.c.Cause(); cause {
	case Finished:
		if !me.eof {
			t.Errorf("%s finished without EOF", name)
		}
	case TimedOut:
	case Reset:
		if c := peer.c.Cause(); c != TimedOut && c != Finished {
			t.Errorf("%s was reset while its peer is %v", name, c)
		}
	default:
		t.Errorf("%s ended: %v", name, cause)
	}
}

// idleWorld is two ends with many idle connections between them.
func idleWorld(t *testing.T, conns int) (s *sim, client, server *Mux, dialled []*Conn) {
	t.Helper()
	s = newSim(t, 1)
	client, server = s.add('C', Config{Extended: true}), s.add('S', Config{Extended: true})
	if _, err := server.Listen(addr('S', 80), conns); err != nil {
		t.Fatal(err)
	}
	for i := range conns {
		c, err := client.Dial(s.now, addr('C', uint32(70000+i)), addr('S', 80), 0)
		if err != nil {
			t.Fatal(err)
		}
		dialled = append(dialled, c)
		s.run(7*time.Millisecond, never)
	}
	s.run(time.Minute, never)
	for i, c := range dialled {
		if !c.Extended() || c.Cause() != Open {
			t.Fatalf("connection %d: %v, extended %v", i, c.Cause(), c.Extended())
		}
	}
	return s, client, server, dialled
}

// TestIdleTogether: [MSX-7.3] the pings of many idle connections to one SID are
// hardly more than those of one.
func TestIdleTogether(t *testing.T) {
	const minutes = 20
	packets := func(conns int) int {
		s, _, _, dialled := idleWorld(t, conns)
		before := s.n
		s.run(minutes*time.Minute, never)
		for i, c := range dialled {
			if c.Cause() != Open {
				t.Fatalf("connection %d of %d: %v", i, conns, c.Cause())
			}
		}
		return s.n - before
	}
	one, many := packets(1), packets(300)
	t.Logf("%d packets in %d minutes of one idle connection, %d of 300", one, minutes, many)
	if one > minutes*15 || one < minutes*4 {
		t.Errorf("%d packets of one connection", one)
	}
	// Each is asked for by itself every five minutes: ping and answer, from either end.
	if most := one + 300*4*(minutes/5+1); many > most {
		t.Errorf("%d packets of 300 connections, want at most %d", many, most)
	}
}

// TestIdlePeerBeganAnew: [MSX-7.3] a peer that has forgotten everything is found
// out by one connection, and then by all.
func TestIdlePeerBeganAnew(t *testing.T) {
	s, _, _, dialled := idleWorld(t, 50)
	s.ends[[32]byte{'S'}] = NewMux(Config{Extended: true}) // nothing listens there
	if !s.run(45*time.Second, func() bool {
		for _, c := range dialled {
			if c.Cause() == Open {
				return false
			}
		}
		return true
	}) {
		t.Fatal("some connections are still open")
	}
	for i, c := range dialled {
		if c.Cause() != Reset {
			t.Errorf("connection %d: %v, want reset", i, c.Cause())
		}
	}
}

// TestPacketSizes: [MSX-6.2] packets are as long as fits to the peer now, and what
// was lost at one size comes at another.
func TestPacketSizes(t *testing.T) {
	s := newSim(t, 1)
	size := 1 << 16
	cfg := Config{Extended: true, PacketSize: func(Addr, Addr) int { return size }}
	client, server := s.add('C', cfg), s.add('S', cfg)
	longest := 0
	s.trace = func(_ time.Time, _ Addr, b []byte, _ bool) { longest = max(longest, len(b)) }
	s.loss = func(_ Addr, b []byte) bool { return len(b) > 9000 && s.rng.IntN(2) == 0 }
	if _, err := server.Listen(addr('S', 80), 8); err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(s.now, addr('C', 70000), addr('S', 80), 0)
	if err != nil {
		t.Fatal(err)
	}
	var d *Conn
	in := stream.Inbox{Alloc: func(n int) []byte { return make([]byte, n) }, Free: func([]byte) {}}
	got := 0
	read := func(n int) func() bool {
		return func() bool {
			if d == nil {
				if d = server.NextEvent(); d != nil {
					d.Accept()
				}
				return false
			}
			for d.TakeTo(&in) {
				got += in.Read(make([]byte, 1<<20))
				d.Consumed(in.Consumed())
			}
			for c.Extended() && c.Room() > 0 && c.Send(make([]byte, 1000)) == nil {
			}
			return got >= n
		}
	}
	for i, step := range []struct{ size, most int }{{1 << 16, 1 << 16}, {1452, 1452}, {100, 1029}, {9000, 9000}} {
		size = step.size
		s.run(time.Second, read(got+1)) // what is under way
		longest = 0
		if !s.run(time.Minute, read(got+1_000_000)) {
			t.Fatalf("step %d: no progress: %+v", i, c.Stats())
		}
		if longest > step.most || longest < step.most/2 {
			t.Errorf("packets of up to %d bytes, where %d fit", longest, step.size)
		}
	}
}

// wideOpen lets everything leave at once.
type wideOpen struct{ cc.Controller }

func (wideOpen) Window() int   { return 1 << 30 }
func (wideOpen) Rate() float64 { return 0 }

// TestUnsentIsBounded: however large the window, little waits for its first sending;
// that there is room again is told when it has left, not when it is acknowledged.
func TestUnsentIsBounded(t *testing.T) {
	h := newHarnessConfig(t, Config{Extended: true})
	h.dial()
	h.send("hello")
	h.writeExtended(64, params)
	h.c.x.Drop(true)
	h.c.x.Stream = stream.New(stream.Config{
		Local: &extendedParams, PacketSize: 1200, Controller: wideOpen{cc.NewBBR(1200, 0, 1)},
		Alloc: h.mux.cfg.alloc, Free: h.mux.cfg.free,
	})
	h.writeExtended(64, "09 0c 01 04 80010000 02 04 80800000") // messages of 64 KiB, a window of 8 MiB
	const size = 60_000
	fill := func() (n int) {
		t.Helper()
		for h.c.Room() > 0 {
			if err := h.c.Send(make([]byte, size)); err != nil {
				t.Fatal(err)
			}
			n += size
		}
		return n
	}
	if n := fill(); n < extendedUnsent || n > extendedUnsent+size {
		t.Errorf("%d bytes were queued at once, want some %d", n, extendedUnsent)
	}
	for told := 0; told < 5; {
		if h.mux.Pending() {
			h.mux.Poll(h.now, func(_, _ Addr, _ []byte) {})
		} else if h.mux.NextEvent() != h.c {
			t.Fatalf("nothing is told of room after %d bytes, of which none waits", h.c.x.Queued())
		} else if fill() > 0 {
			told++
		}
		if n := h.c.x.Unsent(); n > extendedUnsent+size {
			t.Fatalf("%d bytes wait, want at most some %d", n, extendedUnsent)
		}
	}
}
