package mspnet_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"mesh.example/msp/engine/msp"
	"mesh.example/msp/internal/stocktest"
	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/servald"
	"mesh.example/msp/mdpconn/servald/servaldtest"
	"mesh.example/msp/mspnet"
)

// A recordedSession is one of the MSP sessions of stock clients in
// mdp-client.json: what passed between each client and its daemon.
type recordedSession struct {
	*stocktest.Session
	t    *testing.T
	a, b *servaldtest.Daemon // with the recorded identities
}

func readSession(t *testing.T, name string) *recordedSession {
	t.Helper()
	if runtime.GOOS == "windows" || binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("this system has no unixgram sockets, or not the byte order of the recorded ports")
	}
	a, b, sessions := stocktest.ReadSessions(t)
	mesh := servaldtest.NewMesh()
	t.Cleanup(mesh.Close)
	s := &recordedSession{Session: sessions[name], t: t}
	var err error
	if s.a, err = mesh.Start(a); err != nil {
		t.Fatal(err)
	}
	if s.b, err = mesh.Start(b); err != nil {
		t.Fatal(err)
	}
	return s
}

// node makes our node at one of the daemons.
func (s *recordedSession) node(d *servaldtest.Daemon) *mdpconn.Node {
	s.t.Helper()
	n, err := mdpconn.NewNode(mdpconn.Config{Servald: &mdpconn.ServaldConfig{Instance: d.Instance}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if st := n.Stats().Servald; st.Refused > 0 {
			s.t.Errorf("the daemon refused %d of our datagrams", st.Refused)
		}
		n.Close()
		for _, d := range []*servaldtest.Daemon{s.a, s.b} {
			if why := d.Ended(); why != "" {
				s.t.Errorf("a daemon was ended by %s", why)
			}
		}
	})
	return n
}

// A stockEnd plays a recorded client. Each of its datagrams leaves when it has
// heard what the recorded one had heard by then, whatever the clock says.
type stockEnd struct {
	s        *recordedSession
	name     string
	conn     *net.UnixConn
	recorded []stocktest.Datagram
	heard    map[uint32]*stocktest.Stream // by the port of the peer
	bound    chan struct{}                // closed when it has its port
	done     chan error
}

func (s *recordedSession) play(d *servaldtest.Daemon, name string) *stockEnd {
	s.t.Helper()
	e := &stockEnd{s: s, name: name, recorded: s.Clients[name], heard: map[uint32]*stocktest.Stream{}, bound: make(chan struct{}), done: make(chan error, 1)}
	if len(e.recorded) == 0 {
		s.t.Fatalf("nothing was recorded of %q", name)
	}
	local, err := servald.ClientName(d.Socket, strings.ReplaceAll(name, " ", ""))
	if err != nil {
		s.t.Fatal(err)
	}
	e.conn, err = net.DialUnix("unixgram", &net.UnixAddr{Name: local, Net: "unixgram"}, &net.UnixAddr{Name: d.Socket, Net: "unixgram"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { e.conn.Close() })
	e.conn.SetDeadline(time.Now().Add(patience))
	go func() { e.done <- e.run() }()
	return e
}

func (e *stockEnd) run() error {
	for i := range e.recorded {
		m := e.recorded[i]
		if m.Sent {
			e.adapt(&m.Message)
			if _, err := e.conn.Write(m.AppendAny(nil)); err != nil {
				return err
			}
			continue
		}
		for !e.has(&m.Message) {
			if err := e.read(); err != nil {
				return fmt.Errorf("%s, waiting for its recorded datagram %d, %v: %w", e.name, i, &m.Message, err)
			}
		}
	}
	return nil
}

// has reports whether what was recorded has been heard: the same messages, and
// acknowledgements that go as far.
func (e *stockEnd) has(m *servald.Message) bool {
	if m.Flags == servald.Bind {
		select {
		case <-e.bound:
			return true
		default:
			return false
		}
	}
	p, err := msp.ParsePacket(m.Payload)
	return err == nil && e.heard[m.RemotePort].Has(p)
}

// adapt makes an acknowledgement of all that the recorded peer had sent one of all
// that ours has: our SHUTDOWN may be a message of its own where its rode on one
// with bytes, and the other way round.
func (e *stockEnd) adapt(m *servald.Message) {
	p, err := msp.ParsePacket(m.Payload)
	if err != nil || m.IsCommand() {
		return
	}
	last := -1
	for i := range e.recorded {
		r := &e.recorded[i]
		if p, err := msp.ParsePacket(r.Payload); err == nil && !r.Sent && r.RemotePort == m.RemotePort && p.Kind == msp.KindMessage {
			last = max(last, int(p.Seq))
		}
	}
	e.heard[m.RemotePort].Adapt(&p, last)
	m.Payload = msp.AppendPacket(nil, p)
}

func (e *stockEnd) read() error {
	b := make([]byte, 2000)
	n, err := e.conn.Read(b)
	if err != nil {
		return err
	}
	m, err := servald.Parse(b[:n])
	if err != nil {
		return err
	}
	if m.Flags == servald.Bind {
		close(e.bound)
		return nil
	}
	if m.Flags != 0 {
		return fmt.Errorf("%v from the daemon", &m)
	}
	p, err := stocktest.ParseMSP(m.Payload)
	if err != nil {
		return err
	}
	if e.heard[m.RemotePort] == nil {
		e.heard[m.RemotePort] = stocktest.NewStream()
	}
	e.heard[m.RemotePort].Hear(p)
	return nil
}

// wantDone wants the recording to have been played to its end.
func (e *stockEnd) wantDone() {
	e.s.t.Helper()
	if err := <-e.done; err != nil {
		e.s.t.Fatal(err)
	}
}

// wantHeard wants a stock end to have got these bytes from a port, in order.
func (e *stockEnd) wantHeard(port uint32, want []byte) {
	e.s.t.Helper()
	got := e.heard[port].Bytes()
	if !bytes.Equal(got, want) {
		e.s.t.Errorf("stock got %d bytes from port %d, want %d", len(got), port, len(want))
	}
}

func (s *recordedSession) early(n *mdpconn.Node, port string) *mspnet.Conn {
	s.t.Helper()
	d := mspnet.Dialer{Node: n, Early: true}
	c, err := d.Dial("msp", fmt.Sprintf("%v:%s", mdpconn.SID(s.b.SIDs()[0]), port))
	if err != nil {
		s.t.Fatal(err)
	}
	return c.(*mspnet.Conn)
}

func wantRead(t *testing.T, c *mspnet.Conn, want []byte) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes and %v, want %d and the end", len(got), err, len(want))
	}
}

