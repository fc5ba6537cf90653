package msp

import (
	"time"
)

// A stockNode behaves as the deployed C implementation does: 5 messages in
// flight, each repeated 1,500 ms after it was last sent, whatever the round
// trip; acks only of what the application has consumed, none for duplicates,
// and not checked against what was sent; a finished connection is forgotten at
// once, and late packets are answered with STOP.
type stockNode struct {
	name      byte
	listening bool
	conns     map[tuple]*stockConn
	opened    func(*stockConn) // a listener's new connection gets its application
	owed      []reply
	now       time.Time
}

type stockConn struct {
	tuple
	created, lastSent, lastHeard time.Time

	queue    []*stockMessage // not acknowledged
	nextSeq  Seq
	shutdown bool

	held      map[Seq]Packet
	next      Seq
	consumed  bool
	end       bool // the peer's SHUTDOWN was consumed
	heard     bool
	ackDue    bool
	sentFirst bool
	told      Seq // next, as the peer was last told

	// The application.
	toSend    [][]byte
	got       [][]byte
	readEvery time.Duration
	readAt    time.Time
	ended     string // how it went; empty while it is open
}

type stockMessage struct {
	Packet
	sentAt time.Time
}

const (
	stockInFlight   = 5
	stockRetransmit = 1500 * time.Millisecond
	stockAnnounce   = 10 * time.Millisecond
)

func newStockNode(s *sim, name byte) *stockNode {
	n := &stockNode{name: name, conns: map[tuple]*stockConn{}, now: s.now}
	s.ends[[32]byte{name}] = n
	return n
}

// dial connects from port 257, as ever.
func (n *stockNode) dial(now time.Time, remote Addr) *stockConn {
	c := n.newConn(now, tuple{addr(n.name, 257), remote})
	n.now = now
	return c
}

func (n *stockNode) newConn(now time.Time, t tuple) *stockConn {
	c := &stockConn{tuple: t, created: now, lastSent: now, lastHeard: now, held: map[Seq]Packet{}}
	n.conns[t] = c
	return c
}

func (n *stockNode) Input(now time.Time, local, remote Addr, b []byte) {
	n.now = now
	p, err := ParsePacket(b)
	if err != nil {
		panic("an empty datagram ends a stock daemon")
	}
	t := tuple{local, remote}
	c := n.conns[t]
	if c == nil {
		switch {
		case p.Flags&FlagStop != 0:
			return
		case !n.listening || p.Flags&FlagFirst == 0:
			n.owed = append(n.owed, reply{tuple: t, packet: stopPacket})
			return
		}
		c = n.newConn(now, t)
		c.ackDue = true
		n.opened(c)
	}
	c.receive(now, p)
	if c.ended != "" {
		delete(n.conns, t)
	}
}

func (c *stockConn) receive(now time.Time, p Packet) {
	if p.Flags&FlagStop != 0 {
		c.ended = "stopped"
		return
	}
	c.lastHeard, c.heard = now, true
	if p.Kind != KindFlags && p.Flags&FlagAck != 0 {
		for len(c.queue) > 0 && c.queue[0].Seq.sub(p.Ack) <= 0 {
			c.queue = c.queue[1:]
		}
	}
	if _, known := c.held[p.Seq]; p.Kind == KindMessage && p.Seq.sub(c.next) >= 0 && !known {
		p.Payload = append([]byte(nil), p.Payload...)
		c.held[p.Seq] = p
		c.ackDue = true
	}
}

// application reads and writes what it can.
func (c *stockConn) application(now time.Time) {
	for !now.Before(c.readAt) {
		p, ok := c.held[c.next]
		if !ok || c.end {
			break
		}
		delete(c.held, c.next)
		c.next++
		c.consumed = true
		if len(p.Payload) > 0 {
			c.got = append(c.got, p.Payload)
			c.readAt = now.Add(c.readEvery)
		}
		c.end = p.Flags&FlagShutdown != 0
	}
	for len(c.toSend) > 0 && len(c.queue) < stockInFlight {
		c.push(c.toSend[0])
		c.toSend = c.toSend[1:]
	}
	if len(c.toSend) == 0 && !c.shutdown {
		if n := len(c.queue); n == 0 || !c.queue[n-1].sentAt.IsZero() {
			c.push(nil)
		}
		c.shutdown = true
		c.queue[len(c.queue)-1].Flags = FlagShutdown
	}
}

func (c *stockConn) push(b []byte) {
	c.queue = append(c.queue, &stockMessage{Packet: Packet{Kind: KindMessage, Seq: c.nextSeq, Payload: b}})
	c.nextSeq++
}

func (n *stockNode) Poll(now time.Time, emit Emit) {
	n.now = now
	for _, r := range n.owed {
		emit(r.local, r.remote, AppendPacket(nil, r.packet))
	}
	n.owed = nil
	for t, c := range n.conns {
		c.process(now, func(p Packet) {
			if !c.heard {
				p.Flags |= FlagFirst
			}
			p.Ack = noAck
			if c.consumed {
				p.Ack, p.Flags = c.next.add(-1), p.Flags|FlagAck
			}
			c.lastSent, c.sentFirst, c.told = now, true, c.next
			emit(c.local, c.remote, AppendPacket(nil, p))
		})
		if c.ended != "" {
			delete(n.conns, t)
		}
	}
}

func (c *stockConn) process(now time.Time, send func(Packet)) {
	if now.Sub(c.lastHeard) >= 10*time.Second {
		c.ended = "timed out"
		return
	}
	c.application(now)
	for _, m := range c.queue {
		if m.sentAt.IsZero() || now.Sub(m.sentAt) >= stockRetransmit {
			m.sentAt = now
			send(m.Packet)
		}
	}
	announce := !c.sentFirst && now.Sub(c.created) >= stockAnnounce
	if c.ackDue || announce || now.Sub(c.lastSent) >= stockRetransmit {
		send(Packet{Kind: KindAck})
		c.ackDue = false
	}
	if c.end && c.shutdown && len(c.queue) == 0 && c.told == c.next {
		c.ended = "finished"
	}
}

func (n *stockNode) Advance(now time.Time) { n.now = now }
func (n *stockNode) Pending() bool         { return len(n.owed) > 0 }

func (n *stockNode) NextTimeout() (at time.Time) {
	for _, c := range n.conns {
		at = earlier(at, c.lastHeard.Add(10*time.Second))
		at = earlier(at, c.lastSent.Add(stockRetransmit))
		if !c.sentFirst {
			at = earlier(at, c.created.Add(stockAnnounce))
		}
		for _, m := range c.queue {
			at = earlier(at, m.sentAt.Add(stockRetransmit))
		}
		if _, ok := c.held[c.next]; ok && c.readAt.After(n.now) {
			at = earlier(at, c.readAt)
		}
	}
	return at
}
