package cc

import "time"

// burstTime bounds a burst: so much of the rate and the packet that exceeds it,
// or two packets where they take longer. A timer with a grain of 1 ms, which is
// always a little late, keeps the rate with it.
const burstTime = 2 * time.Millisecond

// A Pacer spreads packets over time. Its zero value is ready and lets the first
// packets go at once. It is a value without references; the owner asks ReadyAt before
// each packet and calls Sent after it.
type Pacer struct {
	next time.Time // the time at which the packets sent so far have passed at the rate
}

// ReadyAt returns the time from which the next packet may leave: now or before
// if at once.
func (p *Pacer) ReadyAt(now time.Time) time.Time {
	if p.next.Before(now) {
		return now
	}
	return p.next
}

// Sent notes that a packet of n bytes left at now, at rate bytes per second (0
// or less: unpaced).
func (p *Pacer) Sent(now time.Time, n int, rate float64) {
	if !(rate > 0) {
		p.next = now
		return
	}
	cost := durationOf(float64(n), rate)
	// The packet that uses up the credit overdraws it, so a credit of one packet
	// makes a burst of two.
	credit := max(burstTime, cost)
	if earliest := now.Add(-credit); p.next.Before(earliest) {
		p.next = earliest
	}
	p.next = p.next.Add(cost)
}

// durationOf is how long bytes take at rate bytes per second, at most an hour.
func durationOf(bytes, rate float64) time.Duration {
	d := bytes / rate * float64(time.Second)
	if !(d < float64(time.Hour)) {
		return time.Hour
	}
	return time.Duration(d)
}
