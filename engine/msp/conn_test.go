package msp

import (
	"bytes"
	"fmt"
	"testing"
	"time"
)

// A harness is one Mux under test; the test plays its peer, its application and
// the clock, and looks at every packet:
//
//	h.write(h.msg(FlagAck, 0, 0, "hello"))
//	h.wantPacket("a message is acknowledged", h.ack(FlagAck, 0))
//	h.wantIdle("…once")
//
// Numbers in h.msg and h.ack count from where the test's numbers start.
type harness struct {
	t             *testing.T
	mux           *Mux
	now           time.Time
	local, remote Addr
	first         Seq
	buffers       *counter

	l         *Listener
	c         *Conn   // dialled, or the latest that was accepted
	seen      []*Conn // all of them
	accepting bool    // take connections out of the backlog
	reading   bool    // take messages as they come
	got       []string
	out       []sentPacket // that no want has looked at
}

type sentPacket struct {
	at            time.Time
	local, remote Addr
	data          []byte
}

func newHarness(t *testing.T, first Seq) *harness {
	return newHarnessConfig(t, Config{initialSeq: first})
}

func newHarnessConfig(t *testing.T, cfg Config) *harness {
	h := &harness{
		t: t, now: epoch, local: addr('L', 80), remote: addr('R', 257),
		first: cfg.initialSeq, buffers: new(counter), accepting: true, reading: true,
	}
	h.buffers.use(&cfg)
	h.mux = NewMux(cfg)
	t.Cleanup(h.finish)
	return h
}

// finish ends everything and sees that no buffer was lost.
func (h *harness) finish() {
	h.mux.Conns(func(c *Conn) { h.seen = append(h.seen, c) })
	for _, c := range h.mux.conns {
		c.Stop()
	}
	h.turn()
	for _, c := range h.seen {
		c.Discard()
	}
	if h.buffers.allocated != h.buffers.freed {
		h.t.Errorf("%d message buffers allocated, %d freed", h.buffers.allocated, h.buffers.freed)
	}
}

