package msp

import (
	"time"

	"mesh.example/msp/engine/stream"
)

// A closedTable knows connections that ended: for a while they linger, to repeat
// the last acknowledgement to a peer that missed it (§8.2), and for longer they
// are remembered, as a FIRST on the same 4-tuple may be a late one (§9).
//
// It needs no timer: what is too old goes when the table is next looked at.
type closedTable struct {
	byTuple    map[tuple]*closedConn
	lingering  []*closedConn // by queuedUntil
	remembered []*closedConn // in the order in which they ended or their linger did
}

type closedConn struct {
	tuple
	cause       Cause
	lingerUntil time.Time // if it was finished; else when it ended
	queuedUntil time.Time // lingerUntil, as it was when last put into the queue
	ack         Seq       // the last acknowledgement
	flags       Flags
	extended    bool   // the connection had switched
	number      uint64 // its next packet's
	largest     uint64 // the newest packet's that it received
}

func newClosedTable() closedTable {
	return closedTable{byTuple: make(map[tuple]*closedConn)}
}

func (t *closedTable) len() int { return len(t.byTuple) }

// add remembers c, which has just ended.
func (t *closedTable) add(now time.Time, key tuple, c *Conn) {
	r := &closedConn{tuple: key, cause: c.cause, lingerUntil: now}
	t.byTuple[key] = r
	if c.x != nil {
		r.extended, r.number, r.largest = true, c.x.Next(), c.x.Largest()
	}
	if c.cause == Finished {
		if r.ack = noAck; c.x == nil {
			r.ack, r.flags = c.rcv.ack()
		}
		r.linger(now)
		r.queuedUntil = r.lingerUntil
		t.lingering = append(t.lingering, r)
	} else {
		t.remembered = append(t.remembered, r)
	}
	t.expire(now)
}

// forget drops what is known of key, as a new connection has taken its place.
func (t *closedTable) forget(key tuple) { delete(t.byTuple, key) }

// get returns what is known of key; nil if nothing.
func (t *closedTable) get(now time.Time, key tuple) *closedConn {
	t.expire(now)
	if r := t.byTuple[key]; r != nil && now.Before(r.forgetAt()) {
		return r
	}
	return nil
}

// expire ends lingers and forgets what is too old or too much, the oldest first.
func (t *closedTable) expire(now time.Time) {
	for len(t.lingering) > 0 {
		r, many := t.lingering[0], len(t.lingering) > lingerLimit
		if now.Before(r.queuedUntil) && !many {
			break
		}
		t.lingering = pop(t.lingering)
		switch {
		case t.byTuple[r.tuple] != r: // another took its place
		case r.lingers(now) && !many: // a retransmission was heard
			r.queuedUntil = r.lingerUntil
			t.lingering = append(t.lingering, r)
		default:
			t.remembered = append(t.remembered, r)
		}
	}
	for len(t.remembered) > 0 {
		r := t.remembered[0]
		if now.Before(r.forgetAt()) && len(t.remembered) <= rememberLimit {
			return
		}
		t.remembered = pop(t.remembered)
		if t.byTuple[r.tuple] == r {
			delete(t.byTuple, r.tuple)
		}
	}
}

// pop takes the first out of q; nothing keeps the memory of an empty queue.
func pop[Q ~[]T, T any](q Q) Q {
	if len(q) == 1 {
		return nil
	}
	clear(q[:1])
	return q[1:]
}

// linger begins the linger, or begins it anew.
func (r *closedConn) linger(now time.Time) { r.lingerUntil = now.Add(lingerTime) }

// lingers reports whether r, which may be nil, still acknowledges.
func (r *closedConn) lingers(now time.Time) bool { return r != nil && now.Before(r.lingerUntil) }

// wrote reports whether b is of the extended format, and so of the connection of r,
// which may be nil, rather than of a published one in its place.
func (r *closedConn) wrote(b []byte) bool { return r != nil && r.extended && stream.IsPacket(b) }

func (r *closedConn) forgetAt() time.Time { return r.lingerUntil.Add(rememberTime) }

// toldAgain reports whether the peer may be telling the abort of r, which may be nil, again.
func (r *closedConn) toldAgain(now time.Time) bool {
	return r != nil && r.extended && r.cause == Reset && now.Before(r.lingerUntil.Add((stopTimes+1)*stopAgain))
}

// stopReceived ends the linger: the peer has forgotten the connection (§8.2).
func (r *closedConn) stopReceived(now time.Time) {
	if r.lingers(now) {
		r.lingerUntil = now
	}
}

// answersStray reports whether a packet that opens nothing and is not
// re-acknowledged deserves a STOP. r is what is known of its 4-tuple, nil if
// nothing. A packet of a connection that ended well, or by the peer's own STOP,
// is merely late (§9).
func (r *closedConn) answersStray(p Packet) bool {
	switch {
	case r == nil, p.isFreshFirst():
		return true
	case p.Flags&FlagFirst != 0:
		return false
	}
	return r.cause == Aborted || r.cause == TimedOut
}

// reacknowledge answers what the peer of a finished connection repeats, in the
// connection's format (§8.2, MSX-7.4), and reports whether b, decoded p, was a
// packet of one that lingers. What it does not answer is late, or the peer is
// closing too.
func (m *Mux) reacknowledge(now time.Time, r *closedConn, b []byte, p Packet) bool {
	if !r.lingers(now) {
		return false
	}
	switch {
	case r.extended:
		if answer := stream.Answer(nil, b, r.largest, r.number); answer != nil {
			r.number++
			r.linger(now)
			m.owed = append(m.owed, reply{tuple: r.tuple, extended: answer})
		}
	case p.Kind == KindMessage:
		r.linger(now)
		m.owed = append(m.owed, reply{tuple: r.tuple, packet: Packet{Kind: KindAck, Flags: r.flags, Ack: r.ack}})
	}
	return true
}
