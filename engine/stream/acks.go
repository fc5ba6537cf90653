package stream

import "time"

const (
	// keptRanges is how many ranges of received numbers are known. What lies
	// below them counts as received (MSX-2.3).
	keptRanges = 256
	// defaultAckPackets and defaultAckDelay hold until ACK_RATE (MSX-4.4).
	defaultAckPackets = 2
	defaultAckDelay   = 5 * time.Millisecond
)

// An ackState knows which packets arrived, and when they are to be acknowledged
// (§4.1, §4.2).
type ackState struct {
	received  rangeSet  // packet numbers
	floor     uint64    // all below counts as received
	largestAt time.Time // when the largest arrived
	unacked   int       // packets that ask for an ACK, since the last one
	now       bool      // an ACK is due at once
	at        time.Time // it is due at this time; zero: none is
	lastAt    time.Time // the last ACK
	marked    uint64    // packets that ask, and came marked

	packets  int           // an ACK at the latest after so many
	delay    time.Duration // or after so long
	rateFrom uint64        // the number of the packet that said so
}

func newAckState() ackState {
	return ackState{packets: defaultAckPackets, delay: defaultAckDelay}
}

// largest returns the largest number received, and whether there is one.
func (a *ackState) largest() (uint64, bool) {
	if len(a.received) == 0 {
		return 0, false
	}
	return a.received[len(a.received)-1].end - 1, true
}

// isDuplicate reports whether a packet was received before, as far as is known.
func (a *ackState) isDuplicate(number uint64) bool {
	return number < a.floor || a.received.contains(number)
}

// packetReceived notes a packet that was read whole. asks tells that it is to be
// acknowledged, urgent that this is to be now, as it is if the packet was marked.
func (a *ackState) packetReceived(now time.Time, number uint64, asks, urgent, marked bool) {
	largest, any := a.largest()
	inOrder := !any || number == largest+1
	if !any || number > largest {
		a.largestAt = now
	}
	a.received.add(number, number+1)
	for len(a.received) > keptRanges {
		a.floor = a.received[0].end
		a.received = a.received[1:]
	}
	if !asks {
		return
	}
	a.unacked++
	if marked {
		a.marked++
	}
	switch {
	case urgent, marked, !inOrder, a.unacked >= a.packets, now.Sub(a.lastAt) >= a.delay:
		a.now = true
	case a.at.IsZero():
		a.at = now.Add(a.delay)
	}
}

// rate notes what the peer wants of our ACKs; number is its packet's.
func (a *ackState) rate(number uint64, packets uint64, delay, most time.Duration) {
	if number < a.rateFrom {
		return
	}
	a.rateFrom = number
	a.packets = int(min(max(packets, 1), 1024))
	a.delay = min(delay, most)
}

// advance finds out whether an ACK is due now.
func (a *ackState) advance(now time.Time) {
	if !a.at.IsZero() && !now.Before(a.at) {
		a.now = true
	}
}

// due reports whether an ACK must leave, if need be alone.
func (a *ackState) due() bool { return a.now }

// owed reports whether an ACK may go along with what else leaves.
func (a *ackState) owed() bool { return a.unacked > 0 || a.now }

// append appends an ACK, if one is owed and fits.
func (a *ackState) append(b []byte, now time.Time, room int) []byte {
	if !a.owed() || len(a.received) == 0 {
		return b
	}
	n := len(b)
	if b = appendAck(b, a.received, max(now.Sub(a.largestAt), 0), a.marked, room); len(b) > n {
		a.unacked, a.now, a.at, a.lastAt = 0, false, time.Time{}, now
	}
	return b
}
