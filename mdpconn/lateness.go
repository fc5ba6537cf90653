package mdpconn

import "time"

// maxLateness is how long before the peer's clock shows it a datagram may have
// been made. It is shorter than the layer above remembers connections that have
// ended (docs/protocol.md §9), so that no recording of one opens it again.
// Implementation.
const maxLateness = 50 * time.Second

// noteClock notes what the peer's clock shows now: the time in a nonce, 0 if
// there is none.
func (p *path) noteClock(now time.Time, made int64) {
	if made > p.newest {
		p.newest, p.newestAt = made, now
	}
}

// lateness is how long ago the peer made a datagram, as far as its clock is
// known from others; 0 if it is not. A stock node's nonce tells no time.
func (p *path) lateness(now time.Time, made int64) time.Duration {
	if made == 0 || p.newest == 0 {
		return 0
	}
	return now.Sub(p.newestAt) + time.Duration(p.newest-made)*time.Microsecond
}

// doubtClock has the peer challenged, as something from it is late: if its clock
// was set back, the answer will show it. Until then what it sends is dropped.
func (p *path) doubtClock(now time.Time) {
	p.wantedUntil = now.Add(wantWindow)
	if p.known && !p.silent {
		p.fallSilent(now)
	}
}
