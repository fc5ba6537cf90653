package stream

import (
	"iter"
	"time"
)

// A handover is when a stream's part of a path that is used up goes to the others on it (MSX-8.7).
type handover struct {
	at  time.Time // zero: it holds nothing, has more to send, or it is due
	due bool
}

// sent notes that a packet left. Whoever goes on when the answer to it comes does so before the
// time is over.
func (h *handover) sent(s *Stream, now time.Time) {
	*h = handover{}
	if s.cc.Held() > 0 {
		h.at = now.Add(s.rtt.timeout(0, 0))
	}
}

func (h *handover) advance(s *Stream, now time.Time) {
	if !h.at.IsZero() && !now.Before(h.at) {
		*h = handover{due: !s.hasDue()}
	}
}

// Leaves reports whether the stream had nothing to send for so long that HandOver is to be called.
func (s *Stream) Leaves() bool { return s.handover.due }

// HandOver leaves what the stream holds of its path, which must be that of its siblings, to those
// of them that the path limits, in equal parts: that brings their rates closer together. If there
// are none it keeps that, to go on with.
func (s *Stream) HandOver(siblings iter.Seq[*Stream]) {
	if s.handover == (handover{}) && !s.hasDue() {
		return
	}
	s.handover = handover{}
	heirs := 0
	for h := range siblings {
		if h.inherits() {
			heirs++
		}
	}
	if heirs == 0 {
		return
	}
	part := s.cc.Yield() / float64(heirs)
	for h := range siblings {
		if h.inherits() {
			h.cc.Take(part)
		}
	}
}

func (s *Stream) inherits() bool { return s.snd.pending(s.limit) && s.cc.Held() > 0 }
