package cc

import "time"

// A cycle's length: rounds of cruising, and the least time, so that where the round
// trip is tiny a pause of the machine does not pass for the path's rate.
const (
	cruiseRounds  = 5 // and up to cruiseSpread - 1 more, by lot
	cruiseSpread  = 4
	cycleLeast    = 100 * time.Millisecond
	upRounds      = 4    // at most
	downRounds    = 4    // at most
	startupRounds = 3    // without growth
	startupGrowth = 1.25 // of the rate, in a round
	probeRTTLasts = 200 * time.Millisecond
	settledQueue  = 1.0 / 16 // of what the path holds
	upPackets     = 4        // more a round trip, beside upGain: small shares grow faster
)

// A fullPipe finds the rate at which startup no longer grows.
type fullPipe struct {
	rate   float64
	rounds int // without growth
}

// reached looks at a round: the highest rate so far, whether the application limited it,
// and whether a queue is raised, which tells without waiting for more rounds.
func (f *fullPipe) reached(rate float64, limited, queued bool) bool {
	switch {
	case rate >= startupGrowth*f.rate:
		f.rate, f.rounds = rate, 0
		return false
	case queued:
		return true
	case !limited:
		f.rounds++
	}
	return f.rounds >= startupRounds
}

// probeRound moves the phases that count rounds.
func (b *bbr) probeRound(t time.Duration, s sample, congested bool) {
	b.rivals.watch(b)
	switch b.phase {
	case startup:
		if b.full.reached(b.rate.max(), s.limited, b.queue.raised(b)) || congested {
			b.leaveStartup()
		}
	case up:
		if congested || b.phaseRounds >= upRounds {
			b.enterDown(t)
		}
	case cruise:
		b.cruiseRound(t)
	case share:
		b.shareRound(t)
	}
}

// leaveStartup begins to use the base. That of small packets, as of a handshake, is
// shorter than that of full ones by what one takes, where that counts.
func (b *bbr) leaveStartup() {
	b.base.rtt = max(b.base.rtt, min(b.least, b.base.rtt+b.coarse()))
	b.enter(drain, drainGain)
}

// cruiseRound ends cruising when it is time to probe for more; while a queue
// stands there is no more.
func (b *bbr) cruiseRound(t time.Duration) {
	if b.queue.delay(b) > b.slack() && b.limitedTo == 0 && !b.rivals.there {
		b.sharing.raised++
	} else {
		b.sharing.raised = 0
	}
	switch {
	// The first round still shows the queue that the probe has left.
	case b.phaseRounds >= 2 && b.sharing.raised >= 2:
		b.enterShare(t)
	case b.phaseRounds >= int(b.cruiseFor) && t-b.cycleAt >= cycleLeast:
		b.enter(up, upGain)
	}
}

// step moves the phases that end by what is in flight or by time.
func (b *bbr) step(t time.Duration) {
	if b.phase != probeRTT && b.phase != startup && b.base.stale(t) && b.limitedTo == 0 {
		b.enterProbeRTT()
	}
	switch b.phase {
	case drain:
		if b.inFlight <= b.settled()+min(2*b.packet, b.bdp(settledQueue)) {
			b.cycleAt = t
			b.enterCruise(t)
		}
	case up:
		// Enough: the surplus of a round stands in the queue.
		if b.phaseRounds >= 1 && (b.inFlight >= b.bdp(upGain)+b.extra.max() || b.queue.delay(b) > b.slack()) {
			b.enterDown(t)
		}
	case down:
		if b.inFlight <= b.settled() || b.phaseRounds >= downRounds {
			b.enterCruise(t)
		}
	case probeRTT:
		b.stepProbeRTT(t)
	}
}

// settled is what is in flight when cruising begins: enough of a queue that it lasts while
// we cruise at less than the rate, and the path does not run dry.
func (b *bbr) settled() int { return b.bdp(1 + settledQueue) }

func (b *bbr) enter(p phase, gain float64) {
	b.phase, b.gain, b.phaseRounds = p, gain, 0
}

func (b *bbr) enterDown(t time.Duration) {
	b.enter(down, downGain)
	b.turnCycle(t)
}

// turnCycle lets the maximum of the cycle before last go, unless this one was all
// limited by the application and tells nothing.
func (b *bbr) turnCycle(t time.Duration) {
	if b.fed {
		b.rate.turn()
	}
	b.cycleAt, b.fed = t, false
}

func (b *bbr) enterCruise(t time.Duration) {
	b.enter(cruise, cruiseGain)
	b.cruiseFor = cruiseRounds + uint8(b.random(cruiseSpread))
}

// An rttProbe is a stay in probeRTT.
type rttProbe struct {
	until time.Duration // 0: what is in flight has not come down yet
}

func (b *bbr) enterProbeRTT() {
	b.probe = rttProbe{}
	b.enter(probeRTT, 1)
}

func (b *bbr) stepProbeRTT(t time.Duration) {
	if b.probe.until == 0 && b.inFlight <= max(b.bdp(probeRTTGain), bbrMinPackets*b.packet) {
		b.probe.until, b.phaseRounds = t+probeRTTLasts, 0
	}
	if b.probe.until != 0 && t >= b.probe.until && b.phaseRounds >= 1 {
		b.leaveProbeRTT(t)
	}
}

func (b *bbr) leaveProbeRTT(t time.Duration) {
	if b.base.stale(t) {
		// We made room, and the queue stood: somebody fills it, or the path is longer.
		if b.base.recent <= b.base.rtt+3*b.slack()/2 || b.rivals.keptUp(b) {
			b.base.rtt = b.base.recent
			b.rivals.gone(b)
		}
	} else {
		b.rivals.gone(b)
	}
	b.base.seen = t
	b.enterCruise(t)
}
