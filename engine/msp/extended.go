package msp

import (
	"time"

	"mesh.example/msp/engine/stream"
)

// Extended connections (docs/extension.md): the two ends announce themselves in
// a bit of the opening, and then speak the format of package stream. What is here
// is the switch, and what a connection does the same way in either format, to its
// end.

// What an extended connection queues for sending, bytes: the least and the most, and what
// waits for its first sending at most: more would only leave the processor's caches
// meanwhile.
const (
	extendedQueue     = 256 << 10
	extendedQueueMost = 16 << 20
	extendedUnsent    = 1 << 20
)

// probationNumbers is the range in which the packet numbers of a connection on
// probation start.
const probationNumbers = 1 << 30

// extendedParams are what an end announces of itself (docs/extension.md §2.2).
var extendedParams = stream.Params{
	MaxMessage:  64 << 10,
	MaxData:     512 << 10,
	IdleTimeout: 30 * time.Second,
	AckDelay:    25 * time.Millisecond,
}

// extension is an extended connection's state beside the published one's.
type extension struct {
	*stream.Stream
	askedAt time.Time // when something was sent that the peer has to answer, and nothing was heard since; zero: nothing was
	una     uint64    // bytes acknowledged, when that was last looked at
	told    told      // what news were of last
	eof     bool      // the peer's end was told
	pinged  bool      // for the silence that there is
	watched bool      // in this silence it is for the layer below to find out whether the peer lives
	full    bool      // there was no room for a message: that there is will be news
}

// queueFull reports whether enough is queued. What was sent does not count against what
// waits: behind a lost packet it stays for a round trip or two, acknowledged or not, and the
// window is not to run empty meanwhile.
func (x *extension) queueFull() bool {
	queued := x.Queued()
	waits := min(x.Window(), extendedUnsent)
	return queued >= extendedQueue && (x.Unsent() >= waits || queued >= extendedQueueMost)
}

// told is what is news when it changes.
type told struct {
	delivered  bool
	maxMessage int
}

// Extended reports whether the connection has switched to the extended format.
func (c *Conn) Extended() bool { return c.x != nil }

// MaxMessage returns the size of the largest message that can be sent now: 1,024
// bytes until the peer has announced more.
func (c *Conn) MaxMessage() int {
	if c.x != nil {
		return c.x.MaxMessage()
	}
	return MaxMessage
}

// extend switches the connection to the extended format. What was sent before
// keeps its place (MSX-1.7). On probation packet numbers start where no earlier
// connection can have, so that a recording does not acknowledge them (MSX-7.6).
// trip is the round trip of the handshake; 0 if there was none. What earlier connections
// have learned is no substitute: the peer may have moved, and a controller that takes the
// path for shorter than it is hardly sends.
func (c *Conn) extend(now time.Time, trip time.Duration) {
	skip := uint64(0)
	if c.probation {
		skip = uint64(now.UnixMicro()) % probationNumbers
	}
	size := c.mux.cfg.packetSize(c.local, c.remote)
	x := stream.New(stream.Config{
		Skip:       skip,
		Local:      &extendedParams,
		PacketSize: size,
		Controller: c.congestion.New(size, trip, uint64(c.local.Port)<<32|uint64(c.remote.Port)),
		RTT:        c.snd.rtt.smoothed,
		RTTVar:     c.snd.rtt.variance,
		Path:       &c.peer.path,
		Budget:     &c.mux.budget,
		Alloc:      c.mux.cfg.alloc,
		Free:       c.mux.cfg.free,
		Opening:    true,
	})
	for i := range c.snd.queue[:c.snd.sent] {
		m := &c.snd.queue[i]
		bare := m.shutdown && len(m.buf) == HeaderLen
		if bare {
			c.mux.cfg.free(m.buf)
		} else {
			x.PushSent(m.buf, HeaderLen, m.sentAt, m.sends > 1)
		}
		if m.shutdown {
			x.ShutdownSent(bare, m.sentAt, m.sends > 1)
		}
	}
	x.Begin()
	for _, m := range c.snd.queue[c.snd.sent:] {
		if len(m.buf) > HeaderLen {
			x.Push(m.buf, HeaderLen)
		} else {
			c.mux.cfg.free(m.buf)
		}
	}
	if c.shutdown {
		x.Shutdown()
	}
	c.published = nil
	c.announceAt = time.Time{}
	c.ackNow, c.ackWanted = false, false
	c.x = &extension{Stream: x, askedAt: c.idle.lastSent}
	c.mux.stats.Extended++
}

// extends reports whether a published packet shows that the peer reads the
// extended format, and nothing was received before (MSX-1.4).
func (c *Conn) extends(p Packet) bool {
	return c.offers && !c.heard && p.Flags&(FlagExtended|FlagFirst|FlagStop) == FlagExtended|FlagFirst
}

// receiveOpening takes a published packet of a connection that has switched: one
// of the peer's opening (MSX-1.8).
func (c *Conn) receiveOpening(now time.Time, p Packet) {
	const want = FlagExtended | FlagFirst
	n := p.Seq.sub(c.mux.cfg.initialSeq)
	switch {
	case p.Flags&want != want:
		c.stats.Dropped++
		return
	case p.Kind != KindMessage:
		c.x.Ping() // our answer may be lost
	case n < 0 || n >= stream.FirstNumber:
		c.stats.Dropped++
		return
	default:
		c.heardData = true
		if err := c.x.Early(now, uint64(n), p.Payload, p.Flags&FlagShutdown != 0); err != nil {
			c.Stop()
			return
		}
	}
	c.heardExtended(now)
}

// readsExtended reports whether a packet of the extended format can be meant: by
// a peer to whom we have announced that we read it, and who has not answered in
// the other format (MSX-1.5). Elsewhere its first byte is a bit of the published
// header, which is ignored.
func (c *Conn) readsExtended() bool { return c.x != nil || c.offers && !c.heard }

