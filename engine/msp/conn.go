package msp

import (
	"errors"
	"fmt"
	"time"

	"mesh.example/msp/engine/cc"
)

// Errors of a connection's calls.
var (
	ErrFull     = errors.New("msp: send queue full")
	ErrShutdown = errors.New("msp: message after shutdown")
	ErrClosed   = errors.New("msp: connection closed")
	ErrEmpty    = errors.New("msp: empty message; a message has 1 byte or more")
)

// A MessageSizeError is the error for a message that is too long to send.
type MessageSizeError struct {
	Size, Limit int // bytes
}

func (e *MessageSizeError) Error() string {
	return fmt.Sprintf("msp: message of %d bytes, at most %d fit", e.Size, e.Limit)
}

// A Conn is one connection. Its methods are called by whoever drives its [Mux];
// what they bring about happens in the Mux's next Poll.
//
//	Dial ────────────┐                     ┌── Stop, STOP, silence ──► ended
//	Input(FIRST) ────┴─► open ─────────────┤
//	   │                  ▲                └── both SHUTDOWNs ───────► ended, lingers
//	   └─► probation ─────┘ proof of life      (as a record in the Mux)
type Conn struct {
	User any // the driver's

	mux      *Mux
	local    Addr
	remote   Addr
	peer     *peer
	inPeer   int       // its index there
	listener *Listener // that created it; nil for a dialled one

	*published            // nil after the switch to the extended format
	x          *extension // in its place; nil before the switch
	idle       idleState
	stats      Stats

	shutdown   bool // Shutdown was called
	cause      Cause
	delivered  bool         // at the end: all was acknowledged, the SHUTDOWN included
	flushed    bool         // at the end: every message was acknowledged
	probation  bool         // may be the ghost of an earlier connection (§9)
	offers     bool         // the opening announces the extended format, or would
	congestion cc.Algorithm // of the extended format
	accepted   bool         // no longer counted in the listener's backlog
	heard      bool         // a packet has arrived: no FIRST any more
	plain      bool         // one without FIRST has: the peer has heard us
	heardData  bool         // a message has arrived
	early      bool         // heard, and only before there were session keys
	made       int64        // Origin.Made of what was heard first
	announceAt time.Time    // the next ack-only FIRST; zero once heard or a message serves
	announced  bool         // there was one
	discard    bool         // nobody reads: take and drop what comes
	discardDue bool         // and something may be there
	closed     bool         // the application has let go of both directions
	orphanAt   time.Time    // give up waiting for the peer's SHUTDOWN

	ackWanted bool // an acknowledgement is due, alone or with a message
	ackNow    bool // an acknowledgement is due without a message
	stopDue   bool
	newsDue   bool // for the driver: in the Mux's list of events
	dirty     bool // in the Mux's list of connections to poll
	timer     int  // index in the Mux's heap, -1 if not there
	deadline  time.Time
}

// published is a connection's state in the published format.
type published struct {
	snd sender
	rcv receiver
}

// StayPublished leaves a connection that was just dialled in the published format.
func (c *Conn) StayPublished() { c.offers = false }

// SetCongestion sets how a connection that was just dialled avoids congestion, in
// the extended format.
func (c *Conn) SetCongestion(a cc.Algorithm) { c.congestion = a }

// Local and Remote return the connection's ends.
func (c *Conn) Local() Addr { return c.local }

// Remote returns the peer's end.
func (c *Conn) Remote() Addr { return c.remote }

// Listener returns the listener that the peer reached; nil for a dialled
// connection.
func (c *Conn) Listener() *Listener { return c.listener }

// Cause tells how the connection ended; [Open] while it has not.
func (c *Conn) Cause() Cause { return c.cause }

// Connected reports whether the peer has been heard.
func (c *Conn) Connected() bool { return c.heard }

// EOF reports whether the peer's SHUTDOWN was delivered, after all its messages.
func (c *Conn) EOF() bool {
	if c.x != nil {
		return c.x.EOF()
	}
	return c.rcv.shutdown
}

