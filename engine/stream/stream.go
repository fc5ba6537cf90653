package stream

import (
	"time"

	"mesh.example/msp/engine/cc"
)

// Config sets up a [Stream].
type Config struct {
	Local      *Params       // what is announced to the peer; not changed afterwards
	PacketSize int           // of a full packet, bytes (MSX-6.2)
	Controller cc.Controller // the connection's own
	RTT        time.Duration // what is known of the peer, smoothed; zero: nothing
	RTTVar     time.Duration // its variation
	Path       *Path         // shared by the streams to one peer; nil: nothing is
	Budget     *Budget       // of all connections of the node; nil: windows do not grow
	Alloc      func(n int) []byte
	Free       func([]byte)
	// Opening tells that packets of the published format came before, sent or
	// received (MSX-1.7).
	Opening bool
	// Skip is how many packet numbers are left out at the beginning.
	Skip uint64
}

// settings are what a stream keeps of its Config.
type settings struct {
	Local      *Params
	PacketSize int
	Path       *Path
	Skip       uint64
}

// A Stream is one connection in the extended format: both directions, without
// its opening and its addresses. Its methods are called by one caller at a time,
// with times that do not go back:
//
//	s.Input(now, packet, marked)     // for each packet that arrived
//	s.Push(message, room), s.Take(inbox) … // what the application wants
//	s.Advance(now)                   // when s.NextTimeout() is due
//	for b := s.Output(now, buf); …   // afterwards: packets that are due
type Stream struct {
	cfg   settings
	peer  Params // announced by the peer, or what holds until then
	snd   sendBuffer
	rcv   receiveBuffer
	win   receiveWindow
	acks  ackState
	loss  lossState
	marks markState
	rtt   rttState
	cc    cc.Controller
	pacer cc.Pacer
	stats Stats

	handover handover

	limit uint64 // the peer's newest MAX_DATA

	paramsDue  bool // ours are to be said
	paramsRead bool // the peer's are known
	pingDue    bool
	ackRateDue bool
	quietAcks  bool      // no ACK is sent yet (MSX-7.6)
	answered   bool      // the packet at hand acknowledges one of this format
	proven     bool      // and in the same packet the peer named its parameters
	probes     int8      // packets that may leave whatever the window says
	probeAt    uint64    // where the next probe reads
	secondAt   time.Time // when the second probe leaves; zero: none does
	ackRate    ackRate   // said last
}

// ackRate is an ACK_RATE.
type ackRate struct {
	packets int
	delay   time.Duration
}

// Stats are a stream's counters.
type Stats struct {
	PacketsSent, PacketsReceived   uint64
	BytesAcked, BytesReceived      uint64 // of messages: acknowledged by the peer; new from the peer, in order
	DataSent                       uint64 // bytes of the stream, repeated ones too
	PacketsLost, PacketsSpurious   uint64
	PacketsMarked, MarksHeeded     uint64 // received with a mark of congestion; sent, that the peer says had one
	ProbeTimeouts, Duplicates      uint64
	Malformed                      uint64
	MessagesReceived, MessagesSent uint64
}

// New returns a stream at its beginning.
func New(cfg Config) *Stream {
	s := &Stream{cfg: settings{cfg.Local, cfg.PacketSize, cfg.Path, cfg.Skip}, peer: unannounced, cc: cfg.Controller, paramsDue: true}
	s.snd.free = cfg.Free
	s.rcv.alloc, s.rcv.free, s.rcv.maxMessage = cfg.Alloc, cfg.Free, cfg.Local.MaxMessage
	s.rcv.inbox = Inbox{Alloc: cfg.Alloc, Free: cfg.Free}
	s.win = newReceiveWindow(cfg.Local.MaxData, cfg.Budget)
	s.acks = newAckState()
	s.loss = newLossState()
	if !cfg.Opening {
		s.Begin()
	}
	s.limit = s.peer.MaxData
	if cfg.RTT > 0 {
		s.rtt = rttState{latest: cfg.RTT, smoothed: cfg.RTT, variance: cfg.RTTVar, least: cfg.RTT}
	}
	return s
}

// MaxMessage is the size of the largest message that the peer takes, bytes.
func (s *Stream) MaxMessage() int { return s.peer.MaxMessage }

// Peer returns what the peer has announced, or what holds until it has.
func (s *Stream) Peer() Params { return s.peer }

// Queued is how many bytes wait for the peer's acknowledgement.
func (s *Stream) Queued() int { return int(s.snd.queued()) }

// Unsent is how many of them have not left yet.
func (s *Stream) Unsent() int { return int(s.snd.end - s.snd.next) }

// Window is how many bytes the congestion controller lets be in flight.
func (s *Stream) Window() int { return s.cc.Window() }

// InFlight is how many are.
func (s *Stream) InFlight() int { return s.loss.inFlight }

// RTT returns the smoothed round trip and its variation; zero while nothing is
// measured.
func (s *Stream) RTT() (smoothed, variance time.Duration) { return s.rtt.smoothed, s.rtt.variance }

