package cc

import (
	"fmt"
	"time"
)

type phase uint8

const (
	startup phase = iota
	drain
	down
	cruise
	up
	probeRTT
	share
)

var phaseNames = [...]string{"startup", "drain", "down", "cruise", "up", "probe-rtt", "share"}

func (p phase) String() string { return phaseNames[p] }

// Gains and shares. A gain is a factor of the estimated rate.
const (
	startupGain = 2.77 // doubles the rate each round (draft-ietf-ccwg-bbr §2.4)
	drainGain   = 0.5
	upGain      = 1.25
	downGain    = 0.8
	cruiseGain  = 0.99 // below 1, so that losses of our own making die out (bbr_loss.go)

	windowGain   = 2.0  // of rate x base round trip, for delayed and lost ACKs
	probeRTTGain = 0.85 // less than the path holds: the queue goes, and the path hardly runs dry

	bbrMinPackets = 4
	maxWindow     = 1 << 30 // bytes
	minRate       = 1000    // bytes per second
)

// bbrTick is the grain of timers a window has to bridge, at either end. Where the round
// trip is shorter than that, what limits a sender is not the path.
const bbrTick = time.Millisecond

type bbr struct {
	sampler
	packet    int
	rng       uint64
	phase     phase
	greeted   bool // there was a handshake, which gave the first round trip
	fed       bool // this cycle of probing has a sample that the application did not limit
	tenure    tenure
	cruiseFor uint8 // rounds

	// The model of the path.
	rate  cycleMax // bytes per second that the bottleneck passes
	base  baseRTT
	least time.Duration // of full packets, in startup; 0: none yet
	extra aggregation
	loss  lossModel
	queue queueModel

	// Rounds: a round ends when a packet is acknowledged that left after its
	// beginning.
	rounds    int
	roundEnd  int64
	rateSum   float64 // of the samples of this round
	rateCount int
	latest    float64 // mean rate of the last round, bytes per second

	// The phases.
	phaseRounds int           // since the phase began
	cycleAt     time.Duration // beginning of this cycle of probing
	full        fullPipe
	probe       rttProbe
	sharing     sharing
	others      time.Duration // until then others are taken to be there (bbr_share.go)
	rivals      rivalry

	// Bounds that congestion sets.
	inflightHi int     // bytes that a probe found to be too much; 0: none
	ecn        ecnEcho // shrinks the window by marks

	// What comes out.
	inFlight int     // bytes, at the last call
	gain     float64 // of the rate
	window   int     // bytes
	pace     float64 // bytes per second
}

// NewBBR makes the default controller, for full packets of packetSize bytes. rtt is the
// round trip of the handshake, which counts as a sample; 0 if none was measured. Equal
// seeds make equal decisions.
func NewBBR(packetSize int, rtt time.Duration, seed uint64) Controller {
	return newBBR(packetSize, rtt, seed)
}

func newBBR(packetSize int, rtt time.Duration, seed uint64) *bbr {
	b := &bbr{rng: seed, gain: startupGain}
	if b.greeted = rtt > 0; b.greeted {
		b.base.add(0, rtt, 0)
	}
	b.SetPacketSize(packetSize)
	return b
}

func (b *bbr) SetPacketSize(n int) {
	b.packet = max(n, 1)
	b.decide()
}

func (b *bbr) Sent(now time.Time, p *Packet, n, inFlight int) {
	if inFlight <= 0 && b.limitedTo != 0 {
		b.restart(b.clock(now))
	}
	b.packetSent(now, p, n, inFlight)
	p.steady = b.gain <= 1 && !b.queue.full(b)
	b.inFlight = p.inFlight
}

// restart begins anew after idleness: at the estimated rate, and without a probe
// of the round trip, which idleness has made.
func (b *bbr) restart(t time.Duration) {
	b.base.seen = t
	b.tenure = 0
	switch b.phase {
	case probeRTT:
		b.leaveProbeRTT(t)
	case up, down, share:
		b.enterCruise(t)
	}
	b.decide()
}

func (b *bbr) Acked(now time.Time, p *Packet) {
	b.packetAcked(now, p)
	b.loss.acked(p, b.queue.full(b))
	b.extra.acked += p.Bytes
}

func (b *bbr) Lost(now time.Time, p *Packet) {
	b.clock(now)
	b.packetLost(p)
	b.loss.lost(p, b.queue.full(b))
}

func (b *bbr) Spurious(now time.Time, p *Packet) {
	b.packetFound(p)
	b.packetAcked(now, p)
	b.loss.found(p)
	b.extra.acked += p.Bytes
	if b.loss.roundLost == 0 && b.loss.hiBefore > b.inflightHi {
		b.inflightHi, b.loss.hiBefore = b.loss.hiBefore, 0
	}
}

func (b *bbr) Marked(now time.Time, n int) {
	b.clock(now)
	b.ecn.marked += max(n, 0)
}

func (b *bbr) AppLimited(now time.Time, inFlight int) {
	b.clock(now)
	b.appLimited(inFlight)
}

func (b *bbr) EndAck(now time.Time, rtt time.Duration, inFlight int) {
	t := b.clock(now)
	b.inFlight = max(inFlight, 0)
	s, ok := b.take()
	if rtt > 0 {
		b.base.add(t, rtt, b.near())
		b.queue.add(rtt)
		if b.phase == startup && b.newest.Bytes > b.packet/2 && (b.least == 0 || rtt < b.least) {
			b.least = rtt
		}
	}
	if ok {
		b.learn(t, s)
	}
	if ok && s.prior >= b.roundEnd {
		b.roundEnd = b.delivered
		b.endRound(t, s)
	}
	b.step(t)
	b.decide()
}

