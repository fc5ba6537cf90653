package engine

import (
	"context"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"mesh.example/msp/engine/cc"
	"mesh.example/msp/engine/msp"
	"mesh.example/msp/engine/stream"
	"mesh.example/msp/mdpconn"
)

const (
	// machineQueue is how many messages the state machine holds for sending,
	// outQueue how many more a connection takes before Send blocks.
	machineQueue = 64
	outQueue     = 64
	// outBytes bounds those in bytes, as the messages of an extended connection
	// may be large.
	outBytes = 256 << 10
	// inQueue is how many messages wait for the reader before acknowledgements
	// are withheld (docs/protocol.md §5.4). In an extended connection the window
	// bounds what waits.
	inQueue = 128
	// readBatch is how much is read, in bytes, before the peer may be told of
	// more room.
	readBatch = 32 << 10
)

// A Conn is one connection, with blocking calls. All its methods may be called
// concurrently.
type Conn struct {
	// Constant.
	e        *Engine
	listener *Listener // nil if dialled
	tenancy  tenancy

	m *msp.Conn // turn-owned, save for the addresses, which are constant

	mu sync.Mutex
	// Guarded by mu.
	attended bool // in the engine's ready list
	reader   side
	writer   side
	watcher  waiters // of the connection's progress: dial, close

	in        stream.Inbox // what was received
	starved   bool         // the machine has messages that did not fit into in
	out       [][]byte     // messages for the machine, each behind room for its header
	outSize   int          // bytes in them
	largest   int          // bytes of the largest message that can be sent
	writing   bool         // somebody's messages are being queued
	connected bool         // the peer has answered
	eof       bool         // the peer's SHUTDOWN came, behind all of in
	err       error        // why it ended; nil while it is open, or finished
	ended     bool
	done      chan struct{} // closed when ended; nil until somebody asks
	early     bool          // the peer was heard, and only before there were session keys
	delivered bool          // everything, our SHUTDOWN included, is acknowledged
	flushed   bool          // every message is acknowledged, and out is empty
	quietAt   time.Time     // by then the peer has our last acknowledgement, most likely

	closed      bool // by Close
	readClosed  bool
	writeClosed bool
	stopping    bool // by Abort
}

// Dial opens a connection from an identity of the node, [mdpconn.Primary] being
// the first, to remote. A zero local port takes a free one. It returns when
// the peer has answered; if early is set at once, so that what is sent within
// the next 10 ms rides in the first packet. Errors are those of Bind,
// syscall.ECONNREFUSED, syscall.ETIMEDOUT and ctx's.
func (e *Engine) Dial(ctx context.Context, local, remote mdpconn.Addr, early bool) (*Conn, error) {
	return e.DialConfig(ctx, local, remote, DialConfig{Early: early})
}

// DialConfig sets what is special about a dial.
type DialConfig struct {
	// Early makes it return at once.
	Early bool
	// Published leaves the connection in the published format.
	Published bool
	// Congestion is how it avoids congestion in the extended format.
	Congestion cc.Algorithm
}

// DialConfig is Dial with more to choose.
func (e *Engine) DialConfig(ctx context.Context, local, remote mdpconn.Addr, cfg DialConfig) (*Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t, err := e.ports.claimFor(local, remote)
	if err != nil {
		return nil, err
	}
	local = t.port.addr()
	c := e.newConn()
	c.tenancy = t
	announce := time.Duration(0)
	if cfg.Early {
		announce = announceDelay
	}
	var dialErr error
	err = e.call(func(now time.Time) {
		if dialErr = e.down; dialErr != nil { // since the port was bound
			return
		}
		if c.m, dialErr = e.mux.Dial(now, toMSP(local), toMSP(remote), announce); dialErr != nil {
			dialErr = syscall.EADDRINUSE
			return
		}
		c.m.User = c
		c.m.SetCongestion(cfg.Congestion)
		if cfg.Published {
			c.m.StayPublished()
		}
	})
	if err == nil {
		err = dialErr
	}
	if err != nil {
		t.abandon()
		return nil, err
	}
	if cfg.Early {
		return c, nil
	}
	if err := c.awaitAnswer(ctx); err != nil {
		c.Abort()
		return nil, err
	}
	return c, nil
}

func (e *Engine) newConn() *Conn {
	return &Conn{
		e: e, flushed: true, largest: msp.MaxMessage,
		in: stream.Inbox{Alloc: allocBuffer, Free: freeBuffer},
	}
}

func (c *Conn) awaitAnswer(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.watcher.shrinkLocked() // mostly nobody watches again
	for !c.connected {
		if c.ended {
			return c.err
		}
		if err := c.watcher.waitLocked(ctx, &c.mu); err != nil && !c.connected {
			return err
		}
	}
	return nil
}

// LocalAddr and RemoteAddr return the connection's ends.
func (c *Conn) LocalAddr() mdpconn.Addr { return fromMSP(c.m.Local()) }