// Delivered reports whether Shutdown was called and the peer has acknowledged
// everything, the SHUTDOWN included.
func (c *Conn) Delivered() bool {
	switch {
	case c.cause != Open:
		return c.delivered
	case c.x != nil:
		return c.x.Delivered()
	}
	return c.snd.acked()
}

// Flushed reports whether the peer has acknowledged every message queued.
func (c *Conn) Flushed() bool {
	switch {
	case c.cause != Open:
		return c.flushed
	case c.x != nil:
		return c.x.Flushed()
	}
	return len(c.snd.queue) == 0
}

// QuietTime is how long a peer that missed our last acknowledgement may take to
// repeat itself once or twice.
func (c *Conn) QuietTime() time.Duration {
	var rtt rttState
	if c.x != nil {
		rtt.smoothed, rtt.variance = c.x.RTT()
	} else {
		rtt = c.snd.rtt
	}
	return min(3*rtt.timeout(0), maxTimeout)
}

// State returns the state bits of §12.
func (c *Conn) State() State {
	var s State
	set := func(on bool, bit State) {
		if on {
			s |= bit
		}
	}
	set(c.heard, ReceivedPacket)
	set(c.heardData, ReceivedData)
	set(c.shutdown, ShutdownLocal)
	set(c.EOF(), ShutdownRemote)
	set(c.cause != Open, Closed)
	set(c.cause == TimedOut || c.cause == Failure || c.cause == Restarted, Failed)
	set(c.cause == Refused || c.cause == Reset, Stopped)
	set(c.Room() > 0, DataOut)
	return s
}

// Stats returns the connection's counters.
func (c *Conn) Stats() Stats {
	s := c.stats
	if c.x != nil {
		c.extendedStats(&s)
		return s
	}
	s.RTT, s.RTTVar = c.snd.rtt.smoothed, c.snd.rtt.variance
	s.Window, s.InFlight, s.Queued = c.snd.window.size, c.snd.sent, len(c.snd.queue)
	s.Held, s.Stalled = c.rcv.held, c.snd.stalled
	return s
}

// Room returns how many messages can be queued now, of an extended connection
// 1 if there is room.
func (c *Conn) Room() int {
	if c.cause != Open || c.shutdown {
		return 0
	}
	if c.x != nil {
		if c.x.queueFull() {
			c.x.full = true
			return 0
		}
		return 1
	}
	return max(c.mux.cfg.sendQueue()-len(c.snd.queue), 0)
}

// Send queues a copy of a message of 1 to [MaxMessage] bytes. It fails with
// [ErrFull] when there is no room, until the state has DataOut again.
func (c *Conn) Send(msg []byte) error {
	switch {
	case len(msg) == 0:
		return ErrEmpty
	case len(msg) > c.MaxMessage():
		return &MessageSizeError{len(msg), c.MaxMessage()}
	}
	if err := c.canQueue(); err != nil {
		return err
	}
	buf := c.mux.cfg.alloc(HeaderLen + len(msg))
	copy(buf[HeaderLen:], msg)
	c.queue(buf)
	return nil
}

// Queue is Send without a copy: buf has [HeaderLen] bytes of room in front of
// the message and is the connection's from now on, to be given to Config.Free.
// The caller sees to the message's size. On error buf stays the caller's.
func (c *Conn) Queue(buf []byte) error {
	if err := c.canQueue(); err != nil {
		return err
	}
	c.queue(buf)
	return nil
}

func (c *Conn) canQueue() error {
	switch {
	case c.cause != Open:
		return ErrClosed
	case c.shutdown:
		return ErrShutdown
	case c.Room() == 0:
		return ErrFull
	}
	return nil
}

func (c *Conn) queue(buf []byte) {
	if c.x != nil {
		c.x.Push(buf, HeaderLen)
	} else {
		c.snd.push(buf)
	}
	c.mux.touch(c)
}

// Peek returns the next message, or what is left of it, nil if there is none.
// The slice is valid until the next call of the Mux or the Conn.
func (c *Conn) Peek() []byte {
	if c.probation || c.x != nil {
		return nil
	}
	return c.rcv.peek()
}

// Consume takes n bytes of the message that Peek returned. A message that was
// consumed whole is acknowledged.
func (c *Conn) Consume(n int) {
	c.rcv.offset += n
	if len(c.rcv.peek()) == 0 {
		c.mux.cfg.free(c.rcv.take())
		c.messageTaken()
	}
}

