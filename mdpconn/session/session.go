package session

import (
	"errors"
	"fmt"
	"time"
)

// Limits of a session (MSX-10.6). Specification.
const (
	useTime    = 120 * time.Second // then whoever sends next offers again
	usePackets = 1 << 32           // likewise, in either direction
	useBytes   = 1 << 45           // likewise
	oldTime    = 30 * time.Second  // how long a session reads when it was replaced
	idleTime   = 600 * time.Second // without a packet either way: overwritten
	hardFactor = 16                // so much above usePackets and useBytes nothing is sealed

	// pendingTime is how long a session waits to be confirmed: longer than an
	// offer is repeated (§9.2).
	pendingTime = 60 * time.Second
)

// A State is where a session is in its life:
//
//	offer read ──► Pending ──first packet──► Current ──replaced──► Old ──30 s──► Ended
//	answer read ───────────────────────────────▲
type State byte

// States.
const (
	Pending State = iota + 1 // reads; sends nothing
	Current                  // reads and sends
	Old                      // reads
	Ended                    // nothing; the keys are let go of
)

// String gives the state's name.
func (s State) String() string {
	switch s {
	case Pending:
		return "pending"
	case Current:
		return "current"
	case Old:
		return "old"
	case Ended:
		return "ended"
	}
	return fmt.Sprintf("state(%d)", byte(s))
}

// Errors of Reserve.
var (
	ErrReadOnly = errors.New("session: sends nothing: it is not confirmed yet, or was replaced")
	ErrWorn     = errors.New("session: has sealed as much as its keys allow, expected a new one")
)

// agreement is what both sides have told each other.
type agreement struct {
	own, peer  Payload
	id, peerID uint32 // where we receive, and where the peer does
}

// A Session is one set of keys between two identities, and their use. It is not
// safe for concurrent use; its Keys are.
type Session struct {
	pair   Pair
	cipher Cipher
	agreement

	state  State
	keys   *Keys // nil when ended
	seq    uint64
	window Window
	next   uint64 // counter of the next packet

	sent, received uint64    // bytes
	began          time.Time // when it became current
	used           time.Time // of the last packet, either way
	expires        time.Time // pending, old: when it ends
	noticed        time.Time // when the peer's notice was last heeded

	// While pending: a repetition of the offer gets the same answer.
	answer []byte
	offer  [32]byte // hash
}

func newSession(p Pair, a agreement, send, recv *[32]byte) (*Session, error) {
	c, err := a.own.cipher(a.peer.Capabilities)
	if err != nil {
		clear(send[:])
		clear(recv[:])
		return nil, err
	}
	keys, err := newKeys(c, send, recv, a.peerID)
	if err != nil {
		return nil, err
	}
	return &Session{pair: p, cipher: c, agreement: a, keys: keys}, nil
}

// Pair gives the identities.
func (s *Session) Pair() Pair { return s.pair }

// ID is where this side receives, PeerID where the peer does.
func (s *Session) ID() uint32     { return s.id }
func (s *Session) PeerID() uint32 { return s.peerID }

// State gives the state.
func (s *Session) State() State { return s.state }

// Cipher gives the cipher agreed on.
func (s *Session) Cipher() Cipher { return s.cipher }

// Own gives what this side has told in its hello, Peer what the peer has.
func (s *Session) Own() Payload  { return s.own }
func (s *Session) Peer() Payload { return s.peer }

// Keys gives the keys, nil if the session has ended. Who has them may go on
// using them.
func (s *Session) Keys() *Keys { return s.keys }

// SendCompact is the largest UDP payload that the peer reads in compact form; 0
// if the form is not in force.
func (s *Session) SendCompact() int {
	if s.own.Compact == 0 {
		return 0
	}
	return s.peer.Compact
}

// SendLarge is the largest body that the peer reads in an overlay packet; 0 if
// larger ones than stock's are not in force.
func (s *Session) SendLarge() int {
	if s.own.Large == 0 {
		return 0
	}
	return s.peer.Large
}

// Liveness is the interval in force (§14), the larger of both; 0 if none is.
func (s *Session) Liveness() time.Duration {
	if s.own.Liveness == 0 || s.peer.Liveness == 0 {
		return 0
	}
	return max(s.own.Liveness, s.peer.Liveness)
}

// ECN reports whether packets in compact form may be sent so that routers mark them.
func (s *Session) ECN() bool { return s.own.ECN && s.peer.ECN }

// String gives the session on one line, without secrets.
func (s *Session) String() string {
	return fmt.Sprintf("session %08x→%08x %v %v sent %d %v", s.id, s.peerID, s.state, s.cipher, s.next, &s.window)
}

func (s *Session) makeCurrent(now time.Time) {
	s.state, s.began, s.used = Current, now, now
	s.expires, s.answer = time.Time{}, nil
}

func (s *Session) makePending(now time.Time, answer []byte, offer [32]byte) {
	s.state, s.used, s.expires = Pending, now, now.Add(pendingTime)
	s.answer, s.offer = answer, offer
}

func (s *Session) makeOld(now time.Time) {
	s.state, s.expires, s.answer = Old, now.Add(oldTime), nil
}

func (s *Session) end() {
	s.state, s.keys, s.answer, s.window = Ended, nil, nil, Window{}
}

// expiry is when the session ends if nothing happens.
func (s *Session) expiry() time.Time {
	if s.state == Current {
		return s.used.Add(idleTime)
	}
	return s.expires
}

// Reserve gives n counters, first to first+n-1, for packets of together so many
// bytes; neither is negative. They are used up whether or not packets are sealed
// with them. Errors are ErrReadOnly and ErrWorn.
func (s *Session) Reserve(n, bytes int, now time.Time) (first uint64, err error) {
	switch {
	case s.state != Current:
		return 0, ErrReadOnly
	case s.next+uint64(n) > hardFactor*usePackets, s.sent+uint64(bytes) > hardFactor*useBytes:
		return 0, ErrWorn // long before counters repeat
	}
	first = s.next
	s.next += uint64(n)
	s.sent += uint64(bytes)
	s.used = now
	return first, nil
}

// Worn reports whether it is time to offer again (MSX-10.6).
func (s *Session) Worn(now time.Time) bool {
	return s.state == Current && (now.Sub(s.began) >= useTime ||
		s.next >= usePackets || s.window.next >= usePackets ||
		s.sent >= useBytes || s.received >= useBytes)
}

// Expand gives the counter of a packet with such a head. ok is false if it was
// received before or is too old: the packet need not be opened.
func (s *Session) Expand(h Head) (counter uint64, ok bool) {
	counter = s.window.Expand(h.Low)
	return counter, s.window.Fresh(counter)
}

// Heed reports whether a notice about an unknown id (MSX-11.3) is to be followed
// by a new offer: it is about the peer's id of this session, and the last one
// that counted is a second ago.
func (s *Session) Heed(id uint32, now time.Time) bool {
	if s.state != Current || id != s.peerID || !s.noticed.IsZero() && now.Sub(s.noticed) < time.Second {
		return false
	}
	s.noticed = now
	return true
}
