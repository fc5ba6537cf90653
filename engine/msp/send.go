package msp

import (
	"encoding/binary"
	"time"
)

// A sender keeps the messages that the peer has not acknowledged, in order, and
// decides which one is transmitted next (§4).
type sender struct {
	queue []outMessage // queue[0] is the oldest unacknowledged
	una   Seq          // its number
	sent  int          // how many of the queue were sent at least once

	shutdown bool // the last of the queue is the SHUTDOWN, or it is acknowledged

	window window
	rtt    rttState

	// Repair of losses.
	timeoutAt time.Time // of the oldest message; zero while nothing is in flight
	timeouts  int       // of the oldest message, in a row
	backoff   int       // doublings of the timeout
	needless  int       // those that the ack of a repair has ended
	slower    int       // repairs that turned out to be needless, since the last sample
	repair    bool      // send the oldest again
	recovery  Seq       // losses before this number are one event
	halve     bool      // a repair was made: halve the window if it moves the ack
	repairAt  time.Time // when it was made

	// Unmoved acknowledgements (§4.4).
	unmoved    int // that answer newly sent messages, since the ack moved
	unanswered int // newly sent messages behind the oldest that an unmoved ack may answer
	echoes     int // retransmissions whose duplicate may still be acknowledged
	fastDone   bool

	// A slow reader (§4.5).
	answered     int  // timeouts in a row that an unmoved ack followed
	answeredThis bool // the latest one was
	stalled      bool

	stats *Stats // of the connection
}

// outMessage is one message, stored behind room for its header.
type outMessage struct {
	buf      []byte // HeaderLen bytes, then the message
	sentAt   time.Time
	sends    int
	shutdown bool
}

// push queues a message.
func (s *sender) push(buf []byte) { s.queue = append(s.queue, outMessage{buf: buf}) }

// pushShutdown marks the newest message as the last if it was never sent, else
// queues a bare SHUTDOWN (§8.1).
func (s *sender) pushShutdown(bare []byte) (usedBare bool) {
	s.shutdown = true
	if n := len(s.queue); n > s.sent {
		s.queue[n-1].shutdown = true
		return false
	}
	s.queue = append(s.queue, outMessage{buf: bare, shutdown: true})
	return true
}

// next returns the message to transmit now, or nil. At most the window is in
// flight, and no new message goes to a stalled peer.
func (s *sender) next() (m *outMessage, seq Seq) {
	if s.repair {
		s.repair = false
		if s.sent > 0 {
			return &s.queue[0], s.una
		}
	}
	if s.sent < len(s.queue) && s.sent < s.window.size && !s.stalled {
		return &s.queue[s.sent], s.una.add(s.sent)
	}
	return nil, 0
}

// messageSent notes that m, which next returned, is on its way.
func (s *sender) messageSent(now time.Time, m *outMessage) {
	m.sentAt = now
	m.sends++
	s.stats.MessagesSent++
	if m.sends == 1 {
		s.sent++
		if s.sent > 1 {
			s.unanswered++
		}
	} else {
		s.stats.Retransmitted++
		s.echoes++
		s.repairAt = now
	}
	if m == &s.queue[0] {
		s.armTimeout(now)
	}
}

// timeout returns the retransmission timeout.
func (s *sender) timeout() time.Duration { return s.rtt.timeout(s.backoff) }

func (s *sender) armTimeout(now time.Time) { s.timeoutAt = now.Add(s.timeout()) }

// advance sends the oldest message again when its time is over.
func (s *sender) advance(now time.Time) {
	if s.timeoutAt.IsZero() || now.Before(s.timeoutAt) {
		return
	}
	s.timeoutAt = time.Time{} // armed again when the message is sent
	s.repair = true
	if s.stalled && s.answeredThis { // the next message to a slow reader
		s.answeredThis = false
		return
	}
	s.timeouts++
	s.backoff++
	s.stats.Timeouts++
	if !s.answeredThis {
		s.answered = 0
		s.stalled = false // the last one, or its answer, was lost: the reader may be quick
	}
	s.answeredThis = false
	s.beginRepair()
}

// beginRepair notes that a message seems lost. The window is halved only if the
// repair then moves the ack, and once for all that was in flight.
func (s *sender) beginRepair() {
	if s.una.sub(s.recovery) >= 0 && !s.stalled {
		s.halve = true
	}
}

// ackReceived takes the ack field of a packet that arrived. pure tells that it
// came without a message. It returns false if the ack lies outside of what was
// sent, which is ignored (§5.1).
func (s *sender) ackReceived(now time.Time, ack Seq, valid, pure bool, free func([]byte)) bool {
	if !valid {
		ack = s.una.add(-1)
	}
	n := ack.add(1).sub(s.una)
	switch {
	case n > s.sent:
		return false
	case n > 0:
		s.ackMoved(now, n, free)
	case n == 0 && pure:
		s.ackUnmoved(now)
	}
	return true // an older ack was overtaken on the way
}

