package msp

import (
	"bytes"
	"testing"
	"time"
)

// A tape is a fuzzer's bytes, read as numbers; at its end it gives zeros.
type tape struct{ b []byte }

func (t *tape) next() int {
	if len(t.b) == 0 {
		return 0
	}
	n := int(t.b[0])
	t.b = t.b[1:]
	return n
}

func (t *tape) bytes(n int) []byte {
	n = min(n, len(t.b))
	b := t.b[:n]
	t.b = t.b[n:]
	return b
}

// A muxFuzz drives one Mux with whatever packets and calls.
type muxFuzz struct {
	t       *testing.T
	tape    tape
	mux     *Mux
	now     time.Time
	buffers counter
	conns   []*Conn
	l       *Listener
}

var fuzzConfig = Config{SendQueue: 8, MaxConns: 12, MaxConnsPerSID: 6}

// FuzzMux: no packets and calls make it panic, lose a buffer, hold a deadline
// that is always in the past, exceed its tables or emit what is no packet.
func FuzzMux(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 2, 4, 8, 4, 0, 3, 0x04, 3, 5, 1, 7, 1, 4, 4, 4, 4, 9, 8, 9, 30})
	f.Add([]byte("\x03\x00\x04\x02\x01\x03\x00\x00\x02\x02\x03\x00\x01\x02\x02\x04\x05\x06\x07\x08\x09\xff"))
	f.Add([]byte("\x01\x00\x01\x04\xff\xff\x01\x00\x03\x08\x0b\x50\x0b\xff\x01\x00\x05\x04\xff\xff\x00\x00\x0a\x01\x0a\x02"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		cfg := fuzzConfig
		z := &muxFuzz{t: t, tape: tape{ops}, now: epoch}
		z.buffers.use(&cfg)
		cfg.initialSeq = Seq(z.tape.next() * 257)
		z.mux = NewMux(cfg)
		z.l, _ = z.mux.Listen(addr('L', 80), 4)
		z.dial()
		for len(z.tape.b) > 0 {
			z.step()
			z.settle()
		}
		z.end()
	})
}

func (z *muxFuzz) dial() {
	c, err := z.mux.Dial(z.now, addr('L', 70000), z.remote(), time.Duration(z.tape.next())*ms)
	if err == nil {
		z.conns = append(z.conns, c)
	}
}

func (z *muxFuzz) remote() Addr {
	n := z.tape.next()
	return addr('R'+byte(n&1), uint32(257+n>>1&3))
}

func (z *muxFuzz) conn() *Conn {
	if len(z.conns) == 0 {
		return nil
	}
	return z.conns[z.tape.next()%len(z.conns)]
}

func (z *muxFuzz) step() {
	op := z.tape.next()
	if op < 0x60 {
		z.input(op)
		return
	}
	c := z.conn()
	if c == nil || op >= 0xe0 {
		z.pass(op)
		return
	}
	switch op % 16 {
	case 0, 1, 2:
		c.Send(make([]byte, z.tape.next()*6))
	case 3:
		c.Shutdown()
	case 4:
		c.Discard()
	case 5:
		c.Close()
	case 6:
		c.Stop()
	case 7:
		c.Drop()
	case 8:
		c.Fail()
	case 9, 10, 11:
		if b := c.Take(); b != nil {
			z.mux.cfg.free(b)
		}
	case 12:
		if b := c.Peek(); len(b) > 0 {
			c.Consume(1 + z.tape.next()%len(b))
		}
	case 13:
		c.Accept()
	case 14:
		c.State()
		c.Stats()
		c.Room()
	default:
		if z.l != nil {
			z.l.Close()
			z.l = nil
		} else {
			z.l, _ = z.mux.Listen(addr('L', 80), z.tape.next()%5)
		}
	}
}

