package msp

import (
	"errors"
	"slices"
	"time"

	"mesh.example/msp/engine/stream"
)

// ErrInUse is the error of Dial and Listen for an address that is taken.
var ErrInUse = errors.New("msp: address in use")

// Emit takes one packet to send. data is valid until the next call of the Mux.
type Emit func(local, remote Addr, data []byte)

// A Mux holds all connections and listeners of one MDP node and tells packets
// apart by their 4-tuple (§1). It is not safe for concurrent use.
type Mux struct {
	cfg       Config
	conns     map[tuple]*Conn
	listeners map[Addr]*Listener
	peers     peerTable
	closed    closedTable
	stops     stopLimiter
	again     stopAgains
	timers    timerHeap
	stats     MuxStats
	byPeers   int           // connections that peers opened
	budget    stream.Budget // of the windows of extended connections

	origin Origin  // of the packet at hand
	dirty  []*Conn // to be polled
	more   int     // bytes that this Poll may still emit
	events []*Conn // with news for the driver
	told   int     // how many of them it was given
	out    Emit    // during Poll
	owed   []reply // packets that belong to no connection
	arena  []byte  // of packets that are built, until the next Poll
}

// reply is a packet in answer to one of an unknown connection.
type reply struct {
	tuple
	packet   Packet
	extended []byte // in place of packet, if not nil
}

// NewMux returns an empty Mux.
func NewMux(cfg Config) *Mux {
	return &Mux{
		cfg:       cfg,
		conns:     make(map[tuple]*Conn),
		listeners: make(map[Addr]*Listener),
		peers:     newPeerTable(),
		closed:    newClosedTable(),
		stops:     newStopLimiter(),
		budget:    stream.Budget{Limit: windowBudget},
	}
}

// Dial opens a connection. Its first packet leaves with the next Poll if a
// message is queued by then, else after announce (§6.1). The local address must
// name an identity and a port. It fails with [ErrInUse] if the 4-tuple is open
// or lingers.
func (m *Mux) Dial(now time.Time, local, remote Addr, announce time.Duration) (*Conn, error) {
	t := tuple{local, remote}
	if m.conns[t] != nil || m.closed.get(now, t).lingers(now) {
		return nil, ErrInUse
	}
	c := m.newConn(now, t)
	c.announceAt = now.Add(announce)
	c.offers = m.cfg.Extended
	m.stats.Opened++
	m.touch(c)
	return c, nil
}

func (m *Mux) newConn(now time.Time, t tuple) *Conn {
	c := &Conn{mux: m, local: t.local, remote: t.remote, timer: -1}
	c.idle = idleState{lastSent: now, lastHeard: now}
	c.peer = m.peers.join(c)
	c.published = new(published)
	c.snd = sender{
		window: newWindow(), rtt: c.peer.rtt, stats: &c.stats,
		una: m.cfg.initialSeq, recovery: m.cfg.initialSeq,
	}
	c.snd.rtt.roundEnd = m.cfg.initialSeq
	c.rcv.next = m.cfg.initialSeq
	m.conns[t] = c
	return c
}

// Input takes an MSP packet that arrived for a bound port. b is not kept.
func (m *Mux) Input(now time.Time, local, remote Addr, b []byte) {
	m.InputFrom(now, local, remote, b, Origin{})
}

// InputFrom is Input with what is known of the packet.
func (m *Mux) InputFrom(now time.Time, local, remote Addr, b []byte, from Origin) {
	m.origin = from
	p, err := ParsePacket(b)
	if err != nil {
		m.stats.Malformed++
		return
	}
	t := tuple{local, remote}
	c := m.conns[t]
	switch {
	case c == nil:
		m.inputUnknown(now, t, b, p)
	case m.cfg.Extended && stream.IsPacket(b) && c.readsExtended():
		m.inputExtended(now, c, b)
	case c.cause != Open:
		// It ended in this very turn and is not remembered yet; what matters
		// will be repeated.
	case c.probation:
		m.inputProbation(now, c, b, p)
	default:
		c.receive(now, p)
	}
}

// InputUnbound takes an MSP packet that arrived for a port that nobody bound.
// If answer is set, an opening is refused with STOP; nothing else is ever
// answered, save the retransmissions of a connection that lingers (§10).
func (m *Mux) InputUnbound(now time.Time, local, remote Addr, b []byte, answer bool) {
	p, err := ParsePacket(b)
	if err != nil {
		m.stats.Malformed++
		return
	}
	m.stats.Unknown++
	t := tuple{local, remote}
	r := m.closed.get(now, t)
	switch {
	case p.Flags&FlagStop != 0:
		r.stopReceived(now)
	case m.reacknowledge(now, r, b, p):
	case answer && p.isFreshFirst():
		m.stop(now, t)
	}
}

// inputUnknown handles a packet of no open connection, b, decoded p: an opening, a
// retransmission to one that lingers, or a stray that is told to STOP (§10). One of
// the extended format counts as one without FIRST (MSX-7.5), as which it is read.
func (m *Mux) inputUnknown(now time.Time, t tuple, b []byte, p Packet) {
	if l := m.listener(t.local); l != nil && p.isFreshFirst() {
		m.open(now, l, t, p)
		return
	}
	m.stats.Unknown++
	r := m.closed.get(now, t)
	switch {
	case p.Flags&FlagStop != 0: // "A STOP MUST NOT be answered, least of all with STOP" (§8.3)
		r.stopReceived(now)
	case m.reacknowledge(now, r, b, p):
	case m.cfg.Silent && p.isFreshFirst():
	case r.answersStray(p):
		m.stop(now, t)
	}
}

