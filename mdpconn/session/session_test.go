package session

import (
	"strings"
	"testing"
	"time"
)

// After 120 s, 2^32 packets or 2^45 bytes it is time for a new session, and far
// beyond that nothing is sealed (MSX-10.6).
func TestLimits(t *testing.T) {
	fresh := func() *Session {
		s := &Session{}
		s.makeCurrent(start)
		return s
	}
	s := fresh()
	if s.Worn(start.Add(120*time.Second - 1)) {
		t.Error("worn before 120 s")
	}
	if !s.Worn(start.Add(120 * time.Second)) {
		t.Error("not worn after 120 s")
	}
	for what, use := range map[string]func(s *Session){
		"packets sent":     func(s *Session) { s.next = usePackets },
		"packets received": func(s *Session) { s.window.Receive(usePackets - 1) },
		"bytes sent":       func(s *Session) { s.sent = usePackets * 8192 },
		"bytes received":   func(s *Session) { s.received = useBytes },
	} {
		s := fresh()
		use(s)
		if !s.Worn(start) {
			t.Errorf("not worn by %s", what)
		}
		if _, err := s.Reserve(1, 100, start); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	s = fresh()
	s.next = 1<<36 - 2
	if n, err := s.Reserve(2, 0, start); n != 1<<36-2 || err != nil {
		t.Errorf("the last counters: %d, %v", n, err)
	}
	if _, err := s.Reserve(1, 0, start); err != ErrWorn {
		t.Errorf("one more: %v, want ErrWorn", err)
	}
	s = fresh()
	s.sent = 1<<49 - 10
	if _, err := s.Reserve(1, 11, start); err != ErrWorn {
		t.Errorf("too many bytes: %v, want ErrWorn", err)
	}
	// Counters that cannot be: nothing wraps.
	s.sent, s.next = 0, ^uint64(0)-1
	if _, err := s.Reserve(1, 0, start); err != ErrWorn {
		t.Errorf("at the end of counters: %v, want ErrWorn", err)
	}
}

func TestReserveByState(t *testing.T) {
	s := &Session{}
	for _, state := range []State{Pending, Old, Ended} {
		s.state = state
		if _, err := s.Reserve(1, 1, start); err != ErrReadOnly {
			t.Errorf("%v: %v, want ErrReadOnly", state, err)
		}
	}
	s.state = Current
	for i := range uint64(3) {
		if n, err := s.Reserve(10, 1, start); n != 10*i || err != nil {
			t.Errorf("got %d, %v, want %d", n, err, 10*i)
		}
	}
}

// A notice counts for the session in use, once a second (MSX-11.3).
func TestHeed(t *testing.T) {
	s := &Session{agreement: agreement{id: 1, peerID: 2}}
	s.makeCurrent(start)
	for _, test := range []struct {
		why  string
		id   uint32
		at   time.Duration
		want bool
	}{
		{"our own id", 1, 0, false}, {"first", 2, 0, true}, {"again", 2, 999 * time.Millisecond, false},
		{"a second later", 2, time.Second, true}, {"again", 2, 1999 * time.Millisecond, false},
	} {
		if got := s.Heed(test.id, start.Add(test.at)); got != test.want {
			t.Errorf("%s: %v, want %v", test.why, got, test.want)
		}
	}
	s.makeOld(start)
	if s.Heed(2, start.Add(time.Hour)) {
		t.Error("a notice about an old session is heeded")
	}
}

func TestSessionString(t *testing.T) {
	a, b := newSides(t)
	sa, sb := meet(a, b, start)
	if got := sa.String(); !strings.Contains(got, "current AES-256-GCM sent 0 window empty") {
		t.Errorf("got %q", got)
	}
	if got := sb.String(); !strings.Contains(got, "pending") {
		t.Errorf("got %q", got)
	}
	if sa.ID() != sb.PeerID() || sb.ID() != sa.PeerID() || sa.Pair() != a.pair() || sb.Peer().Boot != 1 || sa.Peer().Boot != 2 {
		t.Errorf("the two sides do not fit: %v, %v", sa, sb)
	}
}
