package stream

import (
	"slices"
	"testing"
	"time"

	"mesh.example/msp/engine/cc"
)

// A purse is a controller that lets everything leave, and holds what it is given.
type purse struct {
	cc.Controller
	held float64
}

func (*purse) Window() int      { return 1 << 30 }
func (*purse) Rate() float64    { return 0 }
func (p *purse) Held() float64  { return p.held }
func (p *purse) Take(r float64) { p.held += r }
func (p *purse) Yield() float64 { r := p.held; p.held = 0; return r }

// purseStream is a stream with such a controller, a round trip of 20 ± 10 ms, and perhaps
// something to send.
func purseStream(held float64, busy bool) (*Stream, *purse) {
	p := &purse{cc.NewBBR(1200, 0, 1), held}
	s := New(Config{
		Local: &ours, PacketSize: 1200, Controller: p, RTT: 20 * time.Millisecond, RTTVar: 10 * time.Millisecond,
		Alloc: func(n int) []byte { return make([]byte, n) }, Free: func([]byte) {},
	})
	if busy {
		s.Push(make([]byte, room+1), room)
	}
	return s, p
}

// TestHandover: [MSX-8.7] who has sent nothing for a round trip and its variation leaves what it
// holds to those whom the path limits, once, and in equal parts.
func TestHandover(t *testing.T) {
	const trip = 60 * time.Millisecond // 20 + 4 × 10
	now := time.Unix(1e9, 0)
	send := func(s *Stream) {
		for len(s.Output(now, nil)) > 0 {
		}
	}
	giver, g := purseStream(100, true)
	leaves := func() bool {
		giver.Advance(now)
		return giver.Leaves()
	}
	a, pa := purseStream(10, true)
	b, pb := purseStream(20, true)
	idle, pi := purseStream(30, false)
	fresh, pf := purseStream(0, true)
	send(idle) // says its parameters
	pf.held = 1
	send(fresh)
	pf.held = 0
	fresh.Push(make([]byte, room+1), room)
	if send(fresh); fresh.handover.after != 0 {
		t.Error("is to leave, and holds nothing")
	}
	fresh.Push(make([]byte, room+1), room)
	siblings := []*Stream{a, b, idle, fresh}
	want := func(why string, figures ...float64) {
		t.Helper()
		if got := []float64{g.held, pa.held, pb.held, pi.held, pf.held}; !slices.Equal(got, figures) {
			t.Errorf("%s: %v, want %v", why, got, figures)
		}
	}

	send(giver)
	last := now
	now = now.Add(trip - 1)
	if leaves() {
		t.Error("leaves before an answer can be there")
	}
	giver.Push(make([]byte, room+1), room)
	now = now.Add(1)
	if leaves() {
		t.Error("leaves with something to send")
	}
	if at := giver.NextTimeout(); at.Equal(last.Add(trip)) {
		t.Error("is to leave at a time that is over")
	}
	send(giver)
	now = now.Add(trip)
	if leaves() {
		t.Error("leaves with packets in flight, whose ACKs will tell of the rate that it had")
	}
	if at := giver.NextTimeout(); !at.Equal(now.Add(5 * time.Millisecond)) {
		t.Errorf("looks again after %v, want 5 ms", at.Sub(now))
	}
	ack := []byte{Format, 64, 0, 0, 0, 2, 0x40, 65, 0, 0, 1} // of both
	if err := giver.Input(now, ack, false); err != nil || giver.Asking() {
		t.Fatal(err, giver.Asking())
	}
	now = now.Add(5 * time.Millisecond)
	if at := giver.NextTimeout(); !at.Equal(now) || !leaves() {
		t.Errorf("leaves %v later than looked for", at.Sub(now))
	}

	giver.HandOver(slices.Values([]*Stream{idle, fresh}))
	want("nobody is limited by the path", 100, 10, 20, 30, 0)
	if leaves() {
		t.Error("is to leave again in the same silence")
	}
	giver.HandOver(slices.Values(siblings))
	want("long after", 100, 10, 20, 30, 0)

	giver.Push(make([]byte, room+1), room)
	send(giver)
	now = now.Add(trip)
	giver.HandOver(slices.Values(siblings))
	want("to two", 0, 60, 70, 30, 0)
	if leaves() {
		t.Error("leaves twice")
	}

	t.Log("# One that ends in the midst of sending")
	a.HandOver(slices.Values([]*Stream{b}))
	if pa.held != 0 || pb.held != 130 {
		t.Errorf("held %v and %v, want all in the second", pa.held, pb.held)
	}
}
