package stream

import (
	"errors"
	"time"
)

// Early takes message n, below FirstNumber, of an opening in the published
// format (MSX-1.8); fin tells that its direction ends behind it. The error is a
// fault of the peer's.
func (s *Stream) Early(now time.Time, n uint64, payload []byte, fin bool) error {
	if s.acks.isDuplicate(n) {
		s.stats.Duplicates++
		s.acks.now = true // our answer may be lost
		return nil
	}
	if err := s.rcv.message(n, payload, fin, s.win.limit); err != nil {
		return err
	}
	s.acks.packetReceived(now, n, true, true, false)
	return nil
}

// Input takes a packet; marked tells that a router marked it for congestion. The
// error is a fault of the peer's, for which the connection is to be aborted; packets
// that are merely malformed are counted.
func (s *Stream) Input(now time.Time, b []byte, marked bool) error {
	low, rest, ok := parseHeader(b)
	if !ok || len(rest) == 0 {
		s.stats.Malformed++
		return nil
	}
	want := uint64(FirstNumber)
	if largest, any := s.acks.largest(); any {
		want = max(want, largest+1)
	}
	number := nearest(want, low)
	if s.acks.isDuplicate(number) || number < FirstNumber {
		s.stats.Duplicates++
		return nil
	}
	s.stats.PacketsReceived++
	asks, urgent, params, acked := false, false, false, false
	s.answered = false
	r := fieldReader{b: rest}
	for len(r.b) > 0 {
		var f frame
		if err := r.next(&f); err != nil {
			s.stats.Malformed++
			return nil
		}
		if f.kind == frameAck {
			if acked {
				continue
			}
			acked = true
		}
		asks = asks || f.asks()
		params = params || f.kind == frameParams
		urgent = urgent || f.kind == framePing || f.kind == frameParams || f.fin
		switch err := s.frame(now, number, &f); {
		case errors.Is(err, errTooMany):
			s.stats.Malformed++
			return nil
		case err != nil:
			return err
		}
	}
	s.proven = s.proven || s.answered && params
	s.acks.packetReceived(now, number, asks, urgent || s.win.due, marked)
	return nil
}

// frame handles one frame.
func (s *Stream) frame(now time.Time, number uint64, f *frame) error {
	switch f.kind {
	case frameAck:
		s.ackReceived(now, f)
	case frameData:
		return s.dataReceived(now, f)
	case frameMaxData:
		s.limit = max(s.limit, f.limit)
	case frameParams:
		if !s.paramsRead {
			s.paramsRead = true
			s.peer = parseParams(f.params)
			s.limit = max(s.limit, s.peer.MaxData)
		}
	case frameAckRate:
		s.acks.rate(number, f.packets, f.delay, s.cfg.Local.AckDelay)
	}
	return nil
}

func (s *Stream) dataReceived(now time.Time, f *frame) error {
	if err := s.rcv.insert(f.offset, f.data, f.fin, s.win.limit); err != nil {
		return err
	}
	s.win.arrived(now, s.rcv.next, s.rcv.held, s.rtt.smoothed)
	if f.offset+uint64(len(f.data)) == s.win.limit {
		s.win.exhausted()
	}
	return nil
}

// ackReceived takes an ACK: what arrived is done with, what is late is due again
// (§4.3).
func (s *Stream) ackReceived(now time.Time, f *frame) {
	if f.largest >= s.loss.next {
		s.stats.Malformed++
		return
	}
	s.answered = s.answered || f.largest >= FirstNumber+s.cfg.Skip
	var spans [ackRanges]span
	n := 0
	f.ranges.each(func(start, end uint64) {
		if n < len(spans) {
			spans[n] = span{start, end}
			n++
		}
	})
	newest := s.newestAcked(f.largest)
	fresh := 0
	for i := n - 1; i >= 0; i-- {
		for number := max(spans[i].start, s.loss.first); number < spans[i].end; number++ {
			if s.packetAcked(now, number, f.largest) {
				fresh++
			}
		}
	}
	trip := time.Duration(0)
	if newest {
		trip = s.measured(now, f)
	}
	if !s.loss.anyAcked || f.largest > s.loss.largestAcked {
		s.loss.largestAcked, s.loss.anyAcked = f.largest, true
	}
	if grown := s.marks.reported(f.marked, fresh, f.largest, s.loss.next); grown > 0 {
		s.stats.MarksHeeded += uint64(grown)
		s.cc.Marked(now, grown)
	}
	if fresh > 0 {
		s.loss.probeTimeouts = 0
		s.probes, s.secondAt = 0, time.Time{}
	}
	s.detectLost(now)
	if fresh > 0 {
		s.cc.EndAck(now, trip, s.loss.inFlight)
		s.adjustAckRate()
	}
	s.loss.forget(now, 3*s.timeout(0))
}

// newestAcked reports whether an ACK's largest number measures a round trip: it
// was in flight, and sent once.
func (s *Stream) newestAcked(largest uint64) bool {
	if largest < s.loss.first {
		return false
	}
	p := s.loss.at(largest)
	return p.state == sentInFlight && !p.again
}

// measured takes a sample of the round trip (MSX-4.9).
func (s *Stream) measured(now time.Time, f *frame) time.Duration {
	d := now.Sub(s.loss.at(f.largest).SentAt)
	delay := min(f.delay, s.peer.AckDelay)
	s.rtt.sample(d, delay)
	s.cfg.Path.sample(now, d, delay)
	return s.rtt.latest
}

// packetAcked notes that a packet arrived, and reports whether that is news.
func (s *Stream) packetAcked(now time.Time, number, largest uint64) bool {
	p := s.loss.at(number)
	switch p.state {
	case sentInFlight:
		s.loss.settled(p, sentAcked)
		s.cc.Acked(now, &p.Packet)
	case sentLost:
		s.stats.PacketsSpurious++
		s.loss.spurious(number, largest)
		s.loss.settled(p, sentAcked)
		s.cc.Spurious(now, &p.Packet)
	default:
		return false
	}
	for _, r := range p.spans {
		s.snd.ackReceived(r)
	}
	if p.carries&carriesFin != 0 {
		s.snd.finReceived()
	}
	return true
}

// detectLost finds packets that are late, and has what they carried sent again.
func (s *Stream) detectLost(now time.Time) {
	s.loss.lost(now, &s.rtt, func(p *sentPacket) { s.packetLost(now, p) })
}

func (s *Stream) packetLost(now time.Time, p *sentPacket) {
	s.stats.PacketsLost++
	s.cc.Lost(now, &p.Packet)
	for _, r := range p.spans {
		s.snd.spanLost(r)
	}
	if p.carries&carriesFin != 0 {
		s.snd.finLost()
	}
	s.paramsDue = s.paramsDue || p.carries&carriesParams != 0
	s.win.due = s.win.due || p.carries&carriesMaxData != 0
	s.ackRateDue = s.ackRateDue || p.carries&carriesAckRate != 0
}
