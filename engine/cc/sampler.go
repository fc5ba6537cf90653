package cc

import "time"

// A Packet is what a controller remembers of a packet in flight. Its owner keeps
// it by value beside its own record of the packet, hands it in with each call
// that is about the packet, and changes nothing in it.
type Packet struct {
	Bytes  int       // on the wire, as given to Sent
	SentAt time.Time // as given to Sent

	sent        time.Duration // SentAt on the sampler's clock
	firstSent   time.Duration // start of the flight this packet belongs to
	deliveredAt time.Duration // when the last delivery before it was known
	delivered   int64         // bytes known to be delivered when it left
	lost        int64         // bytes known to be lost when it left
	inFlight    int           // bytes in flight, itself included
	limited     bool          // the application limited the sender
	steady      bool          // left at no more than the estimated rate, without a queue
}

// A sampler measures the rate of delivery, as draft-ietf-ccwg-bbr does: over the
// time from the sending of one packet to its acknowledgement, so many bytes
// were delivered; the longer of the time it took to send them and the time in which
// they were acknowledged divides them, so neither a burst of sending nor a
// batch of ACKs can feign a rate.
type sampler struct {
	epoch   time.Time     // zero of the clock below
	last    time.Duration // latest time seen; the clock never goes back
	started bool

	delivered   int64
	lost        int64
	deliveredAt time.Duration
	firstSent   time.Duration
	limitedTo   int64 // samples are limited by the application until so much is delivered; 0: no

	have   bool   // a packet was acknowledged since the last sample
	newest Packet // of these, the one sent last
}

// A sample is what one ACK tells of the path.
type sample struct {
	delivered int64         // bytes delivered within interval
	lost      int64         // bytes found to be lost within interval
	interval  time.Duration // > 0
	prior     int64         // bytes delivered when the packet left: tells rounds apart
	inFlight  int           // bytes in flight when it left
	limited   bool
}

// clock turns now into the time since the first call.
func (s *sampler) clock(now time.Time) time.Duration {
	if !s.started {
		s.started, s.epoch = true, now
	}
	s.last = max(s.last, now.Sub(s.epoch))
	return s.last
}

func (s *sampler) packetSent(now time.Time, p *Packet, n, inFlight int) {
	t := s.clock(now)
	if inFlight <= 0 {
		s.firstSent, s.deliveredAt = t, t
	}
	*p = Packet{
		Bytes: n, SentAt: now, sent: t, firstSent: s.firstSent, deliveredAt: s.deliveredAt,
		delivered: s.delivered, lost: s.lost, inFlight: max(inFlight, 0) + n, limited: s.limitedTo != 0,
	}
}

func (s *sampler) packetAcked(now time.Time, p *Packet) {
	s.deliveredAt = s.clock(now)
	s.delivered += int64(p.Bytes)
	if !s.have || p.sent >= s.newest.sent {
		s.have, s.newest = true, *p
		s.firstSent = p.sent
	}
}

func (s *sampler) packetLost(p *Packet) { s.lost += int64(p.Bytes) }

// packetFound takes packetLost back, for a packet that is then acknowledged.
func (s *sampler) packetFound(p *Packet) { s.lost = max(0, s.lost-int64(p.Bytes)) }

func (s *sampler) appLimited(inFlight int) {
	s.limitedTo = max(1, s.delivered+int64(max(inFlight, 0)))
}

// take gives the sample of the packets acknowledged since the last one.
func (s *sampler) take() (sample, bool) {
	if s.limitedTo != 0 && s.delivered > s.limitedTo {
		s.limitedTo = 0
	}
	if !s.have {
		return sample{}, false
	}
	s.have = false
	p := &s.newest
	interval := max(p.sent-p.firstSent, s.deliveredAt-p.deliveredAt)
	return sample{
		delivered: s.delivered - p.delivered,
		lost:      max(0, s.lost-p.lost),
		interval:  max(interval, 1),
		prior:     p.delivered,
		inFlight:  p.inFlight,
		limited:   p.limited,
	}, true
}
