package msp

import "time"

// A closedTable remembers connections that ended: for a while it repeats the
// last acknowledgement to a peer that missed it (§8.2), and longer it knows that
// a FIRST on the same 4-tuple may be a late one (§9).
type closedTable struct {
	byTuple map[tuple]*closedConn
	queue   []*closedConn // in the order in which they ended
}

type closedConn struct {
	tuple
	ended       time.Time
	lingerUntil time.Time // zero if the connection was not finished
	ack         Seq       // the last acknowledgement
	flags       Flags
}

func newClosedTable() closedTable {
	return closedTable{byTuple: make(map[tuple]*closedConn)}
}

func (t *closedTable) len() int { return len(t.byTuple) }

// add remembers c, which has just ended.
func (t *closedTable) add(now time.Time, key tuple, c *Conn) {
	r := &closedConn{tuple: key, ended: now}
	if c.cause == Finished {
		r.lingerUntil = now.Add(lingerTime)
		r.ack, r.flags = c.rcv.ack()
	}
	t.byTuple[key] = r
	t.queue = append(t.queue, r)
	t.expire(now)
}

// expire forgets what is too old or too much, the oldest first.
func (t *closedTable) expire(now time.Time) {
	for len(t.queue) > 0 {
		r := t.queue[0]
		old := now.Sub(r.ended) >= rememberTime
		many := len(t.queue) > rememberLimit && now.After(r.lingerUntil)
		if !old && !many && len(t.queue) <= lingerLimit {
			return
		}
		if t.byTuple[r.tuple] == r {
			delete(t.byTuple, r.tuple)
		}
		t.queue[0] = nil
		t.queue = t.queue[1:]
	}
	t.queue = nil
}

// known reports whether key ended within the last minute.
func (t *closedTable) known(now time.Time, key tuple) bool {
	t.expire(now)
	return t.byTuple[key] != nil
}

// lingers reports whether packets of the ended connection may still be about.
func (t *closedTable) lingers(now time.Time, key tuple) bool {
	r := t.byTuple[key]
	return r != nil && now.Before(r.lingerUntil)
}

// reacknowledge answers the retransmission of a finished connection's last
// messages, and reports whether p was one.
func (m *Mux) reacknowledge(now time.Time, t tuple, p Packet) bool {
	r := m.closed.byTuple[t]
	if r == nil || p.Kind == KindFlags || !now.Before(r.lingerUntil) {
		return false
	}
	if p.Kind == KindMessage {
		r.lingerUntil = now.Add(lingerTime)
		m.owed = append(m.owed, reply{t, Packet{Kind: KindAck, Flags: r.flags, Ack: r.ack}})
	}
	return true // an ack of its own: the peer is closing too
}
