package msp

import "time"

// receive takes a packet of the connection. The payload is copied.
func (c *Conn) receive(now time.Time, p Packet) {
	c.stats.PacketsReceived++
	if p.Flags&FlagStop != 0 {
		c.stopReceived(now)
		return
	}
	if c.x == nil && c.extends(p) {
		c.extend(now, 0)
	}
	if c.x != nil {
		c.receiveOpening(now, p)
		return
	}
	una := c.snd.una
	if p.Kind != KindFlags && !c.ackReceived(now, p) {
		c.stats.Dropped++
		return
	}
	if p.Kind == KindAck && c.heard && c.snd.una == una && c.idle.answersProbe(now) {
		c.ackNow = true
	}
	c.idle.lastHeard = now
	c.noteOrigin()
	if !c.heard {
		c.heard = true
		c.announceAt = time.Time{}
		c.news()
	}
	late := p.Flags&FlagFirst != 0 && c.plain
	c.plain = c.plain || p.Flags&FlagFirst == 0
	switch {
	case p.Kind == KindMessage:
		c.messageReceived(p, late)
	case p.Kind == KindAck && p.Flags&FlagFirst != 0 && !late:
		c.ackNow = true
	}
	c.mux.touch(c)
}

// ackReceived handles the ack field. It reports false for a packet that
// acknowledges what was never sent, which is dropped whole (§5.1).
func (c *Conn) ackReceived(now time.Time, p Packet) bool {
	una, inFlight := c.snd.una, c.snd.sent
	if !c.snd.ackReceived(now, p.Ack, p.Flags&FlagAck != 0, p.Kind == KindAck, c.mux.cfg.free) {
		return false
	}
	if inFlight == 0 && p.Flags&FlagFirst == 0 {
		c.firstAnswered(now)
	}
	if c.snd.una != una {
		c.orphanAt = time.Time{} // there is progress: the time begins anew
		c.peer.rtt = c.snd.rtt.learned()
		c.news()
		c.settle()
	}
	return true
}

// firstAnswered measures the round trip of a FIRST that carried nothing, and gives it: what
// arrived answers it if it was all that was sent. Else it gives 0.
func (c *Conn) firstAnswered(now time.Time) time.Duration {
	if c.heard || c.stats.PacketsSent != 1 {
		return 0
	}
	trip := max(now.Sub(c.idle.lastSent), time.Microsecond)
	c.snd.rtt.update(trip)
	return trip
}

// messageReceived takes a message. late tells that it was sent before the peer
// had heard us, and arrived after it had: no answer to it is missed (§5.3).
func (c *Conn) messageReceived(p Packet, late bool) {
	c.heardData = true
	switch c.rcv.insert(p, c.mux.cfg.alloc, c.mux.cfg.free) {
	case arrivedDuplicate:
		c.stats.Duplicates++
		c.ackNow = c.ackNow || !late // our acknowledgement may be lost (§5.3)
		return
	case arrivedBeyond:
		c.stats.Dropped++
		return
	case arrivedOutOfOrder:
		c.ackNow = true // the unmoved ack tells of the gap (§4.4)
	}
	c.stats.MessagesReceived++
	c.stats.BytesReceived += uint64(len(p.Payload))
	if c.discard && c.snd.acked() && len(p.Payload) > 0 {
		c.Stop() // nobody will ever read it (§8.1)
		return
	}
	c.settle()
	c.news()
}

// settle takes what the application has no part in: messages that nobody will
// read, and bare SHUTDOWNs, also behind the last messages of a connection that
// has ended. It ends the connection when both directions have shut down (§8.1).
func (c *Conn) settle() {
	if c.probation {
		return
	}
	for c.rcv.nextIsEmpty() || c.discard && c.rcv.hasNext() {
		c.mux.cfg.free(c.rcv.take())
		c.ackWanted = true
		if c.cause == Open {
			c.news()
		}
	}
	if c.cause == Open && c.rcv.shutdown && c.snd.acked() {
		c.end(Finished)
	}
}

// stopReceived ends the connection, unless it was only waiting for the last
// acknowledgement from a peer that has forgotten us already (§8.3).
func (c *Conn) stopReceived(now time.Time) {
	switch {
	case c.cause != Open:
	case !c.heard && c.mux.closed.get(now, tuple{c.local, c.remote}).toldAgain(now):
		c.stats.Dropped++ // a peer that refuses does so again
	case !c.heard:
		c.end(Refused)
	case c.x == nil && c.rcv.shutdown && c.snd.onlyShutdownLeft():
		c.snd.drop(c.mux.cfg.free)
		c.end(Finished)
	default:
		c.end(Reset)
	}
}
