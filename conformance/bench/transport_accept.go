package main

import (
	"context"
	"net"
	"sync"
)

// A chanListener makes a net.Listener of transports that accept in two steps: a
// connection, then its first stream.
type chanListener struct {
	conns  chan net.Conn
	done   chan struct{}
	addr   net.Addr
	closed func() error
}

func newChanListener(addr net.Addr, closeAll func() error) *chanListener {
	done := make(chan struct{})
	return &chanListener{conns: make(chan net.Conn, 1024), done: done, addr: addr,
		closed: sync.OnceValue(func() error { close(done); return closeAll() })}
}

func (l *chanListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *chanListener) put(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.done:
		c.Close()
	}
}

// acceptStreams puts the streams of all connections that accept gives, until it fails.
func acceptStreams[C interface {
	AcceptStream(context.Context) (S, error)
}, S any](l *chanListener, accept func(context.Context) (C, error), join func(C, S) net.Conn) {
	for {
		c, err := accept(context.Background())
		if err != nil {
			return
		}
		go func() {
			for {
				s, err := c.AcceptStream(context.Background())
				if err != nil {
					return
				}
				l.put(join(c, s))
			}
		}()
	}
}

func (l *chanListener) Addr() net.Addr { return l.addr }
func (l *chanListener) Close() error   { return l.closed() }
