package session

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// A Table holds the sessions of a node: for each pair one that is current, one
// pending, one old, and an offer of our own (MSX-10.7). It is bounded. It is not
// safe for concurrent use.
type Table struct {
	limit int
	pairs map[Pair]*slot
	ids   map[uint32]*Session // nil: the id of an offer
	seq   uint64              // numbers sessions in the order in which they came about
	told  int64               // the last time told in a hello, µs
	wake  time.Time           // not later than the first end of a session
}

// slot is what belongs to a pair.
type slot struct {
	offer                 *Offer
	current, pending, old *Session
	accepted              int64 // time of the last offer accepted (MSX-10.4)
	holds                 int
}

// ErrFull says that the table holds as many pairs as it may, all in use.
var ErrFull = errors.New("session: table is full of pairs in use")

const (
	// offerTime is how long an offer of ours waits: longer than it is repeated.
	offerTime = 60 * time.Second
	// wakeTime is the least time between two looks through the whole table.
	wakeTime = time.Second
)

// NewTable gives a table for at most limit pairs.
func NewTable(limit int) *Table {
	return &Table{limit: limit, pairs: make(map[Pair]*slot), ids: make(map[uint32]*Session)}
}

// Len is how many pairs the table has.
func (t *Table) Len() int { return len(t.pairs) }

// An Endpoint is who takes part in a key agreement at our side.
type Endpoint struct {
	Static Static
	Own    Payload   // Time is set by the table
	Rand   io.Reader // of secrets and session ids
}

// Offer gives the offer to send to p.Peer: a new one, or the one that still
// waits for its answer. It gives nil when there is nothing to offer, as an offer
// of the peer has just been answered.
func (t *Table) Offer(p Pair, e Endpoint, now time.Time) ([]byte, error) {
	s, err := t.slot(p)
	if err != nil {
		return nil, err
	}
	defer t.prune(p, s)
	switch {
	case s.offer != nil && now.Sub(s.offer.offered) < offerTime:
		return s.offer.Bytes(), nil
	case s.pending != nil && now.Sub(s.pending.expires.Add(-pendingTime)) < crossTime:
		return nil, nil
	}
	t.dropOffer(s)
	id, err := t.newID(e.Rand)
	if err != nil {
		return nil, err
	}
	offer, err := NewOffer(p, e.Static, id, t.tell(e.Own, now), e.Rand, now)
	if err != nil {
		return nil, err
	}
	s.offer = offer
	t.ids[id] = nil
	t.wakeAt(now.Add(offerTime))
	return offer.Bytes(), nil
}

// Receive takes a hello from p.Peer. For an offer it gives the answer to send,
// and the pending session, which is nil if the answer is a repetition. For an
// answer it gives the session, which is current: a packet under it must go to
// the peer at once, an empty one if there is no other (MSX-10.2).
func (t *Table) Receive(p Pair, e Endpoint, hello []byte, now time.Time) (answer []byte, s *Session, err error) {
	h, err := ParseHello(hello)
	if err != nil {
		return nil, nil, err
	}
	if h.Kind == AnswerHello {
		s, err = t.receiveAnswer(p, hello, now)
		return nil, s, err
	}
	return t.receiveOffer(p, e, hello, now)
}

func (t *Table) receiveAnswer(p Pair, hello []byte, now time.Time) (*Session, error) {
	slot := t.pairs[p]
	if slot == nil || slot.offer == nil {
		return nil, ErrNoOffer
	}
	s, err := slot.offer.ReadAnswer(hello, now)
	if err != nil {
		return nil, err
	}
	slot.offer = nil
	t.add(s)
	t.install(slot, s, now)
	return s, nil
}

