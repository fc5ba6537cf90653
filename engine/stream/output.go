package stream

import "time"

// Output appends the next packet that is due to b, which has room for one of
// Config.PacketSize; nothing if none is due, or none may leave yet.
func (s *Stream) Output(now time.Time, b []byte) []byte {
	start := len(b)
	s.acks.advance(now)
	if s.mayAsk(now) {
		if out := s.asking(now, b); len(out) > start {
			return out
		}
	}
	if s.acks.due() && !s.quietAcks {
		b = appendHeader(b, s.loss.next)
		b = s.acks.append(b, now, s.cfg.PacketSize-HeaderLen)
		s.loss.add() // uses the number up; nobody asks what becomes of it
		s.loss.forget(now, 3*s.timeout(0))
		s.loss.abandon(func(p *sentPacket) { s.packetLost(now, p) })
		s.stats.PacketsSent++
	}
	return b
}

// mayAsk reports whether a packet that asks for an ACK may leave now.
func (s *Stream) mayAsk(now time.Time) bool {
	return s.probes > 0 || s.windowOpen() && !now.Before(s.pacer.ReadyAt(now))
}

func (s *Stream) windowOpen() bool {
	return s.loss.inFlight == 0 || s.loss.inFlight+s.cfg.PacketSize <= s.cc.Window()
}

// asking builds a packet of what is due; it is discarded if nothing went in but
// an ACK.
func (s *Stream) asking(now time.Time, b []byte) []byte {
	if !s.hasDue() && s.probes == 0 {
		if s.windowOpen() {
			s.cc.AppLimited(now, s.loss.inFlight)
		}
		return b
	}
	start := len(b)
	p := s.loss.add()
	b = appendHeader(b, s.loss.next-1)
	end := start + s.cfg.PacketSize
	if !s.quietAcks {
		b = s.acks.append(b, now, end-len(b)-minData)
	}
	before := len(b)
	b = s.control(b, p, end)
	b = s.data(b, p, end)
	if len(b) == before { // a probe of nothing
		b = append(b, byte(framePing))
	}
	s.stats.PacketsSent++
	s.cc.Sent(now, &p.Packet, len(b)-start, s.loss.inFlight)
	s.loss.sent(p, now)
	s.pacer.Sent(now, len(b)-start, s.cc.Rate())
	s.probes = max(s.probes-1, 0)
	s.handover.sent(s)
	return b
}

// minData is the room that an ACK leaves for other frames.
const minData = 256

// hasDue reports whether there is anything that asks for an ACK. ACK_RATE is of data,
// and waits for some.
func (s *Stream) hasDue() bool {
	return s.snd.pending(s.limit) || s.paramsDue || s.win.due || s.pingDue
}

// control appends the frames other than ACK and DATA.
func (s *Stream) control(b []byte, p *sentPacket, end int) []byte {
	if s.paramsDue {
		s.paramsDue = false
		p.carries |= carriesParams
		params := s.cfg.Local.append(nil)
		b = append(b, byte(frameParams))
		b = appendVarint(b, uint64(len(params)))
		b = append(b, params...)
	}
	if s.win.due {
		p.carries |= carriesMaxData
		b = append(b, byte(frameMaxData))
		b = appendVarint(b, s.win.announce())
	}
	if s.ackRateDue {
		s.ackRateDue = false
		p.carries |= carriesAckRate
		b = append(b, byte(frameAckRate))
		b = appendVarint(b, uint64(s.ackRate.packets))
		b = appendVarint(b, uint64(s.ackRate.delay/time.Microsecond))
	}
	if s.pingDue {
		s.pingDue = false
		b = append(b, byte(framePing))
	}
	return b
}

// data fills the packet with DATA: of a probe the oldest that is not
// acknowledged, then what is due again, then what is new.
func (s *Stream) data(b []byte, p *sentPacket, end int) []byte {
	for i := range p.spans {
		room := end - len(b) - 1 - offsetLen(s.snd.end) // no offset is longer
		if room < 1 {
			return b
		}
		var r span
		var fin, ok bool
		if s.probes > 0 && i == 0 {
			r, fin, ok = s.probe(room)
		}
		if !ok {
			r, fin, ok = s.snd.take(room, s.limit)
		}
		if !ok {
			return b
		}
		p.spans[i] = r
		if fin {
			p.carries |= carriesFin
		}
		left := end - len(b) - 1 - offsetLen(r.start) - varintLen(r.size()) - int(r.size())
		b = s.appendData(b, r, fin, left < 0)
		s.stats.DataSent += r.size()
		if left <= 0 {
			return b
		}
	}
	return b
}