// learn takes a sample of the rate.
func (b *bbr) learn(t time.Duration, s sample) {
	// A sample over less than a round trip tells of a batch of ACKs, not of the path.
	if s.interval < b.base.rtt && s.interval < t {
		return
	}
	seconds := max(s.interval, time.Microsecond).Seconds()
	passed := float64(s.delivered)
	if !b.queue.full(b) {
		passed += b.loss.credit(s)
	}
	rate := passed / seconds
	if !s.limited || rate >= b.rate.max() {
		b.rate.add(rate)
	}
	if !s.limited {
		b.fed = true
	}
	if !s.limited || rate >= b.latest {
		b.rateSum += rate
		b.rateCount++
	}
	b.extra.update(t, b.rate.max(), b.rounds)
}

// endRound is what is looked at once a round trip.
func (b *bbr) endRound(t time.Duration, s sample) {
	b.rounds++
	b.phaseRounds++
	b.queue.endRound()
	b.tenure.endRound(s.limited)
	if b.rateCount > 0 {
		b.latest = b.rateSum / float64(b.rateCount)
		b.rateSum, b.rateCount = 0, 0
	}
	congested := b.loss.lossy() && b.queue.raised(b)
	marked := b.ecn.endRound(b.loss.roundPackets)
	switch {
	case b.phase == probeRTT:
	case congested:
		b.boundInflight(s)
	case b.phase == up || b.phase == share:
		b.easeInflight()
	}
	b.probeRound(t, s, congested || marked)
	b.loss.endRound()
}

// boundInflight notes that what was in flight at s overflowed a queue.
func (b *bbr) boundInflight(s sample) {
	b.loss.hiBefore = b.inflightHi
	bound := max(int(lossBeta*float64(s.inFlight)), b.bdp(1))
	if b.inflightHi == 0 || bound < b.inflightHi {
		b.inflightHi = bound
	}
}

// easeInflight lets the bound of boundInflight grow, and go when it is none any more.
func (b *bbr) easeInflight() {
	b.inflightHi += b.inflightHi / 4
	if b.inflightHi > 2*b.bdp(windowGain) {
		b.inflightHi = 0
	}
}

// bdp is gain times the bytes that the path holds without a queue.
func (b *bbr) bdp(gain float64) int {
	return int(min(gain*b.rate.max()*b.base.rtt.Seconds(), maxWindow))
}

// decide sets the window and the pace by the model and the phase.
func (b *bbr) decide() {
	least := bbrMinPackets * b.packet
	first := initialWindow(b.packet, b.base.rtt)
	if b.rate.max() == 0 || b.base.rtt == 0 {
		b.window, b.pace = first, b.firstPace(first)
		return
	}
	rate := b.rate.max()
	b.pace = max(b.gain*rate, minRate)
	if b.phase == startup {
		b.pace = max(b.pace, b.firstPace(first))
	}
	switch b.phase {
	case share:
		b.pace = max(b.sharing.rate, minRate)
	case up:
		b.pace += float64(upPackets*b.packet) / b.base.rtt.Seconds()
	case probeRTT:
		b.window = max(b.bdp(probeRTTGain), least)
		return
	}
	// Beside the path's content: what ACKs come grouped by, a tick of the sender's timer
	// and one of the receiver's.
	gain := windowGain
	if b.rivals.there {
		gain = b.rivals.gain(b)
	}
	if b.phase == startup && b.queue.newest(b) <= b.slack() { // the latest: a round later it overflows
		gain = startupGain
	}
	window := b.bdp(gain) + b.extra.max() + int(min(2*bbrTick.Seconds()*rate, maxWindow))
	if b.phase == startup {
		window = max(window, first)
	}
	if b.inflightHi != 0 {
		window = min(window, b.inflightHi)
	}
	window = int(float64(window) * b.ecn.factor())
	b.window = min(max(window, least), maxWindow)
}

// firstPace is the rate for a first window, and the least in startup, where perhaps there
// were only requests and answers until now. While the acknowledgements of the first flight
// come in, and show no queue, the second leaves as fast as the first: the estimate
// is of a part of it still.
func (b *bbr) firstPace(window int) float64 {
	trip, gain := b.base.rtt, 1.0
	if trip == 0 {
		trip = bbrTick
	}
	if b.rate.max() == 0 || b.greeted && b.delivered < 2*int64(window) && b.queue.newest(b) <= b.slack()/2 {
		gain = startupGain
	}
	return gain * float64(window) / trip.Seconds()
}

func (b *bbr) Window() int   { return b.window }
func (b *bbr) Rate() float64 { return b.pace }

// random gives a number below n.
func (b *bbr) random(n int) int {
	b.rng = b.rng*6364136223846793005 + 1442695040888963407
	return int((b.rng >> 33) % uint64(n))
}

func (b *bbr) String() string {
	return fmt.Sprintf("bbr %v rate=%.0f base=%v queue=%v loss=%.3f window=%d pace=%.0f hi=%d extra=%d ecn=%.2f",
		b.phase, b.rate.max(), b.base.rtt, b.queue.delay(b), b.loss.random, b.window, b.pace, b.inflightHi, b.extra.max(), b.ecn.alpha)
}
