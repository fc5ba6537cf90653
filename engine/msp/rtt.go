package msp

import "time"

// An rttState estimates the round trip and gives the retransmission timeout.
//
// An acknowledgement may have waited for a reader, so a single sample proves
// nothing: only the smallest of each round trip enters RFC 6298's filter
// (§4.2).
type rttState struct {
	smoothed time.Duration // zero: nothing measured
	variance time.Duration

	best     time.Duration // smallest sample of this round; zero: none
	roundEnd Seq           // the round ends when this message is acknowledged
}

// sample takes the measured time between the sending of message seq, which was
// sent once, and its acknowledgement. next is the number that the next new
// message will get.
func (r *rttState) sample(d time.Duration, seq, next Seq) {
	d = max(d, time.Microsecond) // zero means unset; virtual time can be that fast
	if r.best == 0 || d < r.best {
		r.best = d
	}
	if r.smoothed == 0 || seq.sub(r.roundEnd) >= 0 {
		r.update(r.best)
		r.best = 0
		r.roundEnd = next
	}
}

// update is the filter of RFC 6298, section 2.
func (r *rttState) update(d time.Duration) {
	if r.smoothed == 0 {
		r.smoothed = d
		r.variance = d / 2
		return
	}
	r.variance += ((r.smoothed - d).Abs() - r.variance) / 4
	r.smoothed += (d - r.smoothed) / 8
}

// timeout returns the retransmission timeout after n timeouts in a row (§4.3).
func (r *rttState) timeout(n int) time.Duration {
	d := initialTimeout
	if r.smoothed != 0 {
		d = r.smoothed + max(4*r.variance, minTimeout)
	}
	for ; n > 0 && d < maxTimeout; n-- {
		d *= 2
	}
	return min(d, maxTimeout)
}

// roundTrip returns how long an answer takes, as far as is known.
func (r *rttState) roundTrip() time.Duration {
	if r.smoothed == 0 {
		return initialTimeout
	}
	return r.smoothed
}

// learned returns what a new connection to the same SID may start from.
func (r *rttState) learned() rttState {
	return rttState{smoothed: r.smoothed, variance: r.variance}
}
