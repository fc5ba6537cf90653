package cc

import "time"

// A rivalry finds out that others fill the queue, and holds its own then.
//
// Senders of this kind keep the queue short together. Where one that fills it until it
// overflows shares the bottleneck, giving way would only make room for it. Three
// signs tell of it: a queue that stands for many rounds although we give way; a rate that
// falls little by little while we share; a probe of the round trip that does not
// find the base again. Then we do as it does, by CUBIC's window (of which only losses
// that random loss does not explain count), until the queue is found empty.
type rivalry struct {
	cubic  *cubic
	rounds int // with a standing queue, less those without
	window int // bytes in flight meanwhile, at most
	probes int // of the round trip that did not find the base

	// The decline while sharing.
	span     int     // rounds of this span
	spanSum  float64 // of the rate in them
	spanOwn  float64 // of our bytes in the queue
	before   float64 // mean rate of the span before
	declines int     // spans in a row that declined slowly
	first    float64 // mean rate before they did
}

const (
	rivalRounds   = 24
	competeProbes = 4 // without the base, until the path is taken to be longer

	declineSpan  = 32   // rounds
	declineLeast = 0.04 // of the rate, from span to span: less is noise
	declineMost  = 0.3  // more is one of our kind that came
	declineSpans = 4
)

// watchShare looks for a rival that takes over so slowly that the queue stays short
// because we give way: after a newcomer of our kind the rate falls at once and then
// stands; beside one that never gives way it falls little by little.
func (r *rivalry) watchShare(b *bbr) {
	r.spanSum += b.latest
	r.spanOwn += b.latest * max(0, b.queue.delay(b)-b.slack()).Seconds()
	if r.span++; r.span < declineSpan {
		return
	}
	mean := r.spanSum / declineSpan
	own := r.spanOwn / declineSpan / float64(b.packet)
	r.span, r.spanSum, r.spanOwn = 0, 0, 0
	fall := 1 - mean/max(r.before, minRate)
	if fall > declineLeast && fall < declineMost && own < 1.5*sharePackets {
		if r.declines == 0 {
			r.first = r.before
		}
		if r.declines++; r.declines >= declineSpans {
			r.rounds = rivalRounds
			r.window = int(r.first * b.queue.rtt().Seconds())
			r.declines, r.before = 0, 0
			return
		}
	} else {
		r.declines = 0
	}
	r.before = mean
}

// watch looks at the round that ended.
func (r *rivalry) watch(b *bbr) {
	if b.queue.last-b.base.rtt <= 3*b.slack() {
		if r.rounds = max(0, r.rounds-1); r.rounds == 0 {
			r.window = 0
		}
		return
	}
	r.rounds++
	r.window = max(r.window, b.inFlight)
}

// keptUp counts a probe that did not find the base round trip: rivals keep the
// queue up, or the path has become longer. After competeProbes it is taken to be longer.
func (r *rivalry) keptUp() bool {
	r.probes++
	return r.probes%competeProbes == 0
}

func (r *rivalry) found() bool { return r.rounds >= rivalRounds }

func (b *bbr) enterCompete(t time.Duration) {
	b.enter(compete, 1)
	r := &b.rivals
	if r.rounds != 0 {
		r.cubic.begin(float64(r.window) / float64(b.packet))
	}
	r.rounds, r.window = 0, 0
	b.cycleAt = t
}

// competeRound keeps the estimate of the rate alive, and ends the competition when
// the queue is gone.
func (b *bbr) competeRound(t time.Duration) {
	if b.phaseRounds%cruiseRounds == 0 {
		b.turnCycle(t)
	}
	if b.queue.delay(b) < b.slack() {
		b.enterCruise(t)
	}
}

// pace sends the window in a little less than a round trip.
func (r *rivalry) pace(window int, rtt time.Duration) float64 {
	return 1.25 * float64(window) / max(rtt, time.Microsecond).Seconds()
}