func (t *Table) receiveOffer(p Pair, e Endpoint, hello []byte, now time.Time) ([]byte, *Session, error) {
	slot := t.pairs[p]
	switch {
	case slot == nil:
	case slot.offer != nil && p.Holds(slot.offer.offered, now):
		return nil, nil, ErrCrossed
	case slot.pending != nil && slot.pending.offer == sha256.Sum256(hello):
		return slot.pending.answer, nil, nil
	}
	r, err := ReadOffer(p, e.Static, hello)
	if err != nil {
		return nil, nil, err
	}
	defer r.Wipe()
	if slot != nil && r.Time <= slot.accepted {
		return nil, nil, ErrStale
	}
	if slot, err = t.slot(p); err != nil {
		return nil, nil, err
	}
	defer t.prune(p, slot)
	id, err := t.newID(e.Rand)
	if err != nil {
		return nil, nil, err
	}
	answer, s, err := r.Answer(id, t.tell(e.Own, now), e.Rand, now)
	if err != nil {
		return nil, nil, err
	}
	slot.accepted = r.Time
	t.dropOffer(slot) // so that both sides see one order of sessions (MSX-10.3)
	t.end(slot.pending)
	slot.pending = s
	t.add(s)
	return answer, s, nil
}

// Lookup gives the session that receives at id, nil if there is none.
func (t *Table) Lookup(id uint32, now time.Time) *Session {
	s := t.ids[id]
	if s == nil || !now.Before(s.expiry()) {
		return nil
	}
	return s
}

// Current gives the pair's session to send under, nil if there is none.
func (t *Table) Current(p Pair, now time.Time) *Session {
	slot := t.pairs[p]
	if slot == nil || slot.current == nil || !now.Before(slot.current.expiry()) {
		return nil
	}
	return slot.current
}

// Accept notes a packet of so many bytes that has opened under s, and reports
// whether it is to be used: it is no replay, and s has not ended meanwhile. The
// first packet of a pending session makes it current (MSX-10.1).
func (t *Table) Accept(s *Session, counter uint64, bytes int, now time.Time) bool {
	if s.state == Ended || !now.Before(s.expiry()) || !s.window.Receive(counter) {
		return false
	}
	s.received += uint64(bytes)
	s.used = now
	slot := t.pairs[s.pair]
	// A pending session that came about before the current one is what the peer
	// uses until it learns of that. Both sides see the same order, as whoever
	// answers an offer has given up its own (MSX-10.3).
	if s.state == Pending && (slot.current == nil || slot.current.seq < s.seq) {
		slot.pending = nil
		t.install(slot, s, now)
	}
	return true
}

// Hold keeps the pair from being displaced by others, n more times, or with a
// negative n so many times less. The table need not know the pair yet, but must
// have room for it; without it the error is ErrFull.
func (t *Table) Hold(p Pair, n int) error {
	slot, err := t.slot(p)
	if err != nil {
		return err
	}
	if slot.holds += n; slot.holds < 0 {
		panic("BUG: session: a pair is held less than not at all")
	}
	t.prune(p, slot)
	return nil
}

// Close ends one session, as a close of the peer asks for.
func (t *Table) Close(s *Session) {
	slot := t.pairs[s.pair]
	if s.state == Ended || slot == nil {
		return
	}
	t.drop(slot, s)
	t.prune(s.pair, slot)
}

// Forget ends all sessions of a pair and its offer. It stays held if it was.
func (t *Table) Forget(p Pair) {
	if slot := t.pairs[p]; slot != nil {
		t.clear(slot)
		t.prune(p, slot)
	}
}

// NextTimeout is when Advance is to be called next, zero if there is no need. It
// may be too early, never too late by more than a second; Lookup and Current are
// exact.
func (t *Table) NextTimeout() time.Time { return t.wake }

// Advance ends what has had its time.
func (t *Table) Advance(now time.Time) {
	if t.wake.IsZero() || now.Before(t.wake) {
		return
	}
	t.wake = time.Time{}
	for p, slot := range t.pairs {
		for _, s := range []*Session{slot.current, slot.pending, slot.old} {
			if s == nil {
				continue
			}
			if now.Before(s.expiry()) {
				t.wakeAt(s.expiry())
			} else {
				t.drop(slot, s)
			}
		}
		if slot.offer != nil {
			if end := slot.offer.offered.Add(offerTime); now.Before(end) {
				t.wakeAt(end)
			} else {
				t.dropOffer(slot)
			}
		}
		t.prune(p, slot)
	}
	if soonest := now.Add(wakeTime); !t.wake.IsZero() && t.wake.Before(soonest) {
		t.wake = soonest
	}
}

