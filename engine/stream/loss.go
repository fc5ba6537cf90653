package stream

import (
	"time"

	"mesh.example/msp/engine/cc"
)

// Loss detection (RFC 9002 §6.1, MSX-4.6).
const (
	firstThreshold = 3   // packets
	mostThreshold  = 128 // after spurious losses
	firstLate      = 9   // eighths of a round trip
	mostLate       = 16

	leastRing = 2 // packets

	// mostKept is how many numbers are kept, or four for each packet in flight
	// (MSX-4.6). A peer that acknowledges nothing, and has everything acknowledged,
	// would have us keep all that our ACKs use up.
	mostKept = 4096
)

// A sentState is what has become of a packet.
type sentState byte

const (
	sentNone     sentState = iota // there is no packet of this number
	sentInFlight                  // neither acknowledged nor lost
	sentAcked
	sentLost // taken for lost
)

// A sentPacket is what is remembered of a packet that asks for an ACK.
type sentPacket struct {
	cc.Packet
	spans   [2]span
	state   sentState
	carries carried
	again   bool // sent more than once under this number, in the published format: measures nothing
}

// carried is what else a packet carries that has to arrive.
type carried byte

const (
	carriesParams carried = 1 << iota
	carriesMaxData
	carriesAckRate
	carriesFin
)

// A lossState knows the packets that ask for an ACK and finds out which are
// lost. Packets are kept in a ring by their number, save those of an opening: mostly
// there is one, and none between it and FirstNumber.
type lossState struct {
	opening []sentPacket // number 0 and so on
	ring    []sentPacket // from FirstNumber on; its length is a power of two

	first uint64 // the oldest number that is kept
	next  uint64 // the number that the next packet gets
	scan  uint64 // none below is in flight

	inFlight     int // bytes
	outstanding  int // packets in flight
	largestAcked uint64
	anyAcked     bool
	lastSentAt   time.Time     // of a packet that asks
	gap          time.Duration // before that one none was sent for so long
	lossAt       time.Time     // when the next packet is late; zero: none is
	threshold    uint64
	late         time.Duration // eighths of a round trip

	probeTimeouts int // in a row
}

func newLossState() lossState { return lossState{threshold: firstThreshold, late: firstLate} }

// noPacket is what has become of numbers that were left out.
var noPacket sentPacket

// at gives the packet of a number that is kept.
func (l *lossState) at(number uint64) *sentPacket {
	switch {
	case number >= FirstNumber:
		return &l.ring[number&uint64(len(l.ring)-1)]
	case number < uint64(len(l.opening)):
		return &l.opening[number]
	}
	return &noPacket
}

// add makes room for the packet with the next number, and gives it.
func (l *lossState) add() *sentPacket {
	l.next++
	if l.next <= FirstNumber {
		l.opening = append(l.opening, sentPacket{})
		return &l.opening[l.next-1]
	}
	if l.next-max(l.first, FirstNumber) > uint64(len(l.ring)) {
		l.grow()
	}
	p := l.at(l.next - 1)
	*p = sentPacket{}
	return p
}

func (l *lossState) grow() {
	old := l.ring
	l.ring = make([]sentPacket, max(2*len(old), leastRing))
	for n := max(l.first, FirstNumber); n < l.next-1; n++ {
		*l.at(n) = old[n&uint64(len(old)-1)]
	}
}

// begin ends the opening, and leaves out the numbers below to.
func (l *lossState) begin(to uint64) {
	if l.next == l.first {
		l.first, l.next, l.scan = to, to, to
		return
	}
	l.next = FirstNumber
}

// sent notes that a packet that add gave, and that asks, is on its way.
func (l *lossState) sent(p *sentPacket, now time.Time) {
	p.state = sentInFlight
	l.inFlight += p.Bytes
	l.outstanding++
	l.gap = now.Sub(l.lastSentAt)
	l.lastSentAt = now
}

// settled takes a packet out of flight.
func (l *lossState) settled(p *sentPacket, as sentState) {
	if p.state == sentInFlight {
		l.inFlight -= p.Bytes
		l.outstanding--
	}
	p.state = as
}

// lost calls f for each packet that is to be taken for lost now, and finds out
// when the next one is.
func (l *lossState) lost(now time.Time, rtt *rttState, f func(*sentPacket)) {
	l.lossAt = time.Time{}
	if !l.anyAcked {
		return
	}
	trip := max(rtt.latest, rtt.smoothed)
	late := max(trip*l.late/8, granularity)
	for n := l.scan; n < l.largestAcked; n++ {
		p := l.at(n)
		if p.state != sentInFlight {
			if n == l.scan {
				l.scan++
			}
			continue
		}
		at := p.SentAt.Add(late)
		if l.largestAcked-n >= l.threshold || !now.Before(at) {
			l.settled(p, sentLost)
			f(p)
			if n == l.scan {
				l.scan++
			}
			continue
		}
		if l.lossAt.IsZero() || at.Before(l.lossAt) {
			l.lossAt = at
		}
	}
}

// spurious notes that packet n, which was taken for lost, has arrived.
func (l *lossState) spurious(n uint64, largest uint64) {
	if distance := largest - n; largest > n && distance+1 > l.threshold {
		l.threshold = min(distance+1, mostThreshold)
	}
	l.late = min(l.late+1, mostLate)
}

// forget drops the packets at the front that nothing is to be learned of any
// more: acknowledged ones, and lost ones older than keep.
func (l *lossState) forget(now time.Time, keep time.Duration) {
	for l.first < l.next {
		p := l.at(l.first)
		if p.state == sentInFlight || p.state == sentLost && now.Sub(p.SentAt) < keep {
			break
		}
		l.first++
	}
	l.scan = max(l.scan, l.first)
	if l.first >= FirstNumber {
		l.opening = nil
	}
}

// abandon takes the oldest packets for lost, with a call of f for each, and drops
// them, where too many numbers are kept for their sake.
func (l *lossState) abandon(f func(*sentPacket)) {
	for l.next-l.first >= uint64(max(mostKept, 4*l.outstanding)) {
		if p := l.at(l.first); p.state == sentInFlight {
			l.settled(p, sentLost)
			f(p)
		}
		l.first++
	}
	l.scan = max(l.scan, l.first)
}

// shrink gives back the ring of an idle connection.
func (l *lossState) shrink() {
	if l.outstanding == 0 {
		l.ring, l.opening, l.first, l.scan = nil, nil, l.next, l.next
	}
}
