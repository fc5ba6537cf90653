package msp

import (
	"runtime"
	"testing"
	"time"
)

// A backToBack joins two Muxes without a link: what one emits the other has got
// when its Poll returns. Buffers are used again.
type backToBack struct {
	ends [2]*Mux
	now  time.Time
	free [][]byte
}

func newBackToBack() *backToBack {
	b := &backToBack{now: epoch}
	for i := range b.ends {
		b.ends[i] = NewMux(Config{Alloc: b.alloc, Free: func(buf []byte) { b.free = append(b.free, buf) }})
	}
	return b
}

func (b *backToBack) alloc(n int) []byte {
	if last := len(b.free) - 1; last >= 0 {
		buf := b.free[last]
		b.free = b.free[:last]
		return buf[:n]
	}
	return make([]byte, n, HeaderLen+MaxMessage)
}

// turn moves packets until there are none, with a millisecond for each way.
func (b *backToBack) turn(read func(c *Conn)) {
	for b.ends[0].Pending() || b.ends[1].Pending() {
		for i, m := range b.ends {
			other := b.ends[1-i]
			m.Poll(b.now, func(local, remote Addr, data []byte) { other.Input(b.now, remote, local, data) })
			b.now = b.now.Add(time.Millisecond)
			for c := other.NextEvent(); c != nil; c = other.NextEvent() {
				read(c)
			}
		}
	}
}

// BenchmarkMuxBulk sends messages of 1,024 bytes from one Mux to another, which
// is both ends' cost of the machine alone.
func BenchmarkMuxBulk(b *testing.B) {
	pair := newBackToBack()
	if _, err := pair.ends[1].Listen(addr('B', 80), 1); err != nil {
		b.Fatal(err)
	}
	c, err := pair.ends[0].Dial(pair.now, addr('A', 70000), addr('B', 80), 0)
	if err != nil {
		b.Fatal(err)
	}
	got := 0
	read := func(c *Conn) {
		for m := c.Take(); m != nil; m = c.Take() {
			got++
			c.mux.cfg.free(m)
		}
	}
	msg := make([]byte, MaxMessage)
	b.SetBytes(MaxMessage)
	b.ReportAllocs()
	for sent := 0; sent < b.N; {
		for ; sent < b.N && c.Send(msg) == nil; sent++ {
		}
		pair.turn(read)
	}
	if got != b.N {
		b.Fatalf("%d messages arrived, want %d", got, b.N)
	}
	if s := c.Stats(); s.Retransmitted != 0 {
		b.Fatalf("%d retransmissions", s.Retransmitted)
	}
}

// BenchmarkIdleConn opens connections, exchanges a message on each and leaves
// them idle: memory of one end's machine for each, and the cost of a keep-alive
// of a connection whose others to the same SID are due with it.
func BenchmarkIdleConn(b *testing.B) {
	const conns = 10000
	memory := func() uint64 {
		runtime.GC()
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	before := memory()
	m := NewMux(Config{})
	now := epoch
	packets := 0
	emit := func(_, _ Addr, _ []byte) { packets++ }
	turn := func() {
		for c := m.NextEvent(); c != nil; c = m.NextEvent() {
			c.Take()
		}
		m.Poll(now, emit)
	}
	write := func(i int, p Packet) {
		m.Input(now, addr('L', uint32(70000+i)), addr('R', 80), AppendPacket(nil, p))
	}
	for i := range conns {
		c, err := m.Dial(now, addr('L', uint32(70000+i)), addr('R', 80), 0)
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Send([]byte("hello")); err != nil {
			b.Fatal(err)
		}
	}
	turn()
	keepAlive := func(p Packet) { // the peer's, and ours
		now = now.Add(keepAliveInterval)
		for i := range conns {
			write(i, p)
		}
		m.Advance(now)
		turn()
	}
	keepAlive(Packet{Kind: KindMessage, Flags: FlagAck, Payload: []byte("world")})
	keepAlive(Packet{Kind: KindAck, Flags: FlagAck})
	keepAlive(Packet{Kind: KindAck, Flags: FlagAck})
	after := memory()

	packets = 0
	b.ReportAllocs()
	rounds := 0
	for b.Loop() {
		if rounds++; rounds%conns == 1 { // each iteration is one connection's share
			keepAlive(Packet{Kind: KindAck, Flags: FlagAck})
		}
	}
	if n := m.Stats().Conns; n != conns {
		b.Fatalf("%d connections, want %d", n, conns)
	}
	if want := (rounds + conns - 1) / conns * conns; packets != want {
		b.Fatalf("%d keep-alives, want %d", packets, want)
	}
	b.ReportMetric(float64(after-before)/conns, "B/conn")
	runtime.KeepAlive(m)
}