// input lets a packet arrive: raw bytes, or fields near what is expected.
func (z *muxFuzz) input(op int) {
	local := addr('L', 80)
	if op&1 != 0 {
		local.Port = 70000
	}
	remote := z.remote()
	b := z.tape.bytes(z.tape.next() % 40)
	if op&2 != 0 {
		p := Packet{Kind: Kind(op >> 2 % 3), Flags: Flags(z.tape.next()), Ack: noAck, Payload: b}
		if op&8 == 0 {
			p.Flags &= FlagShutdown | FlagAck | FlagFirst
		}
		first := z.mux.cfg.initialSeq
		if p.Flags&FlagAck != 0 {
			p.Ack = first.add(z.tape.next()%16 - 2)
		}
		p.Seq = first.add(z.tape.next()%80 - 4)
		b = AppendPacket(nil, p)
	}
	if op == 0x5f {
		z.mux.InputUnbound(z.now, local, remote, b, true)
		return
	}
	z.mux.Input(z.now, local, remote, b)
}

// pass lets time pass: a little, up to the next timer, or much.
func (z *muxFuzz) pass(op int) {
	switch op % 4 {
	case 0:
		z.now = z.now.Add(time.Duration(z.tape.next()) * ms)
	case 1:
		if at := z.mux.NextTimeout(); at.After(z.now) {
			z.now = at
		}
	case 2:
		z.now = z.now.Add(time.Duration(z.tape.next()) * 100 * ms)
	default:
		z.dial()
	}
	z.mux.Advance(z.now)
}

// settle is the driver's turn, after which nothing may be left to do.
func (z *muxFuzz) settle() {
	for range 20 {
		for c := z.mux.NextEvent(); c != nil; c = z.mux.NextEvent() {
			if c.probation {
				z.t.Fatal("an event on probation")
			}
			if c.User == nil && c.Listener() != nil {
				c.User = c
				z.conns = append(z.conns, c)
			}
		}
		z.mux.Poll(z.now, z.emit)
		if at := z.mux.NextTimeout(); !z.mux.Pending() && (at.IsZero() || at.After(z.now)) {
			z.bounded()
			return
		}
		z.mux.Advance(z.now)
	}
	z.t.Fatalf("always something to do at %v, next at %v", z.now.Sub(epoch), z.mux.NextTimeout().Sub(epoch))
}

func (z *muxFuzz) emit(_, _ Addr, b []byte) {
	p, err := ParsePacket(b)
	if err != nil || p.Flags&^knownFlags != 0 || len(b) != 1 && len(b) != 3 && len(b) < 5 || len(b) == 1 && b[0] != 8 {
		z.t.Fatalf("emitted % x", b)
	}
}

func (z *muxFuzz) bounded() {
	m := z.mux
	if m.byPeers < 0 || m.byPeers > m.cfg.maxConns() || len(m.conns) != m.timers.Len() || len(m.owed) != 0 {
		z.t.Fatalf("%d by peers, %d connections, %d timers, %d owed", m.byPeers, len(m.conns), m.timers.Len(), len(m.owed))
	}
	if l := z.l; l != nil && (l.waiting < 0 || l.waiting > l.Backlog || l.ghosts < 0 || l.ghosts > l.Backlog) {
		z.t.Fatalf("listener: %d wait, %d on probation, backlog %d", l.waiting, l.ghosts, l.Backlog)
	}
	for _, c := range m.conns {
		s := c.Stats()
		if s.InFlight > maxWindow || s.Window > maxWindow || s.Window < initialWindow || s.Held < 0 || s.Held > holdMessages ||
			s.Queued > m.cfg.sendQueue()+1 || s.InFlight > s.Queued || c.rcv.ready > c.rcv.held {
			z.t.Fatalf("%+v, %d ready", s, c.rcv.ready)
		}
	}
}