// appendData appends a DATA frame, without its length where it ends the packet.
func (s *Stream) appendData(b []byte, r span, fin, toEnd bool) []byte {
	kind := frameData
	if fin {
		kind |= dataFin
	}
	if toEnd {
		kind |= dataToEnd
	}
	b = appendDataHead(b, kind, r.start)
	if !toEnd {
		b = appendVarint(b, r.size())
	}
	return s.snd.read(b, r)
}

// probe gives what a probe carries: the first of them the oldest that is not
// acknowledged, the second what is due anyway, or else what follows the oldest,
// or else the oldest again (MSX-4.8).
func (s *Stream) probe(room int) (r span, fin, ok bool) {
	if s.probeAt > 0 && s.snd.pending(s.limit) {
		return span{}, false, false
	}
	if r, fin, ok = s.snd.oldest(s.probeAt, room); !ok {
		r, fin, ok = s.snd.oldest(0, room)
	}
	if ok {
		s.probeAt = max(r.end, 1)
	}
	return r, fin, ok
}

// timeout is the probe timeout after n in a row. It allows for the peer to hold
// its ACK back, which it does not with a packet that comes by itself (MSX-4.4).
func (s *Stream) timeout(n int) time.Duration {
	delay := max(s.ackRate.delay, defaultAckDelay)
	if s.loss.gap > 2*delay {
		delay = 0
	}
	return max(s.rtt.timeout(n, delay), s.cfg.Path.timeout(s.loss.lastSentAt, n, delay))
}

// probeTime is when the probe timeout runs out; zero: never.
func (s *Stream) probeTime() time.Time {
	if s.loss.outstanding == 0 {
		return time.Time{}
	}
	return s.loss.lastSentAt.Add(s.timeout(s.loss.probeTimeouts))
}

// Advance finds out what is due at now. Output sends it.
func (s *Stream) Advance(now time.Time) {
	if at := s.loss.lossAt; !at.IsZero() && !now.Before(at) {
		s.detectLost(now)
		s.cc.EndAck(now, 0, s.loss.inFlight)
	}
	if at := s.probeTime(); !at.IsZero() && !now.Before(at) {
		s.loss.probeTimeouts++
		s.stats.ProbeTimeouts++
		s.probes, s.probeAt = 1, 0
		s.secondAt = now.Add(max(s.rtt.smoothed/16, granularity))
	}
	if !s.secondAt.IsZero() && !now.Before(s.secondAt) {
		s.secondAt = time.Time{}
		s.probes++
	}
	s.handover.advance(s, now)
}

// NextTimeout returns when Advance has something to do, or Output when it had
// nothing; zero if never.
func (s *Stream) NextTimeout() time.Time {
	at := earlier(earlier(s.probeTime(), s.secondAt), s.loss.lossAt)
	at = earlier(at, s.handover.at(s))
	if s.acks.unacked > 0 && !s.quietAcks {
		at = earlier(at, s.acks.at)
	}
	if s.hasDue() && s.windowOpen() {
		at = earlier(at, s.pacer.ReadyAt(s.loss.lastSentAt))
	}
	return at
}

// earlier returns the earlier of two times, of which a zero one is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// adjustAckRate tells the peer how often to acknowledge: about four times a
// round trip when much is in flight (MSX-4.5). Otherwise requests and answers soon
// acknowledge each other, unless the default would make who waits for the ACK wait long.
func (s *Stream) adjustAckRate() {
	was := s.ackRate
	if was.packets == 0 {
		was = ackRate{defaultAckPackets, defaultAckDelay}
	}
	trip := s.rtt.smoothed / 4
	switch {
	case s.loss.inFlight >= s.cc.Window()/4:
		packets := min(max(s.cc.Window()/s.cfg.PacketSize/4, defaultAckPackets), 256)
		if packets >= 2*was.packets || packets <= was.packets/2 {
			s.sayAckRate(packets, trip)
		}
	case s.ackRate.packets == 0 && trip <= defaultAckDelay/2:
		s.sayAckRate(defaultAckPackets, max(trip, granularity))
	}
}

func (s *Stream) sayAckRate(packets int, delay time.Duration) {
	s.ackRate = ackRate{packets, min(delay, s.peer.AckDelay)}
	s.ackRateDue = true
}