// inputExtended takes a packet of the extended format, of connection c.
func (m *Mux) inputExtended(now time.Time, c *Conn, b []byte) {
	c.stats.PacketsReceived++
	if c.cause != Open {
		return
	}
	if c.x == nil {
		trip := time.Duration(0)
		if c.snd.sent == 0 {
			trip = c.firstAnswered(now)
		}
		c.extend(now, trip)
	}
	read := c.x.PacketsRead()
	if err := c.x.Input(now, b, c.mux.origin.Marked); err != nil {
		c.Stop()
		return
	}
	if c.x.PacketsRead() == read || c.probation && (!c.x.Proven() || !m.endProbation(c)) {
		return
	}
	c.heardExtended(now)
}

// heardExtended notes what a packet has brought: life, acknowledgements, data,
// the end.
func (c *Conn) heardExtended(now time.Time) {
	c.heardLife(now)
	c.noteOrigin()
	if !c.heard {
		c.heard = true
		c.announceAt = time.Time{}
		c.news()
	}
	if c.discard && c.x.Peek() && c.x.Delivered() {
		c.Stop() // nobody will ever read it (§8.1)
		return
	}
	c.settleExtended(now)
	c.mux.touch(c)
}

// settleExtended does what follows from the state of the stream.
func (c *Conn) settleExtended(now time.Time) {
	if c.probation {
		return
	}
	if smoothed, variance := c.peer.path.RTT(); smoothed > 0 { // by whichever connection measured last
		c.peer.rtt = rttState{smoothed: smoothed, variance: variance}
	}
	if acked := c.x.Acked(); acked != c.x.una {
		c.x.una = acked
		c.orphanAt = time.Time{} // there is progress: the time begins anew
		c.news()
	}
	if told := (told{c.x.Delivered(), c.x.MaxMessage()}); told != c.x.told {
		c.x.told = told
		c.news()
	}
	if c.x.Peek() {
		c.heardData = true
		if c.discard {
			c.x.Discard()
		}
		c.news()
	}
	c.endExtended()
}

// endExtended tells of the peer's end, once, and ends the connection if that of
// our direction is delivered as well.
func (c *Conn) endExtended() {
	if !c.x.EOF() {
		return
	}
	if !c.x.eof {
		c.x.eof = true
		c.news()
	}
	if c.cause == Open && c.x.Delivered() {
		c.end(Finished)
	}
}

// Consumed tells that the application is done with n bytes more
// ([stream.Inbox.Consumed]), so that the peer may send as much. It does nothing for
// a published connection, where taking is what counts.
func (c *Conn) Consumed(n int) {
	if c.x != nil && c.cause == Open && n > 0 {
		c.x.Consumed(n)
		c.mux.touch(c)
	}
}

// TakeTo moves what has arrived to the end of an inbox, and reports whether that was
// something: all that is there, and in the published format one message.
func (c *Conn) TakeTo(in *stream.Inbox) bool {
	if c.x == nil {
		b := c.Take()
		if b != nil {
			in.Push(b)
		}
		return b != nil
	}
	if c.probation || !c.x.Peek() {
		return false
	}
	c.x.Take(in)
	c.endExtended()
	return true
}

// HasMore reports whether TakeTo would move something.
func (c *Conn) HasMore() bool {
	if c.x == nil {
		return c.Peek() != nil
	}
	return !c.probation && c.x.Peek()
}

// advanceExtended does what is due at now, of a connection that is open.
func (c *Conn) advanceExtended(now time.Time) {
	if c.discardDue {
		c.discardDue = false
		c.settleExtended(now)
	}
	c.pingIfSilent(now)
	if c.cause != Open {
		return
	}
	c.x.Advance(now)
	if c.x.Leaves() {
		c.handOver()
	}
}

// outputExtended hands the packets that are due to the Mux, as far as it takes them
// now, and tells of the room that there is then.
func (c *Conn) outputExtended(now time.Time) {
	defer c.tellRoom()
	size := c.mux.cfg.packetSize(c.local, c.remote)
	c.x.SetPacketSize(size)
	for {
		if c.mux.more <= 0 {
			c.mux.touch(c)
			return
		}
		b := c.x.Output(now, c.mux.packetRoom(size))
		if len(b) == 0 {
			return
		}
		c.awaitAnswer(now)
		c.send(now, c.mux.packetBuilt(b))
	}
}

func (c *Conn) tellRoom() {
	if c.x.full && c.Room() > 0 {
		c.x.full = false
		c.news()
	}
}

// nextExtended returns when advance has something to do.
func (c *Conn) nextExtended() time.Time {
	at := earlier(c.x.NextTimeout(), c.extendedDeadAt())
	if !c.x.pinged {
		at = earlier(at, c.pingAt())
	}
	return earlier(at, c.orphanAt)
}

// extendedStats fills in what the stream counts.
func (c *Conn) extendedStats(s *Stats) {
	x := c.x.Stats()
	s.Extended = true
	s.MessagesSent, s.MessagesReceived = x.MessagesSent, x.MessagesReceived
	s.BytesAcked, s.BytesReceived = x.BytesAcked, x.BytesReceived
	s.Retransmitted, s.Spurious = x.PacketsLost, x.PacketsSpurious
	s.Timeouts, s.Duplicates = x.ProbeTimeouts, x.Duplicates
	s.Marked, s.Heeded = x.PacketsMarked, x.MarksHeeded
	s.Dropped += x.Malformed
	s.RTT, s.RTTVar = c.x.RTT()
	s.Window, s.InFlight, s.Queued = c.x.Window(), c.x.InFlight(), c.x.Queued()
}
