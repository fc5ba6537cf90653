package mspnet_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/internal/mspdebug"
	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mspnet"
)

// needsKeys leaves out a test that needs session keys where the environment has
// everything keep to the published protocols.
func needsKeys(t *testing.T) {
	t.Helper()
	if mspdebug.Published() {
		t.Skip("not run: MSPDEBUG=published=1 leaves no session keys")
	}
}

// An earlyPair is a client and a server on a memory network.
type earlyPair struct {
	t              *testing.T
	network        *memnet.Network
	client, server *mdpconn.Node
	ln             net.Listener
	hint           string
}

func newEarlyPair(t *testing.T, client, server mdpconn.Config) *earlyPair {
	p := &earlyPair{t: t, network: memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})}
	for i, config := range []*mdpconn.Config{&client, &server} {
		l := p.network.Link()
		config.Links = []mdpconn.Link{l}
		n, err := mdpconn.NewNode(*config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close() })
		*[]**mdpconn.Node{&p.client, &p.server}[i] = n
		p.hint = l.LocalAddr().String()
	}
	ln, err := (&mspnet.ListenConfig{Node: p.server}).Listen(context.Background(), "msp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	p.ln = ln
	return p
}

// open opens a connection whose first packet carries a message, and reads that.
func (p *earlyPair) open() (near, far *mspnet.Conn) {
	p.t.Helper()
	addr := mdpconn.Addr{SID: p.server.Primary(), Port: 80}.String() + "@" + p.hint
	c, err := (&mspnet.Dialer{Node: p.client, Early: true}).Dial("msp", addr)
	if err != nil {
		p.t.Fatal(err)
	}
	near = c.(*mspnet.Conn)
	if near.Early() {
		p.t.Error("early before anything has arrived")
	}
	near.Write([]byte("request"))
	a, err := p.ln.Accept()
	if err != nil {
		p.t.Fatal(err)
	}
	far = a.(*mspnet.Conn)
	for _, c := range []*mspnet.Conn{near, far} {
		c.SetDeadline(time.Now().Add(time.Minute))
	}
	p.read(far, "request")
	return near, far
}

func (p *earlyPair) read(c *mspnet.Conn, want string) {
	p.t.Helper()
	buf := make([]byte, 100)
	if n, err := c.Read(buf); string(buf[:n]) != want || err != nil {
		p.t.Fatalf("read %q, %v, want %q", buf[:n], err, want)
	}
}

func (p *earlyPair) want(c *mspnet.Conn, early bool, why string) {
	p.t.Helper()
	if c.Early() != early {
		p.t.Errorf("%s: Early is %v", why, !early)
	}
}

// TestEarly: [MSX-10.9] what is read of a first connection is early until a packet
// under session keys has arrived; of those that follow nothing is.
func TestEarly(t *testing.T) {
	needsKeys(t)
	synctest.Test(t, func(t *testing.T) {
		p := newEarlyPair(t, mdpconn.Config{}, mdpconn.Config{})
		near, far := p.open()
		p.want(far, true, "the first request")
		time.Sleep(time.Second)
		far.Write([]byte("say more"))
		p.read(near, "say more")
		near.Write([]byte("more"))
		p.read(far, "more")
		p.want(far, false, "after a message under session keys")
		p.want(near, false, "after a message under session keys")
		near, far = p.open()
		p.want(far, false, "a request under session keys")
		far.Write([]byte("answer"))
		p.read(near, "answer")
		p.want(near, false, "an answer under session keys")
	})
}

// Where the other side has no session keys everything stays early; where this side
// has none, nothing is told.
func TestEarlyWithoutSessions(t *testing.T) {
	needsKeys(t)
	for _, none := range []string{"client", "server"} {
		t.Run(none, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newEarlyPair(t, mdpconn.Config{NoSessions: none == "client"}, mdpconn.Config{NoSessions: none == "server"})
				near, far := p.open()
				time.Sleep(time.Second)
				for range 10 {
					far.Write([]byte("answer"))
					p.read(near, "answer")
					near.Write([]byte("more"))
					p.read(far, "more")
					time.Sleep(time.Second)
				}
				p.want(far, none == "client", "the server")
				p.want(near, none == "server", "the client")
			})
		})
	}
}

// TestReplayedOpeningStaysEarly: [MSX-10.9] an opening that was recorded and is
// repeated to a server that has begun anew stays early, whatever its true sender says
// to it: that it knows no such connection.
func TestReplayedOpeningStaysEarly(t *testing.T) {
	needsKeys(t)
	synctest.Test(t, func(t *testing.T) {
		id, err := mdpconn.NewIdentity()
		if err != nil {
			t.Fatal(err)
		}
		server := mdpconn.Config{Identities: []*mdpconn.Identity{id}}
		p := newEarlyPair(t, mdpconn.Config{}, server)
		var first []memnet.Event
		stop := p.network.Tap(func(e memnet.Event) {
			e.Data = append([]byte(nil), e.Data...)
			first = append(first, e)
		})
		near, far := p.open()
		stop()
		near.Abort()
		far.Abort()
		time.Sleep(4 * time.Second) // all STOPs are told (MSX-7.5), and the client does not wait for more from there
		p.server.Close()

		l := p.network.Link()
		server.Links = []mdpconn.Link{l}
		again, err := mdpconn.NewNode(server)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		ln, err := (&mspnet.ListenConfig{Node: again}).Listen(context.Background(), "msp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range first {
			p.network.Inject(e.From, l.LocalAddr(), e.Data)
		}
		a, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c := a.(*mspnet.Conn)
		time.Sleep(5 * time.Second) // the true sender has session keys by now, and has said STOP
		if again.Stats().Sessions.Begun == 0 {
			t.Error("there are no session keys")
		}
		select {
		case <-c.Done():
		default:
			t.Error("the replay is still open")
		}
		p.read(c, "request")
		p.want(c, true, "a replayed request")
	})
}
