package mspnet_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"mesh.example/msp/engine/msp"
	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/servald"
	"mesh.example/msp/mdpconn/servald/servaldtest"
	"mesh.example/msp/mspnet"
)

// A recordedSession is one of the MSP sessions of stock clients in
// mdp-client.json: what passed between each client and its daemon.
type recordedSession struct {
	t       *testing.T
	a, b    *servaldtest.Daemon // with the recorded identities
	clients map[string][]recordedMessage
}

type recordedMessage struct {
	sent bool // by the client
	servald.Message
}

func readSession(t *testing.T, name string) *recordedSession {
	t.Helper()
	if runtime.GOOS == "windows" || binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("this system has no unixgram sockets, or not the byte order of the recorded ports")
	}
	raw, err := os.ReadFile("../mdpconn/servald/testdata/mdp-client.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		A        string `json:"node_A_sid"`
		B        string `json:"node_B_sid"`
		Sessions []struct {
			Name      string
			Endpoints map[string][]struct{ Direction, Hex string }
		} `json:"msp_sessions"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	mesh := servaldtest.NewMesh()
	t.Cleanup(mesh.Close)
	s := &recordedSession{t: t, clients: map[string][]recordedMessage{}}
	for text, d := range map[string]**servaldtest.Daemon{file.A: &s.a, file.B: &s.b} {
		sid, _ := hex.DecodeString(text)
		if *d, err = mesh.Start(servald.SID(sid)); err != nil {
			t.Fatal(err)
		}
	}
	for _, session := range file.Sessions {
		if session.Name != name {
			continue
		}
		for client, datagrams := range session.Endpoints {
			for _, d := range datagrams {
				b, _ := hex.DecodeString(d.Hex)
				m, err := servald.Parse(b)
				if err != nil {
					t.Fatal(err)
				}
				s.clients[client] = append(s.clients[client], recordedMessage{d.Direction == "client->daemon", m})
			}
		}
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
	recorded []recordedMessage
	heard    map[uint32]*heard // by the port of the peer
	bound    chan struct{}     // closed when it has its port
	done     chan error
}

// heard is what came from one peer.
type heard struct {
	messages map[msp.Seq]string
	ack      int // the highest; -1: none
	shutdown int // the number of the last message; -1: not heard
	stop     bool
}

func (s *recordedSession) play(d *servaldtest.Daemon, name string) *stockEnd {
	s.t.Helper()
	e := &stockEnd{s: s, name: name, recorded: s.clients[name], heard: map[uint32]*heard{}, bound: make(chan struct{}), done: make(chan error, 1)}
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
	e.conn.SetDeadline(time.Now().Add(8 * time.Second))
	go func() { e.done <- e.run() }()
	return e
}

func (e *stockEnd) run() error {
	for i := range e.recorded {
		m := e.recorded[i]
		if m.sent {
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
	h := e.heard[m.RemotePort]
	p, err := msp.ParsePacket(m.Payload)
	if h == nil || err != nil {
		return false
	}
	if p.Flags&msp.FlagStop != 0 {
		return h.stop
	}
	if p.Flags&msp.FlagAck != 0 && h.ack < int(p.Ack) {
		return false
	}
	if p.Kind != msp.KindMessage {
		return true
	}
	_, ok := h.messages[p.Seq]
	return (ok || p.Flags&msp.FlagShutdown != 0) && (p.Flags&msp.FlagShutdown == 0 || h.shutdown >= 0)
}

// adapt makes an acknowledgement of all that the recorded peer had sent one of all
// that ours has: our SHUTDOWN may be a message of its own where its rode on one
// with bytes, and the other way round.
func (e *stockEnd) adapt(m *servald.Message) {
	h := e.heard[m.RemotePort]
	if h == nil || h.shutdown < 0 || m.IsCommand() {
		return
	}
	last := -1
	for i := range e.recorded {
		r := &e.recorded[i]
		if p, err := msp.ParsePacket(r.Payload); err == nil && !r.sent && r.RemotePort == m.RemotePort && p.Kind == msp.KindMessage {
			last = max(last, int(p.Seq))
		}
	}
	if p, err := msp.ParsePacket(m.Payload); err == nil && p.Flags&msp.FlagAck != 0 && int(p.Ack) == last {
		p.Ack = msp.Seq(h.shutdown)
		m.Payload = msp.AppendPacket(nil, p)
	}
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
	p, err := msp.ParsePacket(m.Payload)
	if err != nil {
		return err
	}
	if p.Flags&^(msp.FlagShutdown|msp.FlagAck|msp.FlagFirst|msp.FlagStop) != 0 || len(p.Payload) > msp.MaxMessage {
		return fmt.Errorf("a packet that stock would not understand: %+v", p)
	}
	h := e.heard[m.RemotePort]
	if h == nil {
		h = &heard{messages: map[msp.Seq]string{}, ack: -1, shutdown: -1}
		e.heard[m.RemotePort] = h
	}
	h.stop = h.stop || p.Flags&msp.FlagStop != 0
	if p.Flags&msp.FlagAck != 0 && p.Kind != msp.KindFlags {
		h.ack = max(h.ack, int(p.Ack))
	}
	if p.Kind == msp.KindMessage {
		h.messages[p.Seq] = string(p.Payload)
		if p.Flags&msp.FlagShutdown != 0 {
			h.shutdown = int(p.Seq)
		}
	}
	return nil
}

// wantDone wants the recording to have been played to its end.
func (e *stockEnd) wantDone() {
	e.s.t.Helper()
	if err := <-e.done; err != nil {
		e.s.t.Fatal(err)
	}
}

// payload gives the bytes that a recorded client sent on its connection.
func (s *recordedSession) payload(client string) []byte {
	messages := map[msp.Seq][]byte{}
	for _, m := range s.clients[client] {
		if p, err := msp.ParsePacket(m.Payload); err == nil && m.sent && p.Kind == msp.KindMessage {
			messages[p.Seq] = p.Payload
		}
	}
	var all []byte
	for i := range len(messages) {
		all = append(all, messages[msp.Seq(i)]...)
	}
	return all
}

// wantHeard wants a stock end to have got these bytes from a port, in order.
func (e *stockEnd) wantHeard(port uint32, want []byte) {
	e.s.t.Helper()
	var got []byte
	if h := e.heard[port]; h != nil {
		for i := range len(h.messages) {
			got = append(got, h.messages[msp.Seq(i)]...)
		}
	}
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
	c.SetReadDeadline(time.Now().Add(8 * time.Second))
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes and %v, want %d and the end", len(got), err, len(want))
	}
}

func wantWritten(t *testing.T, c *mspnet.Conn, b []byte) {
	t.Helper()
	c.SetWriteDeadline(time.Now().Add(8 * time.Second))
	if _, err := c.Write(b); err != nil {
		t.Error(err)
	}
}

func wantDelivered(t *testing.T, c *mspnet.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
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
		wantWritten(t, c, s.payload(stockConnector))
		wantRead(t, c, s.payload(stockListener))
		wantDelivered(t, c)
		stock.wantDone()
		stock.wantHeard(260, s.payload(stockConnector))
	})
	t.Run("we listen", func(t *testing.T) {
		s := readSession(t, "hello")
		s.a.SetNextPort(260)
		l := (&door{t, s.b, s.node(s.b)}).listen(":512")
		stock := s.play(s.a, stockConnector)
		c := accept(t, l)
		line := make([]byte, len(s.payload(stockConnector)))
		if _, err := io.ReadFull(c, line); err != nil || !bytes.Equal(line, s.payload(stockConnector)) {
			t.Errorf("read %q, %v", line, err)
		}
		wantWritten(t, c, s.payload(stockListener))
		c.CloseWrite()
		wantRead(t, c, nil)
		wantDelivered(t, c)
		stock.wantDone()
		stock.wantHeard(512, s.payload(stockListener))
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
		wantWritten(t, c, s.payload(stockConnector))
		c.CloseWrite()
		wantRead(t, c, nil)
		wantDelivered(t, c)
		stock.wantDone()
		stock.wantHeard(261, s.payload(stockConnector))
	})
	t.Run("we listen", func(t *testing.T) {
		s := readSession(t, "bulk_20kB")
		s.a.SetNextPort(261)
		l := (&door{t, s.b, s.node(s.b)}).listen(":513")
		stock := s.play(s.a, stockConnector)
		c := accept(t, l)
		c.CloseWrite()
		wantRead(t, c, s.payload(stockConnector))
		if n := len(s.payload(stockConnector)); n != 20000 {
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
		wantWritten(t, c, s.payload(second))
		c.SetReadDeadline(time.Now().Add(8 * time.Second))
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
		wantRead(t, c, s.payload(first))
		wantWritten(t, c, s.payload(stockListener))
		wantDelivered(t, c)
		one.wantDone()
		one.wantHeard(514, s.payload(stockListener))
	})
}
