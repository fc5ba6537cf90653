package msp

import "time"

// Limits of the STOPs that answer packets of no connection (§10), per second.
const (
	stopsPerSID   = 16
	stopsPerLocal = 128
	stopsInAll    = 512
)

// A stopLimiter counts STOPs by remote SID and by local address within the
// current second. Its tables are bounded by stopsInAll.
type stopLimiter struct {
	since   time.Time
	all     int
	bySID   map[[32]byte]int
	byLocal map[Addr]int
}

func newStopLimiter() stopLimiter {
	return stopLimiter{bySID: make(map[[32]byte]int), byLocal: make(map[Addr]int)}
}

func (l *stopLimiter) allow(now time.Time, t tuple) bool {
	if now.Sub(l.since) >= time.Second {
		l.since, l.all = now, 0
		clear(l.bySID)
		clear(l.byLocal)
	}
	if l.all >= stopsInAll || l.bySID[t.remote.SID] >= stopsPerSID || l.byLocal[t.local] >= stopsPerLocal {
		return false
	}
	l.all++
	l.bySID[t.remote.SID]++
	l.byLocal[t.local]++
	return true
}
