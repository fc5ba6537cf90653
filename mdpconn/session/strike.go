package session

import (
	"crypto/sha256"
	"fmt"
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

// Bounds of a strike register (§10.1).
const (
	StrikeSize    = 65536            // datagrams remembered in all
	strikeShare   = StrikeSize / 4   // of one sender
	strikeAge     = 10 * time.Second // a datagram may be so old, or so far ahead
	strikeKeeping = 2 * strikeAge    // after which every datagram remembered is too old
)

// A Verdict is what a strike register says of a datagram.
type Verdict byte

// Verdicts. Only what is Fresh is to be delivered.
const (
	Fresh    Verdict = iota + 1
	Repeated         // it was there before
	Aged             // by the peer's clock it is more than 10 s old, or ahead
	Crowded          // the register is full, or the sender's share is
)

// String gives the verdict in a word.
func (v Verdict) String() string {
	switch v {
	case Fresh:
		return "fresh"
	case Repeated:
		return "repeated"
	case Aged:
		return "aged"
	case Crowded:
		return "crowded"
	}
	return fmt.Sprintf("verdict(%d)", byte(v))
}

// Strikes remember which datagrams came before there was a session, so that
// none is delivered twice (MSX-10.8). The zero value is ready. It is not safe for
// concurrent use. It takes up to 8 MiB when it is full, and nothing at first.
type Strikes struct {
	seen    map[strike]struct{}
	order   []struckAt // a queue: the oldest first
	senders map[overlay.SID]*sender
}

// strike is the first half of SHA-256 of sender and nonce.
type strike [16]byte

type struckAt struct {
	strike
	at   time.Time
	from *sender
}

type sender struct {
	sid overlay.SID
	n   int // of its datagrams are remembered
}

// Take judges a datagram of sid in a box with such a nonce, and remembers it
// if it is Fresh. age is what that sender's clock shows now, less the time in the
// nonce; negative if the nonce is ahead. The caller must not let its idea of
// that clock go back.
func (s *Strikes) Take(sid overlay.SID, nonce [24]byte, age time.Duration, now time.Time) Verdict {
	if age > strikeAge || age < -strikeAge {
		return Aged
	}
	s.expire(now)
	k := strikeOf(sid, nonce)
	if _, ok := s.seen[k]; ok {
		return Repeated
	}
	from := s.senders[sid]
	if len(s.seen) >= StrikeSize || from != nil && from.n >= strikeShare {
		return Crowded
	}
	if s.seen == nil {
		s.seen, s.senders = make(map[strike]struct{}), make(map[overlay.SID]*sender)
	}
	if from == nil {
		from = &sender{sid: sid}
		s.senders[sid] = from
	}
	from.n++
	s.seen[k] = struct{}{}
	s.order = append(s.order, struckAt{k, now, from})
	return Fresh
}

func strikeOf(sid overlay.SID, nonce [24]byte) strike {
	var b [len(sid) + len(nonce)]byte
	copy(b[:], sid[:])
	copy(b[len(sid):], nonce[:])
	sum := sha256.Sum256(b[:])
	return strike(sum[:len(strike{})])
}

// Len is how many datagrams are remembered.
func (s *Strikes) Len() int { return len(s.seen) }

// expire forgets what is too old to be taken again.
func (s *Strikes) expire(now time.Time) {
	n := 0
	for ; n < len(s.order) && now.Sub(s.order[n].at) > strikeKeeping; n++ {
		delete(s.seen, s.order[n].strike)
		from := s.order[n].from
		if from.n--; from.n == 0 {
			delete(s.senders, from.sid)
		}
	}
	if s.order = s.order[n:]; len(s.order) == 0 {
		*s = Strikes{} // maps do not shrink
	}
}
