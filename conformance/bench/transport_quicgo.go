package main

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// quicGoConn is one bidirectional stream seen as a net.Conn.
type quicGoConn struct {
	*quic.Stream
	qc   *quic.Conn
	owns bool // closing the stream closes the connection
}

func (c *quicGoConn) LocalAddr() net.Addr  { return c.qc.LocalAddr() }
func (c *quicGoConn) RemoteAddr() net.Addr { return c.qc.RemoteAddr() }
func (c *quicGoConn) Close() error {
	c.Stream.CancelRead(0)
	err := c.Stream.Close()
	if c.owns {
		// Give the FIN a moment on the wire before the connection goes.
		time.AfterFunc(2*time.Second, func() { c.qc.CloseWithError(0, "") })
	}
	return err
}

func quicGoConfig() *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout: 30 * time.Second,
		MaxIdleTimeout:       10 * time.Minute,
		KeepAlivePeriod:      keepAlive,
		MaxIncomingStreams:   1 << 20,
	}
}

var quicGoClientTransport = sync.OnceValues(func() (*quic.Transport, error) {
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		return nil, err
	}
	return &quic.Transport{Conn: pc}, nil
})

func quicGoListen(addr string) (net.Listener, error) {
	ua, err := net.ResolveUDPAddr("udp4", addr)
	if err != nil {
		return nil, err
	}
	pc, err := net.ListenUDP("udp4", ua)
	if err != nil {
		return nil, err
	}
	tr := &quic.Transport{Conn: pc}
	ql, err := tr.Listen(serverTLS("bench"), quicGoConfig())
	if err != nil {
		return nil, err
	}
	l := newChanListener(ql.Addr(), ql.Close)
	go acceptStreams(l, ql.Accept, func(qc *quic.Conn, s *quic.Stream) net.Conn { return &quicGoConn{Stream: s, qc: qc} })
	return l, nil
}

func quicGoDialConn(addr string) (*quic.Conn, error) {
	tr, err := quicGoClientTransport()
	if err != nil {
		return nil, err
	}
	ua, err := net.ResolveUDPAddr("udp4", addr)
	if err != nil {
		return nil, err
	}
	return tr.Dial(context.Background(), ua, clientTLS("bench"), quicGoConfig())
}

func quicGoDial(addr string) (net.Conn, error) {
	qc, err := quicGoDialConn(addr)
	if err != nil {
		return nil, err
	}
	s, err := qc.OpenStream()
	if err != nil {
		return nil, err
	}
	return &quicGoConn{Stream: s, qc: qc, owns: true}, nil
}

var quicMux struct {
	sync.Mutex
	qc *quic.Conn
}

func quicGoMuxDial(addr string) (net.Conn, error) {
	quicMux.Lock()
	defer quicMux.Unlock()
	if quicMux.qc == nil || quicMux.qc.Context().Err() != nil {
		qc, err := quicGoDialConn(addr)
		if err != nil {
			return nil, err
		}
		quicMux.qc = qc
	}
	s, err := quicMux.qc.OpenStreamSync(context.Background())
	if err != nil {
		return nil, err
	}
	return &quicGoConn{Stream: s, qc: quicMux.qc}, nil
}

func init() {
	register(Transport{Name: "quic-go", Secure: "e2e", Note: "quic-go, one QUIC connection and one bidirectional stream per Dial, shared client UDP socket, default windows (6 MB stream / 15 MB connection)",
		Listen: quicGoListen, Dial: quicGoDial})
	register(Transport{Name: "quic-go-mux", Secure: "e2e", Note: "quic-go, every Dial after the first opens a stream on the same QUIC connection", LoopbackOnly: true,
		Listen: quicGoListen, Dial: quicGoMuxDial})
}