// Stats returns the stream's counters.
func (s *Stream) Stats() Stats {
	st := s.stats
	st.BytesAcked = s.snd.delivered
	st.PacketsMarked = s.acks.marked
	st.BytesReceived, st.MessagesReceived = s.rcv.received, s.rcv.messages
	return st
}

// Push queues a message, which lies in buf behind room bytes, 4 at least, and
// is the stream's from now on. The caller sees to its size.
func (s *Stream) Push(buf []byte, room int) {
	s.snd.push(buf, room)
	s.stats.MessagesSent++
}

// PushSent is Push for a message that was sent in the published format before,
// last at sentAt. again tells that it was sent more than once. All of them are
// pushed first, in order.
func (s *Stream) PushSent(buf []byte, room int, sentAt time.Time, again bool) {
	s.snd.push(buf, room)
	s.sentEarly(len(buf), span{s.snd.next, s.snd.end}, sentAt, again)
}

// ShutdownSent is PushSent for a SHUTDOWN: bare, in a packet of its own, or with
// the message that was pushed last.
func (s *Stream) ShutdownSent(bare bool, sentAt time.Time, again bool) {
	s.snd.fin = finSent
	if bare {
		s.sentEarly(HeaderLen, span{s.snd.end, s.snd.end}, sentAt, again)
	}
	s.loss.at(s.loss.next - 1).carries |= carriesFin
}

func (s *Stream) sentEarly(size int, r span, at time.Time, again bool) {
	p := s.loss.add()
	p.spans[0], p.again = r, again
	s.cc.Sent(at, &p.Packet, size, s.loss.inFlight)
	s.loss.sent(p, at)
	s.snd.next = r.end
}

// Shutdown ends the sending direction behind what is queued.
func (s *Stream) Shutdown() { s.snd.shutdown() }

// Begin ends the opening: what leaves from now on is of this format.
func (s *Stream) Begin() { s.loss.begin(FirstNumber + s.cfg.Skip) }

// Delivered reports whether Shutdown was called and the peer has acknowledged
// everything.
func (s *Stream) Delivered() bool { return s.snd.done() }

// Flushed reports whether the peer has acknowledged all messages.
func (s *Stream) Flushed() bool { return s.snd.una == s.snd.end }

// Peek reports whether something has arrived to be taken.
func (s *Stream) Peek() bool { return s.rcv.inbox.Len() > 0 }

// Take moves what has arrived in order to the end of an Inbox.
func (s *Stream) Take(to *Inbox) { to.TakeAll(&s.rcv.inbox) }

// Discard drops it.
func (s *Stream) Discard() {
	s.rcv.inbox.Drop()
	s.Consumed(s.rcv.inbox.Consumed())
}

// Consumed tells that the application is done with n more bytes of the stream
// (Inbox.Consumed), so that the peer may send as many.
func (s *Stream) Consumed(n int) { s.win.consumed(s.win.read + uint64(n)) }

// EOF reports whether the peer's direction has ended and all of it was taken.
func (s *Stream) EOF() bool { return s.rcv.ended() && s.rcv.inbox.Len() == 0 }

// Ping asks the peer for a sign of life.
func (s *Stream) Ping() { s.pingDue = true }

// Shrink gives back the memory that an idle stream does not need.
func (s *Stream) Shrink() {
	s.loss.shrink()
	s.snd.chunks.shrink()
	s.rcv.shrink()
}

// HoldAcks keeps ACKs back until ReleaseAcks (MSX-7.6).
func (s *Stream) HoldAcks() { s.quietAcks = true }

// ReleaseAcks ends that.
func (s *Stream) ReleaseAcks() { s.quietAcks = false }

// Proven reports whether a packet acknowledged one of ours and named the peer's
// parameters. Only a peer that lives and has this connection sends such a packet:
// one that lingers names no parameters, and a recording acknowledges nothing that
// was sent now (MSX-7.6).
func (s *Stream) Proven() bool { return s.proven }

// SetPacketSize tells the size of full packets from now on.
func (s *Stream) SetPacketSize(n int) {
	if n != s.cfg.PacketSize {
		s.cfg.PacketSize = n
		s.cc.SetPacketSize(n)
	}
}

// Drop frees what is queued for sending, and what lies behind gaps; with all
// also what arrived in order. The stream is at its end.
func (s *Stream) Drop(all bool) {
	s.snd.drop()
	if all {
		s.rcv.drop()
	} else {
		s.rcv.dropGaps()
	}
	s.win.release()
}

// Next returns the number that the next packet would get: of use to who answers
// in the stream's place when it is gone.
func (s *Stream) Next() uint64 { return s.loss.next }

// Largest is the newest packet number that was received.
func (s *Stream) Largest() uint64 {
	largest, _ := s.acks.largest()
	return largest
}

// PacketsRead is how many packets were taken that were no duplicates.
func (s *Stream) PacketsRead() uint64 { return s.stats.PacketsReceived }

// Asking reports whether the peer owes an acknowledgement.
func (s *Stream) Asking() bool { return s.loss.outstanding > 0 }

// Acked is how many bytes of the stream are acknowledged without a gap.
func (s *Stream) Acked() uint64 { return s.snd.una }