func wantWritten(t *testing.T, c *mspnet.Conn, b []byte) {
	t.Helper()
	c.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.Write(b); err != nil {
		t.Error(err)
	}
}

func wantDelivered(t *testing.T, c *mspnet.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.CloseContext(ctx); err != nil {
		t.Errorf("closing: %v, want all delivered", err)
	}
}

const (
	stockConnector = "connector (node A)"
	stockListener  = "listener (node B)"
)

// Recorded: both sides send one line, then shut down. Ours in place of either.
func TestServaldRecordedHello(t *testing.T) {
	t.Run("we connect", func(t *testing.T) {
		s := readSession(t, "hello")
		s.a.SetNextPort(260)
		n := s.node(s.a)
		stock := s.play(s.b, stockListener)
		<-stock.bound
		c := s.early(n, "512")
		wantWritten(t, c, s.Said(stockConnector))
		wantRead(t, c, s.Said(stockListener))
		wantDelivered(t, c)
		stock.wantDone()
		stock.wantHeard(260, s.Said(stockConnector))
	})
	t.Run("we listen", func(t *testing.T) {
		s := readSession(t, "hello")
		s.a.SetNextPort(260)
		l := (&door{t, s.b, s.node(s.b)}).listen(":512")
		stock := s.play(s.a, stockConnector)
		c := accept(t, l)
		line := make([]byte, len(s.Said(stockConnector)))
		if _, err := io.ReadFull(c, line); err != nil || !bytes.Equal(line, s.Said(stockConnector)) {
			t.Errorf("read %q, %v", line, err)
		}
		wantWritten(t, c, s.Said(stockListener))
		c.CloseWrite()
		wantRead(t, c, nil)
		wantDelivered(t, c)
		stock.wantDone()
		stock.wantHeard(512, s.Said(stockListener))
	})
}

// Recorded: 20,000 bytes and a shutdown one way, a shutdown at once the other.
func TestServaldRecordedTransfer(t *testing.T) {
	t.Run("we connect", func(t *testing.T) {
		s := readSession(t, "bulk_20kB")
		s.a.SetNextPort(261)
		n := s.node(s.a)
		stock := s.play(s.b, stockListener)
		<-stock.bound
		c := s.early(n, "513")
		wantWritten(t, c, s.Said(stockConnector))
		c.CloseWrite()
		wantRead(t, c, nil)
		wantDelivered(t, c)
		stock.wantDone()
		stock.wantHeard(261, s.Said(stockConnector))
	})
	t.Run("we listen", func(t *testing.T) {
		s := readSession(t, "bulk_20kB")
		s.a.SetNextPort(261)
		l := (&door{t, s.b, s.node(s.b)}).listen(":513")
		stock := s.play(s.a, stockConnector)
		c := accept(t, l)
		c.CloseWrite()
		wantRead(t, c, s.Said(stockConnector))
		if n := len(s.Said(stockConnector)); n != 20000 {
			t.Errorf("%d bytes were recorded", n)
		}
		wantDelivered(t, c)
		stock.wantDone()
	})
}

// Recorded: a second connector is refused by STOP, while the first goes on.
func TestServaldRecordedStop(t *testing.T) {
	const first, second = "first connector (node A)", "second connector (node A)"
	t.Run("we connect", func(t *testing.T) {
		s := readSession(t, "refused_stop")
		s.a.SetNextPort(263)
		n := s.node(s.a)
		listener := s.play(s.b, stockListener)
		<-listener.bound
		one := s.play(s.a, first)
		<-one.bound
		c := s.early(n, "514")
		wantWritten(t, c, s.Said(second))
		c.SetReadDeadline(time.Now().Add(patience))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("read %v, want ECONNREFUSED", err)
		}
		one.wantDone()
		listener.wantDone()
	})
	t.Run("we listen", func(t *testing.T) {
		s := readSession(t, "refused_stop")
		s.a.SetNextPort(263)
		l := (&door{t, s.b, s.node(s.b)}).listen(":514")
		one := s.play(s.a, first)
		c := accept(t, l)
		l.Close()
		two := s.play(s.a, second)
		two.wantDone()
		wantRead(t, c, s.Said(first))
		wantWritten(t, c, s.Said(stockListener))
		wantDelivered(t, c)
		one.wantDone()
		one.wantHeard(514, s.Said(stockListener))
	})
}
