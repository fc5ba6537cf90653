package cc

import "time"

// Sharing: a queue stands although we cruise, so others send too. Each of us
// then steers to have sharePackets of its own in the queue beyond the slack, by its rate:
//
//	rate = delivered + (sharePackets - delivered x queue) / base
//
// All who do so end at the same rate, whatever they began with, as the same queue
// holds as much of each; the difference shrinks each round by the share of the queue
// in the round trip.
const (
	sharePackets = 4
	shareGain    = 0.5 // of the correction, in a round: it shows two rounds later
	shareLeast   = 0.8 // of the rate, in a round: a pause of a host shall not undo it
	shareCalm    = 4   // rounds without a queue that end it

	sharedFor = 30 * time.Second // after it, others are taken to be there still
)

type sharing struct {
	rate   float64 // bytes per second
	raised int     // rounds in a row of cruising with a queue
	calm   int     // rounds in a row without a queue
}

func (b *bbr) enterShare(t time.Duration) {
	b.enter(share, 1)
	b.sharing = sharing{rate: b.latest}
	b.rivals.began(b.latest)
	b.steer()
}

// steer sets the rate of the next round.
func (b *bbr) steer() {
	s := &b.sharing
	b.others = b.last + sharedFor
	base := b.base.rtt.Seconds()
	step := shareGain * sharePackets * float64(b.packet) / base
	if over := (b.queue.delay(b) - b.slack()).Seconds(); over > 0 {
		s.calm = 0
		s.rate = max(b.latest*(1-shareGain*over/base)+step, shareLeast*s.rate)
	} else {
		s.calm++
		s.rate += step * float64(int(1)<<max(0, s.calm-2))
	}
	s.rate = min(s.rate, upGain*b.rate.max()+step)
}

func (b *bbr) shareRound(t time.Duration) {
	b.rivals.watchShare(b)
	b.steer()
	if b.phaseRounds%cruiseRounds == 0 && t-b.cycleAt >= cycleLeast {
		b.turnCycle(t)
	}
	if b.rivals.there || b.sharing.calm >= shareCalm {
		b.enterCruise(t)
	}
}
