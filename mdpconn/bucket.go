package mdpconn

import "time"

// A bucket allows so many events per second, and a burst of them. It is not
// safe for concurrent use.
type bucket struct {
	rate, burst float64
	tokens      float64
	at          time.Time // when tokens was right
}

func newBucket(perSecond, burst float64) bucket {
	return bucket{rate: perSecond, burst: burst, tokens: burst}
}

// take reports whether one more event is allowed now, and counts it if it is.
func (b *bucket) take(now time.Time) bool {
	if !b.at.IsZero() {
		if d := now.Sub(b.at); d > 0 {
			b.tokens = min(b.burst, b.tokens+b.rate*d.Seconds())
		}
	}
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
