package mdpconn

import (
	"net/netip"
	"time"
)

// Bounds of a queue. Specification (docs/overlay.md §10).
const (
	queueLen      = 100                    // packets of each class
	queueLenVoice = 20                     // of QueueVoice
	queueAge      = time.Second            // the longest that a packet waits
	queueAgeMedia = 200 * time.Millisecond // that one of voice or video does
	queueClasses  = int(QueueOpportunistic) + 1
)

// A queue holds the packets that wait for their turn on a link which may not
// send as fast as it is given. What is pushed first comes out first, but lower
// classes before higher ones: voice before management, that before video, and
// so on (QueueVoice … QueueOpportunistic). A class that is full refuses more,
// and what has waited too long is dropped.
//
// A queue is pure: it has no clock, lock or goroutine, and whoever uses it
// guards it. The zero value is empty and ready; memory grows with use to what
// the bounds allow, and is used again.
type queue struct {
	classes [queueClasses]ring
	n       int
	counts  queueCounts
}

// queueCounts count what did not come out of a queue, by class.
type queueCounts struct {
	refused [queueClasses]uint64 // the class was full, or there is no such class
	late    [queueClasses]uint64 // waited too long
}

// A queued packet is a copy of what was pushed.
type queued struct {
	addr  netip.AddrPort
	data  []byte
	since time.Time
}

// A ring holds the packets of one class; first is the oldest of n.
type ring struct {
	slots    []queued
	first, n int
}

// push has a copy of a packet wait. It reports false, and counts, if its class
// is full or does not exist.
func (q *queue) push(class Queue, addr netip.AddrPort, data []byte, now time.Time) bool {
	if class.Check() != nil {
		q.counts.refused[QueueOpportunistic]++
		return false
	}
	r, limit := &q.classes[class], queueLen
	if class == QueueVoice {
		limit = queueLenVoice
	}
	q.expire(class, now)
	if r.n == limit {
		q.counts.refused[class]++
		return false
	}
	if r.n == len(r.slots) {
		r.grow(limit)
	}
	s := &r.slots[(r.first+r.n)%len(r.slots)]
	s.addr, s.data, s.since = addr, append(s.data[:0], data...), now
	r.n++
	q.n++
	return true
}

// pop takes the packet whose turn it is, if any, into p, and reports whether
// there was one. Its data are copied to p.Data[:0], which grows if need be.
func (q *queue) pop(p *Packet, now time.Time) bool {
	for class := range q.classes {
		q.expire(Queue(class), now)
		if r := &q.classes[class]; r.n > 0 {
			s := &r.slots[r.first]
			p.Addr, p.Data = s.addr, append(p.Data[:0], s.data...)
			r.drop()
			q.n--
			return true
		}
	}
	return false
}

// len gives how many packets wait; some of them may be too old by now.
func (q *queue) len() int { return q.n }

// clear forgets all packets, and does not count them.
func (q *queue) clear() { q.classes, q.n = [queueClasses]ring{}, 0 }

// expire drops what has waited too long in a class.
func (q *queue) expire(class Queue, now time.Time) {
	age := queueAge
	if class == QueueVoice || class == QueueVideo {
		age = queueAgeMedia
	}
	for r := &q.classes[class]; r.n > 0 && now.Sub(r.slots[r.first].since) > age; q.n-- {
		r.drop()
		q.counts.late[class]++
	}
}

// drop takes the oldest away.
func (r *ring) drop() {
	r.first = (r.first + 1) % len(r.slots)
	r.n--
}

// grow makes room for more, but for no more than limit.
func (r *ring) grow(limit int) {
	slots := make([]queued, min(max(4, 2*len(r.slots)), limit))
	k := copy(slots, r.slots[r.first:])
	copy(slots[k:], r.slots[:r.first])
	r.slots, r.first = slots, 0
}
