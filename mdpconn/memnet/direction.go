package memnet

import (
	"net/netip"
	"time"
)

// A direction is the way from one link to another. All of it is guarded by the
// network's mu. Times are since the network's start.
type direction struct {
	seed       uint64
	impairment *Impairment // nil: the network's
	connected  bool        // Connect was called
	cut        bool        // Cut was called

	count       uint64        // packets so far
	bad         bool          // Gilbert–Elliott state
	busyUntil   time.Duration // when the last packet has left, at Rate
	lastArrival time.Duration // of a packet not held back: none may come before it
}

// What is drawn for each packet. Each has a number of its own, so that one
// impairment does not change what another does.
const (
	drawTurn = iota
	drawBurst
	drawLoss
	drawJitter
	drawReorder
	drawDuplicate
	drawDuplicateJitter

	draws = 8 // how many numbers a packet has for itself
)

// verdict is what becomes of a packet that is on its way.
type verdict struct {
	fate      Fate
	at        time.Duration // arrival
	held      bool          // held back by Reorder
	marked    bool          // arrives with a mark, if it may have one
	duplicate bool          // arrives a second time
	again     time.Duration // the second arrival
}

// turn counts a packet, gives its number, and moves the Gilbert–Elliott state.
func (d *direction) turn(im *Impairment) uint64 {
	k := d.count
	d.count++
	if im.Burst.GoodToBad <= 0 {
		d.bad = false
		return k
	}
	p := im.Burst.GoodToBad
	if d.bad {
		p = im.Burst.BadToGood
	}
	if d.chance(k, drawTurn, p) {
		d.bad = !d.bad
	}
	return k
}

// judge decides about packet k, of the given size in bytes.
func (d *direction) judge(k uint64, im *Impairment, size int, now time.Duration) verdict {
	v := verdict{fate: Passed, at: now}
	if im.Rate > 0 {
		wait := max(d.busyUntil-now, 0)
		took := im.transmission(size)
		if wait > 0 && wait+took > im.transmission(im.queueBytes()) {
			v.fate = QueueDropped
			return v
		}
		v.at += wait + took
		v.marked = im.MarkAfter > 0 && wait > im.MarkAfter
		d.busyUntil = v.at
	}
	if d.chance(k, drawLoss, im.Loss) || d.bad && d.chance(k, drawBurst, im.Burst.lossBad()) {
		v.fate = Lost
		return v
	}
	v.at += max(im.Delay, 0) + d.jitter(k, drawJitter, im)
	v.at = max(v.at, d.lastArrival)
	if d.chance(k, drawReorder, im.Reorder) {
		v.held = true
		v.at += im.reorderBy()
	} else {
		d.lastArrival = v.at
	}
	if d.chance(k, drawDuplicate, im.Duplicate) {
		v.duplicate = true
		v.again = v.at + d.jitter(k, drawDuplicateJitter, im)
	}
	return v
}

// jitter gives a time of 0 … Jitter.
func (d *direction) jitter(k uint64, draw int, im *Impairment) time.Duration {
	if im.Jitter <= 0 {
		return 0
	}
	return time.Duration(d.draw(k, draw) * float64(im.Jitter))
}

// chance is true with probability p.
func (d *direction) chance(k uint64, draw int, p float64) bool {
	return p > 0 && d.draw(k, draw) < p
}

// draw gives a number in [0, 1) that depends on nothing but the direction's
// seed, the packet's number and what is drawn.
func (d *direction) draw(k uint64, draw int) float64 {
	const golden = 0x9e3779b97f4a7c15
	return float64(mix(d.seed+(k*draws+uint64(draw)+1)*golden)>>11) / (1 << 53)
}

// directionSeed is the seed of the way between two addresses.
func directionSeed(seed uint64, from, to netip.AddrPort) uint64 {
	for _, a := range [...]netip.AddrPort{from, to} {
		ip := a.Addr().As16()
		for i := 0; i < len(ip); i += 8 {
			var word uint64
			for _, c := range ip[i : i+8] {
				word = word<<8 | uint64(c)
			}
			seed = mix(seed ^ word)
		}
		seed = mix(seed ^ uint64(a.Port()))
	}
	return seed
}

// mix is the output function of SplitMix64 (Steele, Lea, Flood 2014): a
// bijection whose results over a counter pass for random.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
