package mdpconn_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
)

func TestDatagramsByHint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		a, _ := newNode(t, network, mdpconn.Config{})
		b, lb := newNode(t, network, mdpconn.Config{})
		sa, ia := bind(t, a, mdpconn.Addr{})
		sb, ib := bind(t, b, mdpconn.Addr{Port: 80})
		a.AddHint(b.Primary(), lb.LocalAddr())
		send(t, a, sa.LocalAddr(), sb.LocalAddr(), "one", "two")
		got := ib.want(t, "b", "one", "two")
		if got[0].Remote != sa.LocalAddr() || got[0].Local != sb.LocalAddr() {
			t.Errorf("b got a datagram from %v to %v", got[0].Remote, got[0].Local)
		}
		if p := a.Path(a.Primary(), b.Primary()); p.Endpoint != lb.LocalAddr() {
			t.Errorf("endpoint %v, want %v", p.Endpoint, lb.LocalAddr())
		}
		send(t, b, sb.LocalAddr(), sa.LocalAddr(), "three")
		ia.want(t, "a", "three")
		time.Sleep(time.Minute)
	})
}

func TestDatagramsByDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		a, _ := newNode(t, network, mdpconn.Config{})
		b, _ := newNode(t, network, mdpconn.Config{})
		sa, ia := bind(t, a, mdpconn.Addr{})
		sb, ib := bind(t, b, mdpconn.Addr{Port: 80})
		send(t, a, sa.LocalAddr(), sb.LocalAddr(), "one", "two")
		ib.want(t, "b", "one", "two")
		send(t, b, sb.LocalAddr(), sa.LocalAddr(), "three")
		ia.want(t, "a", "three")
	})
}

func TestAuthenticNonEnciphered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		// Plain data in the peer's name: anybody can make that.
		for _, pl := range plainPayloads(t, c.a.Primary()) {
			c.network.Inject(c.lb.LocalAddr(), c.la.LocalAddr(), packet(t, c.b.Primary(), pl))
		}
		c.ia.want(t, "payloads that are not enciphered")
		if d := c.a.Stats().Dropped; d.Plain != 2 {
			t.Errorf("%+v", d)
		}
	})
}

func TestBadConfigs(t *testing.T) {
	network := memnet.New(memnet.Config{})
	l := network.Link()
	for _, c := range []mdpconn.Config{
		{Links: []mdpconn.Link{l, nil}},
		{NoUDP: true, Identities: []*mdpconn.Identity{nil}},
		{NoUDP: true, MaxPeers: -1},
		{NoUDP: true, Announce: 3},
		{UDP: []string{"127.0.0.1:0", "no such host or port"}},
	} {
		n, err := mdpconn.NewNode(c)
		if err == nil {
			n.Close()
			t.Errorf("%+v made a node", c)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("error of several lines: %v", err)
		}
	}
	if _, err := l.ReadPackets(make([]mdpconn.Packet, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a failing NewNode left its link open: %v", err)
	}
}

func TestNodeWithoutLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, err := mdpconn.NewNode(mdpconn.Config{NoUDP: true})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		if _, err := n.Listen("127.0.0.1:0"); err == nil {
			t.Error("it listens on UDP")
		}
		s, in := bind(t, n, mdpconn.Addr{})
		send(t, n, s.LocalAddr(), s.LocalAddr(), "to myself")
		in.want(t, "datagram to itself", "to myself")
		n.Announce()
		send(t, n, s.LocalAddr(), mdpconn.Addr{SID: identity(t).SID(), Port: 1}, "into the void")
		time.Sleep(time.Minute)
	})
}

// A closer notes when it is closed, and that the node still works then.
type closer struct {
	node *mdpconn.Node
	name string
	log  *[]string
}

func (c closer) Close() error {
	_, err := c.node.Bind(mdpconn.Addr{}, newInbox())
	*c.log = append(*c.log, c.name)
	return err
}

func TestAttach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := newNode(t, memnet.New(memnet.Config{}), mdpconn.Config{})
		var log []string
		type key string
		open := func(name string) func() io.Closer {
			return func() io.Closer {
				time.Sleep(time.Second) // others wait for it
				return closer{n, name, &log}
			}
		}
		results := make(chan io.Closer, 3)
		for range 3 {
			go func() { results <- n.Attach(key("a"), open("first")) }()
			time.Sleep(time.Millisecond)
		}
		first := <-results
		if a, b := <-results, <-results; first == nil || a != first || b != first {
			t.Errorf("one key gave %v, %v, %v", first, a, b)
		}
		n.Attach(key("b"), open("second"))
		go n.Attach(key("c"), open("third"))
		time.Sleep(time.Millisecond)
		if err := n.Close(); err != nil { // while the third is being opened
			t.Error(err)
		}
		if got := strings.Join(log, " "); got != "third second first" {
			t.Errorf("closed %s", got)
		}
		if n.Attach(key("d"), open("late")) != nil {
			t.Error("attached after Close")
		}
		if err := n.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
	})
}

func TestStatsAndPeersAreJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		b, err := json.Marshal(c.a.Stats())
		if err != nil || !bytes.Contains(b, []byte(`"reflected":0`)) {
			t.Errorf("%s, %v", b, err)
		}
		peers := c.a.Peers()
		if len(peers) != 1 || peers[0].Remote != c.b.Primary() || !peers[0].Held || !peers[0].Proven ||
			peers[0].Endpoint != c.lb.LocalAddr() || peers[0].Sent != 1 || peers[0].LastHeard.IsZero() {
			t.Errorf("%+v", peers)
		}
		if b, err = json.Marshal(peers); err != nil || !bytes.Contains(b, []byte(c.b.Primary().String())) {
			t.Errorf("%s, %v", b, err)
		}
	})
}

// The log says what happens, and no secret.
func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c := connect(t, mdpconn.Config{Logger: logger}, mdpconn.Config{})
		c.a.Close()
		for _, want := range []string{"mdp sent", "mdp received", "mdp endpoint", "data #", c.b.Primary().String()} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log says nothing of %q:\n%s", want, &log)
			}
		}
	})
}
