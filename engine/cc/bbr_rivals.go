package cc

import "time"

// A rivalry finds out that others fill the queue, and holds its own then.
//
// Senders of this kind keep the queue short together. Where one that fills it until it
// overflows shares the bottleneck, giving way would only make room for it. Three
// signs tell of it: a queue that stands for many rounds although we give way; a rate that
// falls little by little while the queue grows; a probe of the round trip that does not
// find the base again. Then we share no more, but keep to the rate that we had, with a
// window that leaves the rival about as much, until no queue has stood for long.
type rivalry struct {
	there  bool
	rounds int // with a standing queue, less those without
	probes int // of the round trip that did not find the base

	// The decline while sharing.
	span     int           // rounds of this span
	rateSum  float64       // of our rate in them
	queueSum time.Duration // of the queue in them
	rate     float64       // mean of the span before
	queue    time.Duration // mean of the span before
	declines int           // spans that declined, less those that grew
	first    float64       // rate when we began to share
}

const (
	rivalRounds = 40  // with a standing queue, that tell of a rival
	rivalHolds  = 256 // rounds without, that tell that it has gone
	rivalGain   = 1.5 // of rate x base round trip: the window beside a rival
	rivalProbes = 4   // of the round trip without the base, until the path is taken to be longer

	declineSpan  = 8    // rounds
	declineSpans = 8    // that tell of a rival
	declineLeast = 0.01 // of the rate, from span to span: less is noise
	declineMost  = 0.12 // more is one of our kind that came
	declineQueue = 1.02 // growth of the queue: among our kind it does not grow while we decline
)

// watch looks at the round that ended.
func (r *rivalry) watch(b *bbr) {
	switch {
	case b.queue.last-b.base.rtt <= 3*b.slack():
		if r.rounds = max(0, r.rounds-1); r.rounds == 0 {
			r.there = false
		}
	case r.there:
		r.rounds = rivalHolds
	case b.phase == cruise || b.phase == share || b.phase == down:
		if r.rounds++; r.rounds >= rivalRounds {
			r.found(b)
		}
	}
}

// began notes the rate at which we begin to share.
func (r *rivalry) began(rate float64) {
	if r.declines == 0 {
		r.first = rate
	}
}

// watchShare looks for a rival that takes over so slowly that the queue stays short
// because we give way. After a newcomer of our kind, or among many that began
// together, the rate falls while the queue shrinks, or falls at once and then stands.
func (r *rivalry) watchShare(b *bbr) {
	r.rateSum += b.latest
	r.queueSum += b.queue.delay(b)
	if r.span++; r.span < declineSpan {
		return
	}
	rate, queue := r.rateSum/declineSpan, r.queueSum/declineSpan
	r.span, r.rateSum, r.queueSum = 0, 0, 0
	own := rate * (queue - b.slack()).Seconds() / float64(b.packet)
	fall := 1 - rate/max(r.rate, minRate)
	switch {
	case fall > declineMost || own > 1.5*sharePackets: // one of our kind came, or many began
	case fall > declineLeast && float64(queue) > declineQueue*float64(r.queue):
		if r.declines++; r.declines >= declineSpans {
			r.found(b)
		}
	case fall < -declineLeast:
		r.declines = max(0, r.declines-1)
	}
	r.rate, r.queue = rate, queue
}

// found notes that a rival is there. Our rate is again what it was before it
// declined, or four times what it is.
func (r *rivalry) found(b *bbr) {
	b.rate.add(min(r.first, 4*b.rate.max()))
	*r = rivalry{there: true, rounds: rivalHolds, probes: r.probes}
}

// gone notes that a probe found the base round trip: there may be no rival. If our
// rate declines then, there still is.
func (r *rivalry) gone(b *bbr) {
	if r.there {
		*r = rivalry{declines: declineSpans - 1, first: b.rate.max(), probes: r.probes}
	}
}

// gain is the window beside a rival, of rate x base round trip. In a queue of one
// such product that leaves it about as much as we have; where it fills more, we go along.
func (r *rivalry) gain(b *bbr) float64 {
	return max(rivalGain, 1.25*float64(b.queue.rtt())/float64(b.base.rtt)-1)
}

// keptUp counts a probe that did not find the base round trip: rivals keep the
// queue up, or the path has become longer. After rivalProbes it is taken to be longer.
func (r *rivalry) keptUp(b *bbr) bool {
	r.probes++
	if !r.there {
		r.found(b)
	}
	return r.probes >= rivalProbes
}