// end lets silence end everything, and counts.
func (z *muxFuzz) end() {
	for _, c := range z.conns {
		c.Close()
	}
	z.settle()
	for n := 0; len(z.mux.conns) > 0; n++ {
		if n == 1000 {
			z.t.Fatal("connections that never end")
		}
		z.now = z.mux.NextTimeout()
		z.mux.Advance(z.now)
		z.settle()
	}
	for _, c := range z.conns {
		if c.Cause() == Open {
			z.t.Fatal("a connection that has not ended")
		}
		c.Discard()
	}
	if z.buffers.allocated != z.buffers.freed || z.mux.byPeers != 0 || z.mux.timers.Len() != 0 {
		z.t.Fatalf("%d of %d buffers lost, %d by peers, %d timers", z.buffers.allocated-z.buffers.freed, z.buffers.allocated,
			z.mux.byPeers, z.mux.timers.Len())
	}
	if z.l != nil && z.l.ghosts != 0 {
		z.t.Fatalf("%d ghosts", z.l.ghosts)
	}
}

// FuzzPair joins two Muxes by a link whose losses, copies and delays the bytes
// decide, and which is whole when they are used up: what is delivered is always
// a prefix of what was sent, what is on the wire is allowed, and both ends end.
func FuzzPair(f *testing.F) {
	f.Add(uint16(0), byte(3), byte(5), []byte{})
	f.Add(uint16(0xfffe), byte(40), byte(0), []byte{0, 1, 2, 3, 0x80, 0x81, 0xff, 0, 0, 0})
	f.Add(uint16(0xffff), byte(9), byte(90), bytes.Repeat([]byte{0, 0, 0x41, 0x42, 0xc3, 7}, 30))
	f.Fuzz(func(t *testing.T, first uint16, up, down byte, ops []byte) {
		if len(ops) > 2000 {
			return
		}
		s := newSim(t, 1)
		link := tape{ops}
		s.loss = func(Addr, []byte) bool { return len(link.b) > 0 && link.next()%4 == 0 }
		s.delay = func() time.Duration { return time.Duration(1+link.next()) * ms }
		s.dup = func() bool { return link.next()%8 == 1 }
		var buffers counter
		client, server := s.add('C', buffers.config(Seq(first))), s.add('S', buffers.config(Seq(first)))
		w := watchWire(s, Seq(first))
		if _, err := server.Listen(addr('S', 80), 2); err != nil {
			t.Fatal(err)
		}
		a := &script{toSend: messages(s.rng, int(up%100)), slow: up >= 200, pensive: up%2 == 0}
		b := &script{toSend: messages(s.rng, int(down%100)), slow: down >= 200, pensive: down%2 == 0}
		s.alarm = wake(s, a, b)
		a.c, _ = client.Dial(s.now, addr('C', 70000), addr('S', 80), 0)
		w.end('C').conn = a.c
		ended := s.run(20*time.Minute, func() bool {
			for c := server.NextEvent(); c != nil; c = server.NextEvent() {
				if b.c == nil {
					b.c = c
					c.Accept()
					w.end('S').conn = c
				} else if c != b.c { // late packets that end a probation, see §9
					c.Stop()
				}
			}
			a.step(s)
			b.step(s)
			return a.c.Cause() != Open && (b.c == nil || b.c.Cause() != Open)
		})
		if !ended {
			t.Fatalf("not ended: %v %+v", a.c.State(), a.c.Stats())
		}
		for a.nextRead.After(s.now) || b.nextRead.After(s.now) {
			s.now = s.now.Add(time.Second)
			a.step(s)
			b.step(s)
		}
		if server.Stats().Accepted < 2 {
			checkEnd(t, "client", a, b, w.end('C').heardAt)
		}
		if b.c != nil {
			checkEnd(t, "server", b, a, w.end('S').heardAt)
		}
		s.run(2*time.Minute, never)
		for c := server.NextEvent(); c != nil; c = server.NextEvent() {
			c.Discard()
		}
		for _, me := range []*script{a, b} {
			if me.c != nil {
				me.c.Discard()
			}
		}
		if buffers.allocated != buffers.freed || len(client.conns)+len(server.conns) != 0 {
			t.Fatalf("left: %d buffers, %d connections", buffers.allocated-buffers.freed, len(client.conns)+len(server.conns))
		}
	})
}