func (t *Table) wakeAt(at time.Time) {
	if t.wake.IsZero() || at.Before(t.wake) {
		t.wake = at
	}
}

// install makes s current and what was current old.
func (t *Table) install(slot *slot, s *Session, now time.Time) {
	t.end(slot.old)
	slot.old = slot.current
	if slot.old != nil {
		slot.old.makeOld(now)
		t.wakeAt(slot.old.expiry())
	}
	slot.current = s
	s.makeCurrent(now)
	t.wakeAt(s.expiry())
}

// add gives a new session its id and number.
func (t *Table) add(s *Session) {
	t.seq++
	s.seq = t.seq
	t.ids[s.id] = s
	t.wakeAt(s.expiry())
}

// drop ends s and takes it out of its slot.
func (t *Table) drop(slot *slot, s *Session) {
	switch s {
	case slot.current:
		slot.current = nil
	case slot.pending:
		slot.pending = nil
	case slot.old:
		slot.old = nil
	}
	t.end(s)
}

// end ends s, which may be nil.
func (t *Table) end(s *Session) {
	if s != nil {
		delete(t.ids, s.id)
		s.end()
	}
}

func (t *Table) dropOffer(slot *slot) {
	if slot.offer != nil {
		delete(t.ids, slot.offer.id)
		slot.offer.Wipe()
		slot.offer = nil
	}
}

func (t *Table) clear(slot *slot) {
	t.dropOffer(slot)
	for _, s := range []*Session{slot.current, slot.pending, slot.old} {
		t.end(s)
	}
	slot.current, slot.pending, slot.old = nil, nil, nil
}

// prune forgets a pair of which there is nothing left.
func (t *Table) prune(p Pair, s *slot) {
	if s.holds == 0 && s.offer == nil && s.current == nil && s.pending == nil && s.old == nil {
		delete(t.pairs, p)
	}
}

// slot gives the pair's slot, a new one if need be, for which another pair may
// have to go.
func (t *Table) slot(p Pair) (*slot, error) {
	if s := t.pairs[p]; s != nil {
		return s, nil
	}
	if len(t.pairs) >= t.limit && !t.displace() {
		return nil, ErrFull
	}
	s := &slot{}
	t.pairs[p] = s
	return s, nil
}

// displace takes out the pair that is missed least: one that was never
// confirmed, else the one unused for longest.
func (t *Table) displace() bool {
	var victim Pair
	var found *slot
	for p, s := range t.pairs {
		if s.holds == 0 && (found == nil || s.lessWanted(found)) {
			victim, found = p, s
		}
	}
	if found == nil {
		return false
	}
	t.clear(found)
	delete(t.pairs, victim)
	return true
}

func (s *slot) lessWanted(than *slot) bool {
	if (s.current == nil) != (than.current == nil) {
		return s.current == nil
	}
	return s.used().Before(than.used())
}

func (s *slot) used() (used time.Time) {
	if s.offer != nil {
		used = s.offer.offered
	}
	for _, session := range []*Session{s.current, s.pending, s.old} {
		if session != nil && session.used.After(used) {
			used = session.used
		}
	}
	return used
}

// newID draws an id that is not in use.
func (t *Table) newID(rand io.Reader) (uint32, error) {
	var b [4]byte
	for range 64 {
		if _, err := io.ReadFull(rand, b[:]); err != nil {
			return 0, fmt.Errorf("session: no randomness for an id: %w", err)
		}
		id := binary.BigEndian.Uint32(b[:])
		if _, taken := t.ids[id]; id != 0 && !taken {
			return id, nil
		}
	}
	return 0, errors.New("session: 64 ids drawn were all in use, expected a random source")
}

// tell sets the time of a hello, later than in all before even if the clock was
// set back (MSX-10.4).
func (t *Table) tell(own Payload, now time.Time) Payload {
	t.told = max(now.UnixMicro(), t.told+1)
	own.Time = t.told
	return own
}
