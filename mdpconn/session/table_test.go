package session

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

func TestExchange(t *testing.T) {
	a, b := newSides(t)
	sa, sb := meet(a, b, start)
	if sa.State() != Current || sb.State() != Pending {
		t.Fatalf("a's session is %v, b's %v, want current and pending", sa.State(), sb.State())
	}
	// Pending: b reads and does not send until then (MSX-10.1).
	if b.table.Current(b.pair(), start) != nil {
		t.Error("b would send before its session is confirmed")
	}
	if _, err := sb.Reserve(1, 1, start); err != ErrReadOnly {
		t.Errorf("b's pending session gives counters: %v", err)
	}
	b.reads("the first packet", a.seal(sa, "", start), "", start)
	if sb.State() != Current || b.table.Current(b.pair(), start) != sb || a.table.Current(a.pair(), start) != sa {
		t.Errorf("b's session is %v after the first packet, want current", sb.State())
	}
	a.reads("the first packet back", b.seal(sb, "hello", start), "hello", start)
	if len(a.table.ids) != 1 || len(b.table.ids) != 1 {
		t.Errorf("%d and %d ids in use, want 1 each", len(a.table.ids), len(b.table.ids))
	}
}

// An offer is repeated until it is answered, and a repetition is answered alike.
func TestRepeatedOffer(t *testing.T) {
	a, b := newSides(t)
	now := start
	offer := a.offer(now)
	answer, sb := b.receive(offer, now)
	now = now.Add(400 * time.Millisecond)
	if again := a.offer(now); !bytes.Equal(again, offer) {
		t.Error("the repetition is another offer")
	}
	again, none := b.receive(offer, now)
	if !bytes.Equal(again, answer) || none != nil {
		t.Errorf("the repetition is answered by %x and session %v, want the same answer", again, none)
	}
	_, sa := a.receive(answer, now)
	a.refuse("the answer's repetition", again, now, ErrNoOffer)
	b.reads("packet", a.seal(sa, "x", now), "x", now)
	b.refuse("the offer once more", offer, now, ErrStale)
	if sb.State() != Current {
		t.Errorf("b's session is %v", sb.State())
	}
	// Unanswered offers go after a minute, and another one is made.
	lone := a.table
	first := a.offer(now)
	now = now.Add(offerTime)
	if next := a.offer(now); bytes.Equal(next, first) {
		t.Error("an offer of a minute ago is repeated")
	}
	lone.Advance(now.Add(offerTime))
	if lone.pairs[a.pair()].offer != nil {
		t.Error("an offer is kept for ever")
	}
}

// Rekeying under load loses nothing: packets under the old keys are read for
// 30 s, from both sides (MSX-10.6).
func TestRekey(t *testing.T) {
	a, b := newSides(t)
	now := start
	sa, sb := meet(a, b, now)
	b.reads("confirmation", a.seal(sa, "", now), "", now)
	now = now.Add(useTime)
	if !sa.Worn(now) || !sb.Worn(now) {
		t.Fatal("sessions are not worn after 120 s")
	}
	answer, sb2 := b.receive(a.offer(now), now)
	late := a.seal(sa, "sent before the answer", now)
	fromB := b.seal(b.table.Current(b.pair(), now), "b still under the old keys", now)
	_, sa2 := a.receive(answer, now)
	a.reads("under way", fromB, "b still under the old keys", now)
	if sa.State() != Old || sa2.State() != Current {
		t.Errorf("a's sessions: %v and %v", sa.State(), sa2.State())
	}
	if _, err := sa.Reserve(1, 1, now); err != ErrReadOnly {
		t.Errorf("a's old session gives counters: %v", err)
	}
	b.reads("new keys", a.seal(sa2, "new", now), "new", now)
	if sb.State() != Old || sb2.State() != Current || b.table.Current(b.pair(), now) != sb2 {
		t.Errorf("b's sessions: %v and %v", sb.State(), sb2.State())
	}
	b.reads("overtaken", late, "sent before the answer", now.Add(oldTime-1))
}