// Take consumes the next message and returns its buffer, which is the caller's
// until it gives it to Config.Free; nil if there is none.
func (c *Conn) Take() []byte {
	if c.Peek() == nil {
		return nil
	}
	buf := c.rcv.take()
	c.messageTaken()
	return buf
}

func (c *Conn) messageTaken() {
	c.ackWanted = true
	c.settle()
	c.mux.touch(c)
}

// Shutdown ends the sending direction after what is queued (§8.1). Messages can
// still be received.
func (c *Conn) Shutdown() {
	if c.cause != Open || c.shutdown {
		return
	}
	c.shutdown = true
	if c.x != nil {
		c.x.Shutdown()
		c.mux.touch(c)
		return
	}
	bare := c.mux.cfg.alloc(HeaderLen)
	if !c.snd.pushShutdown(bare) {
		c.mux.cfg.free(bare)
	}
	c.mux.touch(c)
}

// Discard makes the connection take and drop what has arrived and whatever
// still does (§8.1). Once our own direction is shut down and acknowledged, the
// next message with bytes is answered by STOP.
func (c *Conn) Discard() {
	c.discard = true
	switch {
	case c.x != nil:
		c.discardDue = c.x.Peek()
	case c.cause == Open:
		c.settle()
	}
	if c.cause != Open {
		c.drop(true)
		return
	}
	c.mux.touch(c)
}

// Close lets go of the connection: Shutdown and Discard. What is queued is still
// delivered; if the peer then does not shut down within a minute, or takes
// nothing for five, the connection is aborted (§8.3).
func (c *Conn) Close() {
	c.Shutdown()
	c.Discard()
	c.Leave()
}

// Leave tells that the application has let go of the connection, though it may
// still have messages to queue: from now on the peer has to make progress
// (§8.3).
func (c *Conn) Leave() {
	c.closed = true
	c.mux.touch(c)
}

// orphanTimeout is how long a connection that the application has let go of
// waits for the peer: to take what is queued, or to end its direction.
func (c *Conn) orphanTimeout() time.Duration {
	if c.Delivered() {
		return orphanTimeout
	}
	return orphanStall
}

// Stop aborts: what is queued is dropped and the peer, if it may know of the
// connection, gets one STOP (§8.3), in the extended format three (MSX-7.5).
func (c *Conn) Stop() {
	if c.cause != Open {
		return
	}
	c.stopDue = c.heard || c.stats.PacketsSent > 0
	c.end(Aborted)
}

// Drop aborts as Stop does, without a word to the peer.
func (c *Conn) Drop() {
	if c.cause == Open {
		c.end(Aborted)
	}
}

// Fail ends the connection without a word to the peer, as the layer below
// cannot carry one.
func (c *Conn) Fail() {
	if c.cause == Open {
		c.end(Failure)
	}
}

// end drops what is queued for sending; the next Poll says the last words and
// forgets the connection. Messages that arrived in order before a STOP or
// silence were received and stay the reader's; only a local abort throws them
// away.
func (c *Conn) end(cause Cause) {
	c.delivered, c.flushed = c.Delivered(), c.Flushed()
	c.cause = cause
	if c.x != nil && (cause == Finished || cause == Reset || cause == Aborted) {
		c.handOver()
	}
	c.drop(cause == Aborted || c.discard || c.probation)
	if c.x != nil && (cause == Reset || cause == TimedOut) {
		c.peer.doubt()
	}
	c.mux.touch(c)
	c.news()
}

// drop frees what is queued and what lies behind gaps; with all what arrived in
// order, too.
func (c *Conn) drop(all bool) {
	if c.x != nil {
		c.x.Drop(all)
		return
	}
	free := c.mux.cfg.free
	c.snd.drop(free)
	if all {
		c.rcv.drop(free)
	} else {
		c.rcv.dropGaps(free)
	}
}

// news puts the connection in the list of events.
func (c *Conn) news() {
	if !c.newsDue && !c.probation {
		c.newsDue = true
		c.mux.events = append(c.mux.events, c)
	}
}
