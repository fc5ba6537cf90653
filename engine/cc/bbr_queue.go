package cc

import "time"

// A queueModel watches the round trip of each round. Only the least of a round
// counts, so that jitter and single late packets do not look like a queue.
type queueModel struct {
	cur  time.Duration // least of this round; 0: none yet
	last time.Duration // least of the last round that had one
	late time.Duration // the latest
}

func (q *queueModel) add(rtt time.Duration) {
	q.late = rtt
	if q.cur == 0 || rtt < q.cur {
		q.cur = rtt
	}
}

func (q *queueModel) endRound() {
	if q.cur != 0 {
		q.last, q.cur = q.cur, 0
	}
}

// rtt is the least round trip of late.
func (q *queueModel) rtt() time.Duration {
	if q.last == 0 || q.cur != 0 && q.cur < q.last {
		return q.cur
	}
	return q.last
}

// delay is how long the queue makes packets wait.
func (q *queueModel) delay(b *bbr) time.Duration { return max(0, q.rtt()-b.base.rtt) }

// raised says whether the queue is long enough that a loss may be its overflow.
func (q *queueModel) raised(b *bbr) bool { return q.delay(b) > 2*b.slack() }

// full says whether the queue may be overflowing just now. Unlike raised it errs towards
// yes.
func (q *queueModel) full(b *bbr) bool { return q.newest(b) > 2*b.slack() }

// newest is delay by the latest round trip alone, jitter and all; below 0 before the first.
func (q *queueModel) newest(b *bbr) time.Duration { return q.late - b.base.rtt }

// slack is a queue that is not worth a reaction: 1/8 of the base round trip, but
// no less than two packets, the grain of timers, or ACKs that come in groups explain.
func (b *bbr) slack() time.Duration {
	s := max(b.base.rtt/8, 2*bbrTick)
	if rate := b.rate.max(); rate > 0 {
		s = max(s, min(durationOf(b.extra.most.max(), rate), b.base.rtt)/4)
		s = max(s, min(durationOf(float64(2*b.packet), rate), b.base.rtt/2))
	}
	return s
}

// coarse is how long a full packet takes, at most 1/8 of the base, where the path holds so
// few that a single one shows in the round trip; elsewhere 0.
func (b *bbr) coarse() time.Duration {
	one := durationOf(float64(b.packet), max(b.rate.max(), minRate))
	if one < b.base.rtt/16 {
		return 0
	}
	return min(one, b.base.rtt/8)
}

// near is how much above the base a round trip may be to show that the base still holds.
// Who is alone need not look closer than packets let him: that would leave the path empty.
func (b *bbr) near() time.Duration {
	near := b.base.rtt / 32
	if b.last < b.others || b.rivals.there {
		return near
	}
	return max(near, 2*b.coarse())
}

// An aggregation is how many bytes ACKs have brought beyond what the rate brings
// in the time: with so much less in flight, the path would run dry between batches.
type aggregation struct {
	acked int // bytes since the last update
	sum   float64
	since time.Duration
	most  cycleMax
	turn  int // round at which most turns
}

const aggregationRounds = 8

func (a *aggregation) update(t time.Duration, rate float64, round int) {
	if round >= a.turn {
		a.most.turn()
		a.turn = round + aggregationRounds
	}
	expected := rate * (t - a.since).Seconds()
	if a.sum <= expected {
		a.sum, a.since, expected = 0, t, 0
	}
	a.sum += float64(a.acked)
	a.acked = 0
	// More than 100 ms of the rate is an outage that ended.
	a.most.add(min(a.sum-expected, rate*0.1))
}

func (a *aggregation) max() int { return int(min(a.most.max(), maxWindow)) }

// An ecnEcho is the response to marks: each round with marks shrinks the window by
// a share that follows the average of marked packets, as BBRv3 and L4S have it; rounds
// without let it grow back.
type ecnEcho struct {
	marked int     // packets, this round
	alpha  float64 // average share of marked packets
	cut    float64 // share of the window taken away
}

const (
	ecnGain   = 1.0 / 16
	ecnFactor = 1.0 / 3
	ecnMost   = 0.75 // of the window, taken away at most
)

// endRound takes the packets acknowledged in the round; it says whether at least half
// of them were marked.
func (e *ecnEcho) endRound(packets int) bool {
	share := 0.0
	if packets > 0 {
		share = min(1, float64(e.marked)/float64(packets))
	}
	e.alpha += (share - e.alpha) * ecnGain
	if e.marked > 0 {
		e.cut = min(ecnMost, 1-(1-e.cut)*(1-max(e.alpha, share*ecnFactor)*ecnFactor))
	} else {
		e.cut = max(0, e.cut-1.0/16)
	}
	e.marked = 0
	return share >= 0.5
}

func (e *ecnEcho) factor() float64 { return 1 - e.cut }
