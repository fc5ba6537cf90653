package session

import (
	"bytes"
	"math"
	"testing"
	"time"
)

// A packet counts once, however late and in what order it is repeated.
func TestReplayedPackets(t *testing.T) {
	a, b := newSides(t)
	sa, _ := meet(a, b, start)
	var packets [][]byte
	for range 100 {
		packets = append(packets, a.seal(sa, "x", start))
	}
	for i := range packets { // out of order
		b.reads("packet", packets[i^1], "x", start)
	}
	for _, p := range packets {
		b.drops("replayed", p, start)
	}
	// Older than the window.
	kept := a.seal(sa, "kept back", start)
	if _, err := sa.Reserve(windowSize-1, 0, start); err != nil {
		t.Fatal(err)
	}
	b.reads("much later", a.seal(sa, "y", start), "y", start)
	b.drops("kept back until it is out of the window", kept, start)
}

// A packet that is sent back to its sender is not taken, also not with the ids
// and keys exchanged: each direction has its own.
func TestReflectedPackets(t *testing.T) {
	a, b := newSides(t)
	sa, sb := meet(a, b, start)
	packet := a.seal(sa, "x", start)
	a.drops("as it was", packet, start)
	b.reads("the original", packet, "x", start)
	forged := bytes.Clone(packet)
	forged[1], forged[2], forged[3], forged[4] = byte(sa.id>>24), byte(sa.id>>16), byte(sa.id>>8), byte(sa.id)
	a.drops("to the sender's own id", forged, start)
	back := b.seal(sb, "y", start)
	b.drops("b's own", back, start)
	a.reads("for a", back, "y", start)
}

// Packets that do not open change nothing, be they of a pending session or far
// ahead.
func TestForgedPackets(t *testing.T) {
	a, b := newSides(t)
	sa, sb := meet(a, b, start)
	packet := a.seal(sa, "x", start)
	for bit := range 8 * len(packet) {
		forged := bytes.Clone(packet)
		forged[bit/8] ^= 1 << (bit % 8)
		b.drops("forged", forged, start)
	}
	if sb.State() != Pending || sb.window != (Window{}) || sb.received != 0 {
		t.Errorf("forgeries left %v", sb)
	}
	b.reads("the original", packet, "x", start)
}

// A replayed offer brings an answer at most, and no use of it (MSX-10.1, MSX-10.4).
func TestReplayedOffer(t *testing.T) {
	a, b := newSides(t)
	now := start
	first := a.offer(now)
	answer, _ := b.receive(first, now)
	_, sa := a.receive(answer, now)
	b.reads("packet", a.seal(sa, "1", now), "1", now)
	current := b.table.Current(b.pair(), now)
	b.refuse("replayed while its session is in use", first, now, ErrStale)

	now = now.Add(time.Minute)
	second := a.offer(now)
	answer, _ = b.receive(second, now)
	a.receive(answer, now)
	for _, offer := range [][]byte{first, first} {
		b.refuse("replayed later", offer, now, ErrStale)
	}
	if b.table.Current(b.pair(), now) != current {
		t.Error("b's session was displaced")
	}

	// After b has begun anew it cannot know: it answers, waits, and that is all.
	b.table = NewTable(4)
	_, pending := b.receive(first, now)
	if b.table.Current(b.pair(), now) != nil || pending.State() != Pending {
		t.Error("a replay made b send")
	}
	b.drops("the packet recorded with it", a.seal(a.table.Current(a.pair(), now), "2", now), now)
	b.receive(second, now) // later: takes its place
	if pending.State() != Ended || len(b.table.ids) != 1 {
		t.Errorf("the older replay's session is %v, %d ids", pending.State(), len(b.table.ids))
	}
}

// An answer counts once, for the offer it was made for.
func TestReplayedAnswer(t *testing.T) {
	a, b := newSides(t)
	now := start
	answer, _ := b.receive(a.offer(now), now)
	_, sa := a.receive(answer, now)
	a.refuse("the same again", answer, now, ErrNoOffer)
	now = now.Add(time.Second)
	a.offer(now)
	a.refuse("to a later offer", answer, now, ErrNoOffer)
	b.refuse("reflected", answer, now, ErrNoOffer)
	if a.table.Current(a.pair(), now) != sa {
		t.Error("a's session was displaced")
	}
	a.table = NewTable(4) // a has begun anew
	a.offer(now)
	a.refuse("to an offer of a new life", answer, now, ErrNoOffer)
}

// TestCounterWraps: [MSX-10.5] the low 24 bits of the counter wrap, and nothing is lost
// or taken twice.
func TestCounterWraps(t *testing.T) {
	a, b := newSides(t)
	sa, sb := meet(a, b, start)
	b.reads("packet", a.seal(sa, "", start), "", start)
	sa.next = 1<<24 - 3
	sb.window.Receive(1<<24 - 4)
	var packets [][]byte
	for range 6 {
		packets = append(packets, a.seal(sa, "x", start))
	}
	for _, i := range []int{4, 0, 2, 3, 1, 5} {
		b.reads("across the wrap", packets[i], "x", start)
	}
	for _, p := range packets {
		b.drops("replayed", p, start)
	}
	// The low half of a counter that was used before names another one now.
	sb.window.Receive(1<<25 - 10)
	for _, p := range packets {
		b.drops("replayed a round later", p, start)
	}
}

// TestLastCounter: [MSX-10.5] at the end of counters a packet is refused though it opens.
func TestLastCounter(t *testing.T) {
	a, b := newSides(t)
	sa, sb := meet(a, b, start)
	for n, want := range map[uint64]bool{math.MaxUint64: false, math.MaxUint64 - 1: true} {
		sb.window = Window{next: math.MaxUint64 - 5}
		packet, err := sa.Keys().Seal(Compact, make([]byte, HeadSize), n, new(Scratch))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.open(packet, start); (err == nil) != want {
			t.Errorf("counter %d: %v", n, err)
		}
	}
}

// A session forgotten meanwhile is not brought back by a packet that another
// goroutine has opened.
func TestAcceptAfterEnd(t *testing.T) {
	a, b := newSides(t)
	_, sb := meet(a, b, start)
	b.table.Forget(b.pair())
	if b.table.Accept(sb, 0, 1, start) || b.table.Len() != 0 {
		t.Error("a packet was accepted for a session that has ended")
	}
}

// A packet that two goroutines have opened at the same time counts once.
func TestAcceptOnce(t *testing.T) {
	a, b := newSides(t)
	_, sb := meet(a, b, start)
	if !b.table.Accept(sb, 5, 100, start) || b.table.Accept(sb, 5, 100, start) {
		t.Error("a counter was accepted twice, or never")
	}
	if sb.received != 100 {
		t.Errorf("%d bytes received, want 100", sb.received)
	}
}