// After its time an old session reads nothing, and its keys are let go of.
func TestOldSessionEnds(t *testing.T) {
	a, b := newSides(t)
	sa, _ := meet(a, b, start)
	b.reads("confirmation", a.seal(sa, "", start), "", start)
	p1, p2 := a.seal(sa, "1", start), a.seal(sa, "2", start)
	old := b.table.Current(b.pair(), start)
	now := start.Add(time.Second)
	sa2, _ := meet(a, b, now)
	b.reads("new keys", a.seal(sa2, "", now), "", now)
	b.reads("in time", p1, "1", now.Add(oldTime-1))
	b.drops("after its time", p2, now.Add(oldTime))
	if b.table.Accept(old, 99, 1, now.Add(oldTime)) {
		t.Error("a packet opened meanwhile was accepted")
	}
	if at := b.table.NextTimeout(); at.IsZero() || at.After(now.Add(oldTime)) {
		t.Errorf("next timeout %v, want it at %v or before", at, now.Add(oldTime))
	}
	b.table.Advance(now.Add(oldTime))
	if old.State() != Ended || old.Keys() != nil || len(b.table.ids) != 1 {
		t.Errorf("%v, keys %v, %d ids", old.State(), old.Keys(), len(b.table.ids))
	}
}

// What is not used for ten minutes goes, and a pending session after one.
func TestIdleSessionEnds(t *testing.T) {
	a, b := newSides(t)
	sa, sb := meet(a, b, start)
	if b.table.Lookup(sb.ID(), start.Add(pendingTime)) != nil {
		t.Error("a pending session is found after a minute")
	}
	b.table.Advance(start.Add(pendingTime))
	if sb.State() != Ended || b.table.Len() != 0 || len(b.table.ids) != 0 || !b.table.NextTimeout().IsZero() {
		t.Errorf("pending session: %v, table of %d, next %v", sb.State(), b.table.Len(), b.table.NextTimeout())
	}
	now := start.Add(time.Minute)
	a.seal(sa, "x", now)
	if a.table.Current(a.pair(), now.Add(idleTime-1)) != sa || a.table.Current(a.pair(), now.Add(idleTime)) != nil {
		t.Error("a session does not last ten minutes from its last packet")
	}
	_, sb = meet(a, b, now)
	packet := a.seal(a.table.Current(a.pair(), now), "x", now)
	b.reads("confirmation", packet, "x", now)
	then := now.Add(idleTime - 1)
	b.reads("just in time", a.seal(a.table.Current(a.pair(), now), "y", now), "y", then)
	if b.table.Lookup(sb.ID(), then.Add(idleTime-1)) != sb {
		t.Error("what is received does not keep a session")
	}
	for range 5 { // it wakes early, as packets put off the end
		a.table.Advance(a.table.NextTimeout())
	}
	if sa.State() != Ended || a.table.Len() != 0 || !a.table.NextTimeout().IsZero() {
		t.Errorf("idle session: %v, table of %d, next %v", sa.State(), a.table.Len(), a.table.NextTimeout())
	}
}

// settle lets both sides send until nothing changes, and wants both to use the
// same session.
func settle(t *testing.T, a, b *side, now time.Time) {
	t.Helper()
	for range 2 {
		for _, way := range [][2]*side{{a, b}, {b, a}} {
			if s := way[0].table.Current(way[0].pair(), now); s != nil {
				way[1].reads("settling", way[0].seal(s, "x", now), "x", now)
			}
		}
	}
	sa, sb := a.table.Current(a.pair(), now), b.table.Current(b.pair(), now)
	if sa == nil || sb == nil || sa.ID() != sb.PeerID() || sb.ID() != sa.PeerID() {
		t.Fatalf("sides use %v and %v", sa, sb)
	}
}

