package mdpconn

import (
	"crypto/ecdh"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"

	"mesh.example/msp/mdpconn/overlay"
	"mesh.example/msp/mdpconn/session"
)

// Limits of sessions. Implementation.
const (
	sessionsPerPeers  = 4                // pairs in the table of sessions, as a multiple of Config.MaxPeers
	livenessInterval  = 10 * time.Second // told in our hellos (docs/extension.md §14)
	strangerHelloRate = 100              // offers of strangers answered per second: each costs about 500 µs
	strangerHellos    = 50               // and in a burst
	peerHelloRate     = 2                // offers of one peer per second
	peerHellos        = 8
)

// sessions are a node's session keys (docs/extension.md §10). It has a lock of
// its own, as a key agreement takes up to half a millisecond: neither it nor
// Node.mu is taken while the other is held.
type sessions struct {
	// Constant.
	boot int64
	can  session.Capabilities

	ecn atomic.Bool // all links of the node know of codepoints

	// mu guards what follows.
	mu      sync.Mutex
	table   *session.Table
	strikes session.Strikes
	peerIDs map[uint32]session.Pair // of current sessions, by where the peer receives
}

func newSessions(c *Config, now time.Time) *sessions {
	limit := sessionsPerPeers * c.maxPeers()
	s := &sessions{
		boot: now.UnixMicro(),
		can: session.Capabilities{
			AES: session.QuickAES(), ChaCha: true,
			Compact: session.MaxCompact, Liveness: livenessInterval,
		},
		table:   session.NewTable(limit),
		peerIDs: make(map[uint32]session.Pair),
	}
	s.ecn.Store(!c.NoECN)
	return s
}

// static is an identity's part in a key agreement.
type static struct{ key *ecdh.PrivateKey }

func (s static) DH(public [32]byte) (shared [32]byte, err error) {
	key, err := ecdh.X25519().NewPublicKey(public[:])
	if err != nil {
		return shared, err
	}
	b, err := s.key.ECDH(key)
	if err != nil {
		return shared, err
	}
	copy(shared[:], b)
	clear(b)
	return shared, nil
}

func (s *sessions) endpoint(own *ownIdentity) session.Endpoint {
	can := s.can
	can.ECN = s.ecn.Load()
	return session.Endpoint{
		Static: static{own.secret.key},
		Own:    session.Payload{Boot: s.boot, Capabilities: can},
		Rand:   rand.Reader,
	}
}

func (p pair) session() session.Pair {
	return session.Pair{Local: overlay.SID(p.local), Peer: overlay.SID(p.remote)}
}

// A standing is what a pair of SIDs has of session keys.
type standing struct {
	keyed   bool // datagrams may be sent under them
	worn    bool // or should be replaced soon
	compact int  // the largest packet that the peer reads
	ecn     bool // packets may be sent so that routers mark them
}

// standing tells what a pair has now. s may be nil: nothing.
func (s *sessions) standing(p pair, now time.Time) (st standing) {
	if s == nil {
		return standing{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	current := s.table.Current(p.session(), now)
	if current == nil {
		return standing{}
	}
	// The peer is to hear of a link that came later and does not tell of marks.
	stale := current.Own().Capabilities.ECN && !s.ecn.Load()
	return standing{true, stale || current.Worn(now), current.SendCompact(), current.ECN()}
}

// advance ends what has had its time, and tells when to do so again; zero: not.
func (s *sessions) advance(now time.Time) time.Time {
	if s == nil {
		return time.Time{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table.Advance(now)
	return s.table.NextTimeout()
}

// hold keeps the sessions of a pair from making room for others, and reports
// whether it does.
func (s *sessions) hold(p pair) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.Hold(p.session(), 1) == nil
}

func (s *sessions) unhold(p pair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table.Hold(p.session(), -1)
}

// offer gives the hello to send to a peer now; nil for none.
func (s *sessions) offer(p *peer, now time.Time) (hello []byte, timeout time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hello, err := s.table.Offer(p.pair.session(), s.endpoint(p.own), now)
	if err != nil {
		return nil, time.Time{} // the table is full: without keys, then
	}
	return hello, s.table.NextTimeout()
}

// An agreed is what a hello has led to.
type agreed struct {
	answer  []byte    // to send
	current bool      // a session has become current: the peer must hear of it
	boot    int64     // of the peer, if there is a session
	timeout time.Time // when advance is to be called
}

// receive takes a hello of a peer.
func (s *sessions) receive(p *peer, hello []byte, now time.Time) (a agreed, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer, made, err := s.table.Receive(p.pair.session(), s.endpoint(p.own), hello, now)
	if err != nil {
		return agreed{}, err
	}
	a = agreed{answer: answer, timeout: s.table.NextTimeout()}
	if made != nil {
		a.boot = made.Peer().Boot
		if a.current = made.State() == session.Current; a.current {
			s.indexLocked(made, now)
		}
	}
	return a, nil
}

// indexLocked notes where the peer of a session that has become current
// receives. Caller holds mu.
func (s *sessions) indexLocked(made *session.Session, now time.Time) {
	if len(s.peerIDs) > 2*s.table.Len()+16 {
		for id := range s.peerIDs {
			if s.noticedLocked(id, now) == nil {
				delete(s.peerIDs, id)
			}
		}
	}
	if s.noticedLocked(made.PeerID(), now) == nil {
		s.peerIDs[made.PeerID()] = made.Pair()
	}
}

// noticedLocked gives the current session whose peer receives at id. Caller holds
// mu.
func (s *sessions) noticedLocked(id uint32, now time.Time) *session.Session {
	pair, ok := s.peerIDs[id]
	if !ok {
		return nil
	}
	if current := s.table.Current(pair, now); current != nil && current.PeerID() == id {
		return current
	}
	return nil
}

// heed tells whose session a notice is about, if it is to be heeded.
func (s *sessions) heed(id uint32, now time.Time) (p pair, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := s.noticedLocked(id, now)
	if current == nil || !current.Heed(id, now) {
		return pair{}, false
	}
	return pairOf(current.Pair()), true
}

// heedFrom reports whether a notice is to be heeded that the peer itself has
// sent. Those of others do not use up what may be heeded.
func (s *sessions) heedFrom(p pair, id uint32, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := s.table.Current(p.session(), now)
	return current != nil && current.Heed(id, now)
}

func pairOf(p session.Pair) pair { return pair{SID(p.Local), SID(p.Peer)} }

// find gives the session and the keys that a packet is under. known is false if
// there are none; fresh, if the packet was here before.
func (s *sessions) find(h session.Head, now time.Time) (found *session.Session, keys *session.Keys, counter uint64, known, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found = s.table.Lookup(h.ID, now); found == nil {
		return nil, nil, 0, false, false
	}
	counter, fresh = found.Expand(h)
	return found, found.Keys(), counter, true, fresh
}

// accept notes a packet that has opened. ok is false for a repetition; begun
// tells that it has made the session current.
func (s *sessions) accept(found *session.Session, counter uint64, bytes int, now time.Time) (ok, begun bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pending := found.State() == session.Pending
	if !s.table.Accept(found, counter, bytes, now) {
		return false, false
	}
	if begun = pending && found.State() == session.Current; begun {
		s.indexLocked(found, now)
	}
	return true, begun
}

// reserve gives counters and keys for n packets of together so many bytes.
func (s *sessions) reserve(p pair, n, bytes int, now time.Time) (keys *session.Keys, first uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := s.table.Current(p.session(), now)
	if current == nil {
		return nil, 0, false
	}
	first, err := current.Reserve(n, bytes, now)
	return current.Keys(), first, err == nil
}
