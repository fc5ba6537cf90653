package stream

import (
	"iter"
	"time"
)

// A handover is when a stream's part of a path that is used up goes to the others on it (MSX-8.7).
type handover struct {
	after time.Duration // the last packet; 0: it holds nothing, has more to send, or it is due
	due   bool
}

// sent notes that a packet left. Whoever goes on when the answer to it comes does so before the
// time is over.
func (h *handover) sent(s *Stream) {
	*h = handover{}
	if s.cc.Held() > 0 {
		h.after = s.rtt.timeout(0, 0)
	}
}

// at is when it is over; zero: never.
func (h *handover) at(s *Stream) time.Time {
	if h.after == 0 {
		return time.Time{}
	}
	return s.loss.lastSentAt.Add(h.after)
}

func (h *handover) advance(s *Stream, now time.Time) {
	at := h.at(s)
	switch {
	case at.IsZero() || now.Before(at):
	case s.hasDue():
		*h = handover{}
	case s.loss.inFlight > 0: // late ACKs would tell of the rate again, as of what it has now
		h.after = now.Sub(s.loss.lastSentAt) + max(s.rtt.smoothed/4, granularity)
	default:
		*h = handover{due: true}
	}
}

// Leaves reports whether the stream had nothing to send for so long that HandOver is to be called.
func (s *Stream) Leaves() bool { return s.handover.due }

// HandOver leaves what the stream holds of its path, which must be that of its siblings, to those
// of them that the path limits, in equal parts: that brings their rates closer together. If there
// are none it keeps that, to go on with.
func (s *Stream) HandOver(siblings iter.Seq[*Stream]) {
	if s.cc.Held() == 0 || s.handover == (handover{}) && !s.hasDue() {
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