// Offers that cross make one session, whichever arrives first (MSX-10.3).
func TestCrossingOffers(t *testing.T) {
	for _, smallFirst := range []bool{true, false} {
		a, b := newSides(t) // a is the smaller
		oa, ob := a.offer(start), b.offer(start)
		if !smallFirst {
			a.refuse("the larger's offer", ob, start, ErrCrossed)
		}
		answer, _ := b.receive(oa, start)
		if smallFirst {
			a.refuse("the larger's offer", ob, start, ErrCrossed)
		}
		a.receive(answer, start)
		settle(t, a, b, start)
		settle(t, a, b, start.Add(oldTime+time.Second))
	}
}

// Offers that cross on a link so slow that neither holds any more are given up
// by both sides, and the next one makes the session.
func TestCrossingOffersOfLongAgo(t *testing.T) {
	a, b := newSides(t)
	oa, ob := a.offer(start), b.offer(start)
	now := start.Add(crossTime)
	fromA, _ := a.receive(ob, now)
	fromB, _ := b.receive(oa, now)
	a.refuse("answer to an offer given up", fromB, now, ErrNoOffer)
	b.refuse("answer to an offer given up", fromA, now, ErrNoOffer)
	now = now.Add(crossTime)
	meet(a, b, now)
	settle(t, a, b, now)
	settle(t, a, b, now.Add(oldTime+time.Second))
}

// A pending session that a newer one has overtaken is read, and does not come
// back (MSX-10.6).
func TestPendingIsOvertaken(t *testing.T) {
	a, b := newSides(t)
	answer, pending := a.receive(b.offer(start), start)
	_, first := b.receive(answer, start)
	late := b.seal(first, "late", start)
	now := start.Add(crossTime)
	sa, _ := meet(a, b, now)
	a.reads("under the session overtaken", late, "late", now)
	if pending.State() != Pending || a.table.Current(a.pair(), now) != sa {
		t.Errorf("overtaken: %v; current: %v", pending, a.table.Current(a.pair(), now))
	}
	settle(t, a, b, now)
	a.drops("after its time", b.seal(b.table.Current(b.pair(), now), "x", now), now.Add(idleTime))
}

