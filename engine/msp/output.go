package msp

import "time"

// advance does what is due at now. What it decides to send, output sends.
func (c *Conn) advance(now time.Time) {
	if c.cause != Open {
		return
	}
	if at := c.deadAt(); !at.IsZero() && !now.Before(at) {
		c.end(TimedOut)
		return
	}
	if c.probation {
		return
	}
	if !c.orphanAt.IsZero() && !now.Before(c.orphanAt) {
		c.Stop()
		return
	}
	if c.closed && c.orphanAt.IsZero() {
		c.orphanAt = now.Add(c.orphanTimeout())
	}
	if c.x != nil {
		c.advanceExtended(now)
		return
	}
	c.snd.advance(now)
	if !c.announceAt.IsZero() && !now.Before(c.announceAt) {
		c.announce(now)
	}
	// Where one of a group is due mostly all are; only the first looks for them.
	if c.heard && !c.ackNow && !c.snd.repair && !now.Before(c.idle.keepAliveAt()) {
		c.keepAlive(now)
		c.mux.keepAliveGroup(now, c)
	}
}

// announce sends an ack-only FIRST, and again until the peer has answered,
// unless messages do that (§6.1). Its doublings of the timeout are the sender's:
// a path that is slow to the one is slow to the other.
func (c *Conn) announce(now time.Time) {
	if len(c.snd.queue) > 0 {
		c.announceAt = time.Time{}
		return
	}
	if c.announced {
		c.snd.backoff++
	}
	c.announced = true
	c.ackNow = true
	c.announceAt = now.Add(c.snd.timeout())
}

// keepAlive sends something: to a silent peer the oldest message in flight,
// which asks for an answer, else an acknowledgement (§7).
func (c *Conn) keepAlive(now time.Time) {
	if c.idle.silent(now) && c.snd.probe() {
		return
	}
	c.ackNow = true
	c.rcv.shrink()
}

// output hands the packets that are due to the Mux.
func (c *Conn) output(now time.Time) {
	switch {
	case c.cause != Open:
		c.lastWords(now)
		return
	case c.x != nil:
		c.outputExtended(now)
		return
	case c.probation:
		if c.ackNow {
			c.sendAck(now)
		}
		return
	}
	sent := false
	for m, seq := c.snd.next(); m != nil; m, seq = c.snd.next() {
		ack, flags := c.header()
		c.snd.messageSent(now, m)
		c.send(now, m.encode(flags, ack, seq))
		sent = true
	}
	if c.ackNow || c.ackWanted && !sent {
		c.sendAck(now)
	}
	c.ackNow, c.ackWanted = false, false
}

// lastWords sends what an ended connection still owes: a STOP, or the
// acknowledgement of the peer's SHUTDOWN.
func (c *Conn) lastWords(now time.Time) {
	switch {
	case c.stopDue:
		c.send(now, c.mux.scratch(Packet{Flags: FlagStop}))
		if c.x != nil && c.cause == Aborted && !c.probation {
			c.mux.again.add(now, tuple{c.local, c.remote}, stopTimes)
		}
	case c.x != nil:
		if c.cause == Finished {
			c.outputExtended(now)
		}
	case c.cause == Finished && (c.ackNow || c.ackWanted):
		c.sendAck(now)
	}
	c.stopDue, c.ackNow, c.ackWanted = false, false, false
}

// header returns the fields that every packet repeats (§4).
func (c *Conn) header() (Seq, Flags) {
	ack, flags := c.rcv.ack()
	if !c.heard {
		flags |= FlagFirst
		if c.offers {
			flags |= FlagExtended
		}
	}
	return ack, flags
}

func (c *Conn) sendAck(now time.Time) {
	ack, flags := c.header()
	c.send(now, c.mux.scratch(Packet{Kind: KindAck, Flags: flags, Ack: ack}))
	c.ackNow, c.ackWanted = false, false
}

func (c *Conn) send(now time.Time, data []byte) {
	c.idle.lastSent = now
	c.stats.PacketsSent++
	c.mux.emit(c.local, c.remote, data)
}

// deadAt returns when the connection ends for silence; zero if it does not.
func (c *Conn) deadAt() time.Time {
	if c.x != nil {
		return c.extendedDeadAt()
	}
	return c.idle.deadAt()
}

// nextTimeout returns when advance has something to do; zero if never.
func (c *Conn) nextTimeout() time.Time {
	if c.cause != Open {
		return time.Time{}
	}
	at := c.deadAt()
	if c.probation {
		return at
	}
	if c.x != nil {
		return c.nextExtended()
	}
	if c.heard {
		at = earlier(at, c.idle.keepAliveAt())
	}
	at = earlier(at, c.snd.timeoutAt)
	at = earlier(at, c.announceAt)
	return earlier(at, c.orphanAt)
}
