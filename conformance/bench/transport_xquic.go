package main

import (
	"context"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/net/quic"
)

// dlContext is a context whose expiry can be moved: it gives deadlines to
// x/net/quic streams, which only know contexts.
type dlContext struct {
	mu    sync.Mutex
	ch    chan struct{}
	timer *time.Timer
}

func newDLContext() *dlContext { return &dlContext{ch: make(chan struct{})} }

func (c *dlContext) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	select {
	case <-c.ch:
		c.ch = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return
	}
	ch := c.ch
	d := time.Until(t)
	if d <= 0 {
		close(ch)
		return
	}
	c.timer = time.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ch == ch {
			select {
			case <-ch:
			default:
				close(ch)
			}
		}
	})
}

func (c *dlContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *dlContext) Value(any) any               { return nil }
func (c *dlContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ch
}
func (c *dlContext) Err() error {
	select {
	case <-c.Done():
		return os.ErrDeadlineExceeded
	default:
		return nil
	}
}

type xquicConn struct {
	s      *quic.Stream
	qc     *quic.Conn
	local  net.Addr
	remote net.Addr
	rctx   *dlContext
	wctx   *dlContext
	owns   bool
}

func newXquicConn(s *quic.Stream, qc *quic.Conn, owns bool) *xquicConn {
	c := &xquicConn{s: s, qc: qc, owns: owns, rctx: newDLContext(), wctx: newDLContext()}
	c.local = net.UDPAddrFromAddrPort(qc.LocalAddr())
	c.remote = net.UDPAddrFromAddrPort(qc.RemoteAddr())
	s.SetReadContext(c.rctx)
	s.SetWriteContext(c.wctx)
	return c
}

func (c *xquicConn) Read(b []byte) (int, error) { return c.s.Read(b) }
func (c *xquicConn) Write(b []byte) (int, error) {
	n, err := c.s.Write(b)
	if err == nil {
		err = c.s.Flush()
	}
	return n, err
}
func (c *xquicConn) LocalAddr() net.Addr                { return c.local }
func (c *xquicConn) RemoteAddr() net.Addr               { return c.remote }
func (c *xquicConn) SetReadDeadline(t time.Time) error  { c.rctx.set(t); return nil }
func (c *xquicConn) SetWriteDeadline(t time.Time) error { c.wctx.set(t); return nil }
func (c *xquicConn) SetDeadline(t time.Time) error {
	c.rctx.set(t)
	c.wctx.set(t)
	return nil
}
func (c *xquicConn) Close() error {
	c.s.CloseWrite()
	c.s.CloseRead()
	if c.owns {
		time.AfterFunc(2*time.Second, func() { c.qc.Abort(nil) })
	}
	return nil
}

func xquicConfig(server bool) *quic.Config {
	tc := clientTLS("bench")
	if server {
		tc = serverTLS("bench")
	}
	return &quic.Config{
		TLSConfig:                tc,
		MaxBidiRemoteStreams:     1 << 20,
		MaxStreamReadBufferSize:  6 << 20,
		MaxStreamWriteBufferSize: 6 << 20,
		MaxConnReadBufferSize:    15 << 20,
		HandshakeTimeout:         30 * time.Second,
		MaxIdleTimeout:           10 * time.Minute,
		KeepAlivePeriod:          keepAlive,
	}
}

func xquicListen(addr string) (net.Listener, error) {
	ep, err := quic.Listen("udp4", addr, xquicConfig(true))
	if err != nil {
		return nil, err
	}
	l := newChanListener(net.UDPAddrFromAddrPort(ep.LocalAddr()), func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return ep.Close(ctx)
	})
	go acceptStreams(l, ep.Accept, func(qc *quic.Conn, s *quic.Stream) net.Conn { return newXquicConn(s, qc, false) })
	return l, nil
}

var xquicClient = sync.OnceValues(func() (*quic.Endpoint, error) {
	return quic.Listen("udp4", "0.0.0.0:0", nil)
})

func xquicDial(addr string) (net.Conn, error) {
	ep, err := xquicClient()
	if err != nil {
		return nil, err
	}
	qc, err := ep.Dial(context.Background(), "udp4", addr, xquicConfig(false))
	if err != nil {
		return nil, err
	}
	s, err := qc.NewStream(context.Background())
	if err != nil {
		return nil, err
	}
	return newXquicConn(s, qc, true), nil
}

func init() {
	register(Transport{Name: "xnet-quic", Secure: "e2e", Note: "golang.org/x/net/quic (documented as untuned), one connection and one stream per Dial, shared client endpoint, 6 MB stream windows, Flush after every Write",
		Listen: xquicListen, Dial: xquicDial})
}
