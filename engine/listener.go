package engine

import (
	"context"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"mesh.example/msp/engine/cc"
	"mesh.example/msp/engine/msp"
	"mesh.example/msp/mdpconn"
)

// A Listener takes the connections that peers open to one address. All its
// methods may be called concurrently.
type Listener struct {
	// Constant.
	e    *Engine
	port *port

	m *msp.Listener // turn-owned

	mu sync.Mutex
	// Guarded by mu.
	acceptor side
	queue    []*Conn
	err      error // net.ErrClosed once closed
}

// ListenConfig sets what a listener does with openings.
type ListenConfig struct {
	// Backlog bounds the connections that wait for Accept; more openings are
	// dropped in silence, so that a retry succeeds. If zero, 128.
	Backlog int
	// Allow, if set, is asked for each opening; false refuses it. It runs in a turn of
	// the engine, on a goroutine that receives or the engine's, must not block and must not
	// call the engine.
	Allow func(mdpconn.SID) bool
	// Published leaves the connections in the published format.
	Published bool
	// Congestion is how they avoid congestion in the extended format.
	Congestion cc.Algorithm
}

// Listen binds an address of the node: of one identity, of the primary, or of
// all. A zero port takes a free one. The error is that of Bind.
func (e *Engine) Listen(local mdpconn.Addr, cfg ListenConfig) (*Listener, error) {
	defer e.opens(local.Port)()
	p, err := e.ports.claim(local)
	if err != nil {
		return nil, err
	}
	l := &Listener{e: e, port: p}
	backlog := cfg.Backlog
	if backlog <= 0 {
		backlog = defaultBacklog
	}
	var listenErr error
	err = e.call(func(time.Time) {
		if l.m, listenErr = e.mux.Listen(toMSP(p.addr()), backlog); listenErr != nil {
			return
		}
		l.m.User = l
		l.m.Published, l.m.Congestion = cfg.Published, cfg.Congestion
		if cfg.Allow != nil {
			l.m.Allow = func(remote msp.Addr) bool { return cfg.Allow(remote.SID) }
		}
	})
	if err == nil && listenErr != nil {
		err = syscall.EADDRINUSE
	}
	if err != nil {
		p.abandon()
		return nil, err
	}
	return l, nil
}

// Addr returns the bound address.
func (l *Listener) Addr() mdpconn.Addr { return l.port.addr() }

// incoming makes a connection of one that a peer has opened. It runs in a
// turn. A connection that ended before anyone saw it is not shown.
func (e *Engine) incoming(m *msp.Conn) *Conn {
	l, _ := m.Listener().User.(*Listener)
	if m.Cause() != msp.Open {
		m.Discard()
		m.Accept()
		return nil
	}
	c := e.newConn()
	c.m, c.listener, c.early = m, l, m.Early()
	var err error
	if c.tenancy, err = l.port.rent(m.Local().SID, m.Remote().SID); err != nil {
		m.Fail()
		m.Accept()
		return nil
	}
	m.User = c
	l.mu.Lock()
	l.queue = append(l.queue, c)
	l.acceptor.wakeLocked()
	l.mu.Unlock()
	return c
}

// Accept waits for the next connection. It fails with os.ErrDeadlineExceeded,
// with net.ErrClosed after Close, and with ctx's error; never for what a peer
// did.
func (l *Listener) Accept(ctx context.Context) (*Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.acceptor.passed:
			return nil, os.ErrDeadlineExceeded
		case l.err != nil:
			return nil, l.err
		case len(l.queue) > 0:
			c := l.queue[0]
			l.queue[0] = nil
			l.queue = l.queue[1:]
			l.e.post(func(time.Time) { c.m.Accept() })
			return c, nil
		}
		if err := l.acceptor.waitLocked(ctx, &l.mu); err != nil {
			return nil, err
		}
	}
}

// connEnded takes a connection that was reset before anyone accepted it out of
// the queue, unless it has something to read. It runs in a turn; the caller
// holds c.mu.
func (l *Listener) connEnded(c *Conn) {
	if c.in.Ready() || c.eof {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, q := range l.queue {
		if q == c {
			c.m.Accept()
			l.queue = append(l.queue[:i:i], l.queue[i+1:]...)
			return
		}
	}
}

// SetDeadline bounds Accept, also one that is blocked; zero means no bound.
func (l *Listener) SetDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.acceptor.setDeadlineLocked(t, &l.mu)
	return nil
}

// Close stops listening. Accepted connections live on; those that wait for
// Accept are stopped. A second Close is net.ErrClosed.
func (l *Listener) Close() error {
	if !l.fail(net.ErrClosed) {
		return net.ErrClosed
	}
	l.e.call(func(time.Time) {
		l.m.Close()
		l.port.abandon()
	})
	return nil
}

// fail ends Accept. It reports false if that was done before.
func (l *Listener) fail(err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return false
	}
	l.err = err
	l.queue = nil
	l.acceptor.stopLocked()
	l.acceptor.wakeLocked()
	return true
}