// Whatever is lost, delayed, repeated or exchanged: when both have sent and
// received, both use the same session, and no packet under way was lost.
func TestBothSidesAgree(t *testing.T) {
	for seed := range uint64(15) {
		r := rand.New(rand.NewPCG(seed, 0))
		a, b := newSides(t)
		now := start
		type message struct {
			to    *side
			bytes []byte
			at    time.Time
		}
		var wire []message
		send := func(to *side, b []byte) {
			for range 1 + r.IntN(2) { // perhaps twice
				if r.IntN(4) > 0 {
					delay := time.Duration(r.IntN(7000)) * time.Millisecond
					wire = append(wire, message{to, b, now.Add(delay)})
				}
			}
		}
		other := map[*side]*side{a: b, b: a}
		for range 300 {
			now = now.Add(100 * time.Millisecond)
			for _, s := range []*side{a, b} {
				if r.IntN(40) == 0 {
					if offer, err := s.table.Offer(s.pair(), s.endpoint(), now); err == nil && offer != nil {
						send(other[s], offer)
					}
				}
			}
			for i := 0; i < len(wire); i++ {
				m := wire[i]
				if m.at.After(now) {
					continue
				}
				wire = append(wire[:i], wire[i+1:]...)
				i--
				answer, session, _ := m.to.table.Receive(m.to.pair(), m.to.endpoint(), m.bytes, now)
				if answer != nil {
					send(other[m.to], answer)
				}
				// An answer is followed by a packet at once (MSX-10.2), other packets go
				// now and then.
				if s := m.to.table.Current(m.to.pair(), now); s != nil && (s == session || r.IntN(3) == 0) {
					other[m.to].reads("packet", m.to.seal(s, "x", now), "x", now)
				}
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		for _, table := range []*Table{a.table, b.table} {
			if len(table.ids) > 4 { // three sessions and an offer
				t.Fatalf("seed %d: %d ids", seed, len(table.ids))
			}
		}
		if a.table.Current(a.pair(), now) != nil && b.table.Current(b.pair(), now) != nil {
			settle(t, a, b, now)
		}
	}
}

// The table is bounded, strangers displace no pair that is held, and one that
// was never confirmed goes first (MSX-10.7).
func TestTableIsBounded(t *testing.T) {
	a, b := newSides(t)
	b.table = NewTable(3)
	random := rand.NewChaCha8([32]byte{2})
	stranger := func() *side {
		var secret [32]byte
		random.Read(secret[:])
		return &side{t, newIdentity(t, secret), b.identity, NewTable(1), a.own, random}
	}
	meetB := func(s *side, now time.Time, confirm bool) (*Session, error) {
		pair := Pair{b.sid, s.sid}
		answer, sb, err := b.table.Receive(pair, b.endpoint(), s.offer(now), now)
		if err != nil {
			return nil, err
		}
		_, ss := s.receive(answer, now)
		if confirm {
			b.reads("confirmation", s.seal(ss, "", now), "", now)
		}
		return sb, nil
	}
	sessions := make([]*Session, 3)
	for i := range sessions {
		var err error
		now := start.Add(time.Duration(i) * time.Second)
		if sessions[i], err = meetB(stranger(), now, i != 2); err != nil {
			t.Fatal(err)
		}
	}
	now := start.Add(10 * time.Second)
	for i, want := range []int{2, 0} { // the unconfirmed one, then the oldest
		s, err := meetB(stranger(), now, true)
		if err != nil || sessions[want].State() != Ended {
			t.Fatalf("stranger %d: %v; session %d is %v, want ended", i, err, want, sessions[want].State())
		}
		if err := b.table.Hold(s.Pair(), 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.table.Hold(sessions[1].Pair(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := meetB(stranger(), now, true); err != ErrFull {
		t.Errorf("a table full of held pairs: %v, want ErrFull", err)
	}
	if err := b.table.Hold(Pair{overlay.SID{9}, overlay.SID{8}}, 1); err != ErrFull {
		t.Errorf("holding one more: %v, want ErrFull", err)
	}
	if sessions[1].State() != Current || b.table.Len() != 3 || len(b.table.ids) != 3 {
		t.Errorf("session 1 is %v, %d pairs, %d ids", sessions[1].State(), b.table.Len(), len(b.table.ids))
	}
	if err := b.table.Hold(sessions[1].Pair(), -1); err != nil {
		t.Fatal(err)
	}
	if _, err := meetB(stranger(), now, true); err != nil || sessions[1].State() != Ended {
		t.Errorf("after letting go: %v, %v", err, sessions[1].State())
	}
}

// Garbage in a stranger's name displaces nobody.
func TestGarbageDisplacesNobody(t *testing.T) {
	a, b := newSides(t)
	b.table = NewTable(1)
	_, sb := meet(a, b, start)
	_, _, err := b.table.Receive(Pair{b.sid, newIdentity(t, [32]byte{5}).sid}, b.endpoint(), helloBytes(OfferHello, 100), start)
	if err == nil || b.table.Lookup(sb.ID(), start) != sb {
		t.Errorf("error %v, session %v", err, sb)
	}
	b.refuse("garbage", helloBytes(AnswerHello, 100), start, ErrNoOffer)
}

func TestCloseAndForget(t *testing.T) {
	a, b := newSides(t)
	sa, sb := meet(a, b, start)
	b.table.Close(sb)
	b.table.Close(sb)
	if b.table.Lookup(sb.ID(), start) != nil || b.table.Len() != 0 {
		t.Error("a closed session is found")
	}
	if err := a.table.Hold(a.pair(), 1); err != nil {
		t.Fatal(err)
	}
	a.offer(start)
	a.table.Forget(a.pair())
	if sa.State() != Ended || len(a.table.ids) != 0 || a.table.Len() != 1 {
		t.Errorf("%v, %d ids, %d pairs", sa.State(), len(a.table.ids), a.table.Len())
	}
	if err := a.table.Hold(a.pair(), -1); err != nil || a.table.Len() != 0 {
		t.Errorf("%v, %d pairs", err, a.table.Len())
	}
}

// Ids are never 0 and never twice in use, and a source that gives always the
// same ends.
func TestIDs(t *testing.T) {
	table := NewTable(1)
	table.ids[5] = nil
	id, err := table.newID(bytes.NewReader([]byte{0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 6}))
	if id != 6 || err != nil {
		t.Errorf("got %d, %v, want 6", id, err)
	}
	_, err = table.newID(bytes.NewReader(make([]byte, 1000)))
	wantError(t, "zeros", err, "random source")
	_, err = table.newID(bytes.NewReader(nil))
	wantError(t, "nothing", err, "no randomness")
}

// Times in our hellos go up even when the clock is set back (MSX-10.4).
func TestClockSetBack(t *testing.T) {
	a, b := newSides(t)
	meet(a, b, start)
	back := start.Add(-time.Hour)
	a.table.Forget(a.pair())
	if _, _, err := b.table.Receive(b.pair(), b.endpoint(), a.offer(back), start); err != nil {
		t.Errorf("an offer made after the clock was set back: %v", err)
	}
}

// While the peer's offer has just been answered there is nothing to offer.
func TestNoOfferWhileAnswering(t *testing.T) {
	a, b := newSides(t)
	b.receive(a.offer(start), start)
	if offer, err := b.table.Offer(b.pair(), b.endpoint(), start.Add(crossTime-1)); offer != nil || err != nil {
		t.Errorf("offer %x, %v, want none", offer, err)
	}
	if offer, err := b.table.Offer(b.pair(), b.endpoint(), start.Add(crossTime)); offer == nil || err != nil {
		t.Errorf("offer %x, %v, want one", offer, err)
	}
	broken := errors.New("no entropy")
	e := a.endpoint()
	e.Rand = failingReader{broken}
	a.table.Forget(a.pair())
	if _, err := a.table.Offer(a.pair(), e, start); !errors.Is(err, broken) || a.table.Len() != 0 {
		t.Errorf("without randomness: %v, %d pairs left", err, a.table.Len())
	}
}

type failingReader struct{ error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.error }

// The whole way of a packet, both sides, costs no allocation.
func TestWayOfAPacketAllocates(t *testing.T) {
	a, b := newSides(t)
	sa, _ := meet(a, b, start)
	buf, scratch := make([]byte, 0, 1500), new(Scratch)
	ports := overlay.Ports{Destination: 7, Source: 258}
	data := make([]byte, 1000)
	allocs := testing.AllocsPerRun(100, func() {
		n, err := sa.Reserve(1, len(data), start)
		if err != nil {
			t.Fatal(err)
		}
		packet, err := AppendDatagramToEnd(buf[:HeadSize], ports, data)
		if err != nil {
			t.Fatal(err)
		}
		if packet, err = sa.Keys().Seal(Compact, packet, n, scratch); err != nil {
			t.Fatal(err)
		}
		h, _ := ParseHead(packet)
		sb := b.table.Lookup(h.ID, start)
		counter, ok := sb.Expand(h)
		text, err := sb.Keys().Open(packet, counter, scratch)
		if !ok || err != nil || !b.table.Accept(sb, counter, len(packet), start) {
			t.Fatalf("%v: fresh %v, %v", h, ok, err)
		}
		items, item := NewItems(text), Item{}
		if !items.Next(&item) || len(item.Data) != len(data) {
			t.Fatalf("read %v", item)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}
