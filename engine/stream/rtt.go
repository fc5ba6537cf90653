package stream

import "time"

const (
	initialTimeout = 200 * time.Millisecond // before anything is measured (MSX-4.8)
	maxTimeout     = 2 * time.Second        // the most by doubling
	granularity    = time.Millisecond
)

// An rttState estimates the round trip, as RFC 9002 §5 does.
type rttState struct {
	latest   time.Duration
	smoothed time.Duration // zero: nothing measured
	variance time.Duration
	least    time.Duration
}

// sample takes a measured round trip, and the delay that the peer says is its
// own.
func (r *rttState) sample(d, delay time.Duration) {
	d = max(d, time.Microsecond) // zero means unset; virtual time can be that fast
	r.latest = d
	if r.smoothed == 0 {
		r.least, r.smoothed, r.variance = d, d, d/2
		return
	}
	r.least = min(r.least, d)
	if d-delay >= r.least {
		d -= delay
	}
	r.variance += ((r.smoothed - d).Abs() - r.variance) / 4
	r.smoothed += (d - r.smoothed) / 8
}

// timeout is the probe timeout after n in a row; delay is the peer's ACK delay
// in force.
func (r *rttState) timeout(n int, delay time.Duration) time.Duration {
	d := initialTimeout
	if r.smoothed != 0 {
		d = r.smoothed + max(4*r.variance, granularity) + delay
	}
	for ; n > 0 && d < maxTimeout; n-- {
		d *= 2
	}
	return min(d, maxTimeout)
}

// sharedFor is for how long a stream goes by what others have measured.
const sharedFor = time.Second

// A Path is what all streams to one peer measure of the round trip. A stream that
// was quiet for a while knows little of the queue that the others have built up.
type Path struct {
	rtt rttState
	at  time.Time // of the latest sample
}

// RTT returns the smoothed round trip and its variation; zero while nothing is measured.
func (p *Path) RTT() (smoothed, variance time.Duration) { return p.rtt.smoothed, p.rtt.variance }

func (p *Path) sample(now time.Time, d, delay time.Duration) {
	if p != nil {
		p.rtt.sample(d, delay)
		p.at = now
	}
}

// timeout is the probe timeout for what was sent at that time; zero if nothing was
// measured since then, or shortly before.
func (p *Path) timeout(sent time.Time, n int, delay time.Duration) time.Duration {
	if p == nil || sent.Sub(p.at) > sharedFor {
		return 0
	}
	return p.rtt.timeout(n, delay)
}
