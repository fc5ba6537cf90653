package msp

import "time"

// The STOP of an aborted extended connection is said again, as nothing acknowledges it: an
// idle end that has missed it learns nothing else for up to an hour (MSX-7.3).
const (
	stopAgain  = time.Second
	stopTimes  = 2       // beside the first
	stopMemory = 1 << 10 // of so many connections; where more end, not of the first of them
)

// stopAgains are the connections whose STOP is said again. All wait equally long, so what
// comes first is due first.
type stopAgains []stopRepeat

type stopRepeat struct {
	tuple
	at   time.Time
	left int // times
}

func (q *stopAgains) add(now time.Time, t tuple, times int) {
	*q = append(*q, stopRepeat{t, now.Add(stopAgain), times})
	if len(*q) > stopMemory {
		*q = pop(*q)
	}
}

// due calls say for each that is due, which reports whether it is to be said still.
func (q *stopAgains) due(now time.Time, say func(t tuple) bool) {
	for len(*q) > 0 && !now.Before((*q)[0].at) {
		r := (*q)[0]
		*q = pop(*q)
		if say(r.tuple) && r.left > 1 {
			q.add(now, r.tuple, r.left-1)
		}
	}
}

func (q stopAgains) next() time.Time {
	if len(q) == 0 {
		return time.Time{}
	}
	return q[0].at
}