// stop owes a STOP to the sender of a stray packet, within the limits of §10.
func (m *Mux) stop(now time.Time, t tuple) {
	if !m.stops.allow(now, t) {
		m.stats.StopsSuppressed++
		return
	}
	m.stats.StopsSent++
	m.owed = append(m.owed, reply{tuple: t, packet: Packet{Flags: FlagStop}})
}

// touch puts c in the list of connections to poll.
func (m *Mux) touch(c *Conn) {
	if !c.dirty {
		c.dirty = true
		m.dirty = append(m.dirty, c)
	}
}

// Advance finds what is due at now; Poll sends it.
func (m *Mux) Advance(now time.Time) {
	for c := m.timers.due(now); c != nil; c = m.timers.due(now) {
		m.touch(c)
	}
	m.again.due(now, func(t tuple) bool {
		r := m.closed.get(now, t)
		newest := m.conns[t] == nil && r != nil && r.cause == Aborted // none has taken the 4-tuple since
		if newest {
			m.owed = append(m.owed, reply{tuple: t, packet: Packet{Flags: FlagStop}})
		}
		return newest
	})
}

// NextTimeout returns when Advance must be called next; zero if there is
// nothing to wait for. It is up to date after Poll.
func (m *Mux) NextTimeout() time.Time { return earlier(m.timers.next(), m.again.next()) }

// pollBytes is about how much one Poll emits: few enough that packets are sealed
// while the processor has them at hand, that their times are true, and that what
// arrives meanwhile does not wait long.
const pollBytes = 256 << 10

// Poll hands packets that are due to emit. If there are very many it stops, and
// [Mux.Pending] tells that there is more.
func (m *Mux) Poll(now time.Time, emit Emit) {
	m.arena = m.arena[:0]
	m.out = emit
	m.more = pollBytes
	for _, r := range m.owed {
		if r.extended == nil {
			r.extended = m.scratch(r.packet)
		}
		emit(r.local, r.remote, r.extended)
	}
	m.owed = m.owed[:0]
	done := 0
	for ; done < len(m.dirty) && m.more > 0; done++ { // grows while it is walked
		c := m.dirty[done]
		c.advance(now)
		c.dirty = false
		c.output(now)
		if c.cause != Open {
			m.forget(now, c)
		}
		m.timers.set(c, c.nextTimeout())
	}
	m.dirty = slices.Delete(m.dirty, 0, done)
	m.out = nil
}

func (m *Mux) emit(local, remote Addr, data []byte) {
	m.more -= len(data)
	m.out(local, remote, data)
}

// scratch encodes a packet without a message in memory that lives until the
// next Poll.
func (m *Mux) scratch(p Packet) []byte {
	start := len(m.arena)
	m.arena = AppendPacket(m.arena, p)
	return m.arena[start:len(m.arena):len(m.arena)]
}

// packetRoom returns room for a packet of n bytes to be built in the arena, which
// packetBuilt then takes.
func (m *Mux) packetRoom(n int) []byte {
	if cap(m.arena)-len(m.arena) < n {
		m.arena = make([]byte, 0, max(2*cap(m.arena), 4*n))
	}
	return m.arena[len(m.arena):len(m.arena)]
}

func (m *Mux) packetBuilt(b []byte) []byte {
	m.arena = m.arena[:len(m.arena)+len(b)]
	return b[:len(b):len(b)]
}

// forget removes an ended connection and remembers that it was.
func (m *Mux) forget(now time.Time, c *Conn) {
	t := tuple{c.local, c.remote}
	if m.conns[t] != c {
		return
	}
	delete(m.conns, t)
	m.peers.leave(c)
	if c.listener != nil {
		m.byPeers--
	}
	if c.probation {
		c.Accept()
		return
	}
	m.closed.add(now, t, c)
}

// NextEvent returns a connection that has news: it was opened by a peer, heard
// the peer, has a message, has room, was acknowledged, or ended. It returns nil
// when there are no more.
func (m *Mux) NextEvent() *Conn {
	if len(m.events) == 0 {
		return nil
	}
	c := m.events[m.told]
	m.events[m.told] = nil
	if m.told++; m.told == len(m.events) {
		m.events, m.told = m.events[:0], 0
	}
	c.newsDue = false
	return c
}

// Conns calls f for every connection that is open and not on probation.
func (m *Mux) Conns(f func(*Conn)) {
	for _, c := range m.conns {
		if !c.probation {
			f(c)
		}
	}
}

// Stats returns the Mux's counters.
func (m *Mux) Stats() MuxStats {
	s := m.stats
	s.Conns, s.ConnsLimit = len(m.conns), m.cfg.maxConns()
	s.Listeners = len(m.listeners)
	s.Remembered, s.RememberedLimit = m.closed.len(), rememberLimit
	return s
}

// keepAliveGroup lets connections to c's peer whose keep-alive falls due soon
// send theirs together with c's, so that they share an overlay packet (§7).
func (m *Mux) keepAliveGroup(now time.Time, c *Conn) {
	limit := now.Add(keepAliveGroup)
	for _, d := range c.peer.conns {
		if d.x != nil || d.ackNow || !d.heard || d.probation || d.cause != Open || d.local.SID != c.local.SID {
			continue
		}
		if !d.idle.keepAliveAt().After(limit) {
			d.keepAlive(now)
			m.touch(d)
		}
	}
}

// Pending reports whether Poll has something to do.
func (m *Mux) Pending() bool { return len(m.dirty) > 0 || len(m.owed) > 0 }

// Listeners calls f for every listener.
func (m *Mux) Listeners(f func(*Listener)) {
	for _, l := range m.listeners {
		f(l)
	}
}