// RemoteAddr returns the peer's end.
func (c *Conn) RemoteAddr() mdpconn.Addr { return fromMSP(c.m.Remote()) }

// Early reports whether all that arrived of the connection came before there were
// session keys; what was read then may be a replay. See mspnet.Conn.Early.
func (c *Conn) Early() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.early
}

// Stats returns the connection's counters, also after its end; zero once its
// engine is closed.
func (c *Conn) Stats() (s msp.Stats) {
	c.e.call(func(time.Time) { s = c.m.Stats() })
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.Extended {
		s.Queued += c.outSize
	} else {
		s.Queued += len(c.out)
	}
	return s
}

// heed does what the application wants of the connection, in a turn.
func (c *Conn) heed(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attended = false
	c.pumpRequestsLocked()
	c.pumpLocked(now)
}

// pump moves messages and news between the machine and the application, in a turn.
func (c *Conn) pump(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pumpLocked(now)
}

func (c *Conn) pumpLocked(now time.Time) {
	c.m.Consumed(c.in.Consumed())
	c.pumpOutLocked()
	c.pumpInLocked()
	c.pumpStateLocked(now)
}

// pumpRequestsLocked passes on what the application wants of the connection.
func (c *Conn) pumpRequestsLocked() {
	if c.readClosed {
		c.m.Discard()
	}
	if c.closed {
		c.m.Leave()
	}
	if c.stopping {
		c.dropOutLocked()
		c.m.Stop()
	}
}

func (c *Conn) pumpOutLocked() {
	if c.stopping {
		return // no more of it, nor an end in order
	}
	sent := 0
	for sent < len(c.out) && c.m.Room() > 0 && c.m.Queue(c.out[sent]) == nil {
		c.outSize -= len(c.out[sent])
		sent++
	}
	if sent > 0 {
		c.out = slices.Delete(c.out, 0, sent)
		c.writer.wakeLocked()
	}
	if len(c.out) > 0 {
		return
	}
	if c.closed {
		c.m.Close()
	} else if c.writeClosed {
		c.m.Shutdown()
	}
}

// pumpInLocked takes messages as long as there is room, and all that are left
// of a connection that has ended.
func (c *Conn) pumpInLocked() {
	ended := c.m.Cause() != msp.Open
	got := false
	windowed := c.m.Extended() // the machine's window bounds c.in
	for (c.in.Len() < inQueue || windowed || ended) && c.m.TakeTo(&c.in) {
		got = true
	}
	c.starved = !windowed && c.in.Len() >= inQueue && c.m.HasMore()
	if got {
		c.reader.wakeLocked()
	}
}

func (c *Conn) pumpStateLocked(now time.Time) {
	changed := false
	note := func(flag *bool, now bool) {
		changed = changed || *flag != now
		*flag = now
	}
	c.largest = c.m.MaxMessage()
	note(&c.connected, c.connected || c.m.Connected())
	note(&c.early, c.m.Early())
	note(&c.delivered, c.m.Delivered())
	note(&c.flushed, c.m.Flushed() && len(c.out) == 0)
	if c.m.EOF() && !c.eof {
		c.eof, changed = true, true
		c.reader.wakeLocked()
	}
	if cause := c.m.Cause(); cause != msp.Open && !c.ended {
		changed = true
		c.endLocked(now, errorOf(cause))
	}
	if changed {
		c.watcher.wakeLocked()
	}
}

// endLocked notes that the machine is done with the connection.
func (c *Conn) endLocked(now time.Time, err error) {
	c.ended = true
	if c.err == nil {
		c.err = err
	}
	c.quietAt = now.Add(c.m.QuietTime())
	c.dropOutLocked()
	if c.closed || c.readClosed {
		c.in.Drop()
	}
	if c.listener != nil {
		c.listener.connEnded(c)
	} else {
		c.tenancy.port.disown()
	}
	c.e.drains(c)
	c.e.lingering.add(now, c.tenancy, func() { c.e.forgets(c) })
	if c.done != nil {
		close(c.done) // the port is free by now
	}
	c.reader.wakeLocked()
	c.writer.wakeLocked()
	c.watcher.wakeLocked()
}

// fail ends the connection for the application, in a turn.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && !c.ended {
		c.err = err
	}
}

func (c *Conn) dropOutLocked() {
	for _, b := range c.out {
		freeBuffer(b)
	}
	c.out, c.outSize = nil, 0
}

// errorOf returns what package net's users test for.
func errorOf(cause msp.Cause) error {
	switch cause {
	case msp.Refused:
		return syscall.ECONNREFUSED
	case msp.Reset:
		return syscall.ECONNRESET
	case msp.TimedOut:
		return syscall.ETIMEDOUT
	case msp.Aborted:
		return net.ErrClosed
	case msp.Failure:
		return syscall.EPIPE
	case msp.Restarted:
		return errRestarted
	}
	return nil
}