// dial begins a connection and looks at its opening.
func (h *harness) dial() {
	h.t.Helper()
	c, err := h.mux.Dial(h.now, h.local, h.remote, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	h.c = c
	h.seen = append(h.seen, c)
}

func (h *harness) listen(backlog int) {
	h.t.Helper()
	l, err := h.mux.Listen(h.local, backlog)
	if err != nil {
		h.t.Fatal(err)
	}
	h.l = l
}

// dialled returns a harness with a connection that the peer has answered.
func dialled(t *testing.T, first Seq) *harness {
	t.Helper()
	h := newHarness(t, first)
	h.dial()
	h.turn()
	h.wantPacket("a connection without data announces itself", h.ack(FlagFirst, 0))
	h.write(h.ack(0, 0))
	h.wantIdle("an answer is not answered")
	h.knowPath()
	return h
}

// accepted returns a harness with a connection that the peer opened.
func accepted(t *testing.T, first Seq) *harness {
	t.Helper()
	h := newHarness(t, first)
	h.listen(8)
	h.write(h.ack(FlagFirst, 0))
	h.wantPacket("an opening is answered", h.ack(0, 0))
	h.write(h.ack(0, 0))
	h.wantIdle("a keep-alive is not answered")
	h.knowPath()
	return h
}

// knowPath makes the round trip known: 100 ms, and a timeout of 200 ms, which is
// also what it is where nothing is known.
func (h *harness) knowPath() {
	h.c.snd.rtt.smoothed, h.c.snd.rtt.variance = 100*time.Millisecond, 25*time.Millisecond
}

// established runs f on a new connection in every variant: of either side, with
// numbers that start at 0 and just before they wrap.
func established(t *testing.T, f func(t *testing.T, h *harness)) {
	t.Helper()
	for _, first := range []Seq{0, 0xfffe} {
		t.Run(fmt.Sprintf("dialled from %d", first), func(t *testing.T) { f(t, dialled(t, first)) })
		t.Run(fmt.Sprintf("accepted from %d", first), func(t *testing.T) { f(t, accepted(t, first)) })
	}
}

// ack returns an ack-only packet; n is read if flags has ACK.
func (h *harness) ack(flags Flags, n int) Packet {
	p := Packet{Kind: KindAck, Flags: flags, Ack: noAck}
	if flags&FlagAck != 0 {
		p.Ack = h.first.add(n)
	}
	return p
}

// msg returns a message packet; ack is read if flags has ACK.
func (h *harness) msg(flags Flags, ack, seq int, payload string) Packet {
	p := h.ack(flags, ack)
	p.Kind, p.Seq, p.Payload = KindMessage, h.first.add(seq), []byte(payload)
	return p
}

var stopPacket = Packet{Flags: FlagStop}

// write lets packets of the peer arrive in one batch.
func (h *harness) write(packets ...Packet) {
	h.t.Helper()
	for _, p := range packets {
		h.mux.Input(h.now, h.local, h.remote, AppendPacket(nil, p))
	}
	h.turn()
}

// writeRaw lets one packet arrive, in its bytes.
func (h *harness) writeRaw(b ...byte) {
	h.t.Helper()
	h.mux.Input(h.now, h.local, h.remote, b)
	h.turn()
}

// turn is what a driver does after everything: it tells the application the news
// and sends what is due.
func (h *harness) turn() {
	h.t.Helper()
	for range 100 {
		for c := h.mux.NextEvent(); c != nil; c = h.mux.NextEvent() {
			h.event(c)
		}
		if !h.mux.Pending() {
			return
		}
		h.mux.Poll(h.now, func(local, remote Addr, data []byte) {
			h.out = append(h.out, sentPacket{h.now, local, remote, bytes.Clone(data)})
		})
	}
	h.t.Fatal("the machine always has something to do")
}

func (h *harness) event(c *Conn) {
	if c.probation {
		h.t.Error("an event of a connection on probation")
	}
	if c.Listener() != nil && !c.accepted && h.accepting {
		c.Accept()
		h.c = c
		h.seen = append(h.seen, c)
	}
	for h.reading {
		b := c.Take()
		if b == nil {
			return
		}
		h.got = append(h.got, string(b))
		h.mux.cfg.free(b)
	}
}

// read takes one message as a reader does that had not read.
func (h *harness) read(why, want string) {
	h.t.Helper()
	b := h.c.Take()
	if string(b) != want {
		h.t.Fatalf("%s: read %q, want %q", why, b, want)
	}
	h.mux.cfg.free(b)
	h.turn()
}

// send queues messages and lets them go out.
func (h *harness) send(messages ...string) {
	h.t.Helper()
	for _, m := range messages {
		if err := h.c.Send([]byte(m)); err != nil {
			h.t.Fatal(err)
		}
	}
	h.turn()
}

func (h *harness) shutdown() {
	h.t.Helper()
	h.c.Shutdown()
	h.turn()
}

// advance lets time pass, stopping wherever a timer is due.
func (h *harness) advance(d time.Duration) {
	h.t.Helper()
	end := h.now.Add(d)
	for n := 0; ; n++ {
		at := h.mux.NextTimeout()
		if at.IsZero() || at.After(end) {
			break
		}
		if n == 100000 {
			h.t.Fatal("a timer that is always due")
		}
		if at.After(h.now) {
			h.now = at
		}
		h.mux.Advance(h.now)
		h.turn()
	}
	h.now = end
	h.mux.Advance(h.now)
	h.turn()
}

// wantPacket looks at the oldest packet not yet looked at.
func (h *harness) wantPacket(why string, want Packet) {
	h.t.Helper()
	if len(h.out) == 0 {
		h.t.Fatalf("%s: nothing sent, want %v", why, want)
	}
	got := h.out[0]
	h.out = h.out[1:]
	if !bytes.Equal(got.data, AppendPacket(nil, want)) {
		p, _ := ParsePacket(got.data)
		h.t.Fatalf("%s:\n got %v %q\nwant %v %q", why, p, p.Payload, want, want.Payload)
	}
	if got.local != h.local || got.remote != h.remote {
		h.t.Fatalf("%s: went from %v to %v", why, got.local, got.remote)
	}
}

// wantPacketAfter lets d pass, and wants the packet at its very end, none before.
func (h *harness) wantPacketAfter(why string, d time.Duration, want Packet) {
	h.t.Helper()
	h.wantQuiet(why, d-1)
	h.advance(1)
	h.wantPacket(why, want)
}

// wantQuiet lets d pass, in which nothing is to be sent.
func (h *harness) wantQuiet(why string, d time.Duration) {
	h.t.Helper()
	h.wantIdle(why)
	start := h.now
	h.advance(d)
	if len(h.out) > 0 {
		p, _ := ParsePacket(h.out[0].data)
		h.t.Fatalf("%s: after %v got %v, want nothing within %v", why, h.out[0].at.Sub(start), p, d)
	}
}

// wantIdle wants nothing sent that was not looked at.
func (h *harness) wantIdle(why string) {
	h.t.Helper()
	if len(h.out) > 0 {
		p, _ := ParsePacket(h.out[0].data)
		h.t.Fatalf("%s: got %d packets, first %v, want none", why, len(h.out), p)
	}
}

// wantGot wants the application to have got just these messages.
func (h *harness) wantGot(why string, want ...string) {
	h.t.Helper()
	if fmt.Sprintf("%q", h.got) != fmt.Sprintf("%q", want) {
		h.t.Fatalf("%s: the application got %q, want %q", why, h.got, want)
	}
}

// wantCause wants the connection to be in this state.
func (h *harness) wantCause(why string, want Cause) {
	h.t.Helper()
	if got := h.c.Cause(); got != want {
		h.t.Fatalf("%s: the connection is %v, want %v", why, got, want)
	}
}

// skip forgets what was sent, and returns how many packets it was.
func (h *harness) skip() int {
	n := len(h.out)
	h.out = nil
	return n
}