func (s *sender) ackMoved(now time.Time, n int, free func([]byte)) {
	full := s.sent >= s.window.size
	next := s.una.add(s.sent)
	repeated := false
	for i := range n {
		m := &s.queue[i]
		repeated = repeated || m.sends > 1
		// Karn: a repeated message measures nothing, nor do those that waited
		// for it; nor does one that a stalled reader let wait (§4.2).
		if i == n-1 && !repeated && !s.stalled {
			s.rtt.sample(now.Sub(m.sentAt), s.una.add(i), next)
			s.backoff, s.needless, s.slower = 0, 0, 0
		}
		s.stats.BytesAcked += uint64(len(m.buf) - HeaderLen)
		free(m.buf)
		*m = outMessage{}
	}
	if repeated && !s.stalled && s.slower < slowerRepairs && s.rtt.smoothed != 0 {
		s.needless, s.backoff = s.backoff, 0
	}
	s.queue = s.queue[n:]
	if len(s.queue) == 0 {
		s.queue = nil
	}
	s.una = s.una.add(n)
	s.sent -= n

	switch {
	case s.stalled: // the window MUST NOT change (§4.5)
	case s.halve && now.Sub(s.repairAt) <= 2*s.rtt.timeout(0):
		s.window.messageLost()
		s.recovery = next
	default:
		s.window.messagesAcked(n, full)
	}
	if s.una.sub(s.recovery) > 0 {
		s.recovery = s.una // never so far behind that the difference wraps
	}
	s.halve, s.fastDone, s.stalled = false, false, false
	s.timeouts, s.answered, s.answeredThis = 0, 0, false
	s.unmoved, s.unanswered = 0, max(s.sent-1, 0)
	if now.Sub(s.repairAt) > 3*s.rtt.timeout(0) {
		s.echoes = 0
	}
	s.timeoutAt = time.Time{}
	if s.sent == 0 {
		return
	}
	// Progress restarts the timer (RFC 6298, 5.3): the oldest may stand in the
	// queue of a slow link behind what was just acknowledged.
	s.timeoutAt = now.Add(s.timeout())
	// The ack moved up to a further gap of the same event: repair that too (§4.3).
	// It is the first time, as only the oldest is ever sent again.
	oldest := &s.queue[0]
	if s.una.sub(s.recovery) < 0 && now.Sub(oldest.sentAt) > s.rtt.roundTrip() {
		s.repair = true
	}
}

func (s *sender) ackUnmoved(now time.Time) {
	if s.timeouts > 0 && !s.answeredThis && s.answersRepair(now) {
		s.answeredThis = true
		s.answered++
		if s.answered >= stalledAnswers {
			s.stalled = true
			s.halve = false
			s.backoff = 0
			s.timeoutAt = s.queue[0].sentAt.Add(stalledProbe)
		}
	}
	switch {
	case s.echoes > 0 && now.Sub(s.repairAt) <= 3*s.rtt.timeout(0):
		s.echoes--
		s.repairAnswered()
	case s.unanswered > 0:
		s.unanswered--
		s.unmoved++
		if s.unmoved == fastAcks && !s.fastDone && !s.stalled && s.timeouts == 0 {
			s.fastDone = true
			s.repair = true
			s.beginRepair()
		}
	}
}

// repairAnswered notes what looks like the ack of a duplicate. If an ack that
// moved over a repeated message has ended the doublings of the timeout (with
// losses most acks answer repairs, and if only an unrepeated message ended them,
// they would hardly ever end), that was the ack of the first copy: the path is
// slower than was known. The doublings come back, and if it happens again and
// again they stay until the path is measured (§4.3).
func (s *sender) repairAnswered() {
	if s.needless > 0 {
		s.backoff, s.needless = max(s.backoff, s.needless), 0
		s.slower++
	}
}

// answersRepair reports whether an unmoved ack that arrives now is the answer to
// the latest retransmission: a receiver acknowledges a duplicate at once, so
// that it comes after one round trip. Others that arrive on a path with losses
// are late, or keep-alives, and tell nothing of the reader (§4.5).
func (s *sender) answersRepair(now time.Time) bool {
	after, trip := now.Sub(s.repairAt), s.rtt.roundTrip()
	return after >= trip/2 && after <= trip+max(4*s.rtt.variance, minTimeout)
}

// probe makes the oldest message, if one is in flight, serve as the probe of a
// silent peer (§7).
func (s *sender) probe() bool {
	if s.sent == 0 {
		return false
	}
	s.repair = true
	return true
}

// acked reports whether everything including the SHUTDOWN is acknowledged.
func (s *sender) acked() bool { return s.shutdown && len(s.queue) == 0 }

// onlyShutdownLeft reports whether all that is unacknowledged is a bare SHUTDOWN.
func (s *sender) onlyShutdownLeft() bool {
	return s.shutdown && len(s.queue) == 1 && len(s.queue[0].buf) == HeaderLen
}

// drop forgets everything queued.
func (s *sender) drop(free func([]byte)) {
	for _, m := range s.queue {
		free(m.buf)
	}
	s.queue, s.sent, s.timeoutAt, s.repair = nil, 0, time.Time{}, false
}

// encode writes the header in front of the message.
func (m *outMessage) encode(flags Flags, ack, seq Seq) []byte {
	if m.shutdown {
		flags |= FlagShutdown
	}
	m.buf[0] = byte(flags)
	binary.LittleEndian.PutUint16(m.buf[1:], uint16(ack))
	binary.LittleEndian.PutUint16(m.buf[3:], uint16(seq))
	return m.buf
}
