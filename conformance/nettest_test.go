package conformance

import (
	"context"
	"net"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mspnet"
)

// TestNettestMemory runs x/net's test of net.Conn over the memory network. It
// uses t.Run, so it cannot run in virtual time.
func TestNettestMemory(t *testing.T) {
	t.Parallel()
	nettest.TestConn(t, memoryPipe(t, memnet.Config{Seed: 1}))
}

// TestNettestImpaired does so over a bad link.
func TestNettestImpaired(t *testing.T) {
	t.Parallel()
	nettest.TestConn(t, memoryPipe(t, memnet.Config{Seed: 2, Impairment: memnet.Impairment{
		Loss: 0.05, Delay: time.Millisecond, Jitter: 2 * time.Millisecond,
		Duplicate: 0.05, Reorder: 0.05, ReorderBy: 3 * time.Millisecond,
	}}))
}

// TestNettestUDP does so over UDP.
func TestNettestUDP(t *testing.T) {
	t.Parallel()
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		server, client := udpNode(t), udpNode(t)
		return pipe(server, client, "@"+server.LinkAddrs()[0].String())
	})
}

func memoryPipe(t *testing.T, c memnet.Config) nettest.MakePipe {
	return func() (c1, c2 net.Conn, stop func(), err error) {
		w := newWorld(t, c)
		return pipe(w.server, w.client, "")
	}
}

// udpNode makes a node on the loopback interface.
func udpNode(t testing.TB) *mdpconn.Node {
	t.Helper()
	n, err := mdpconn.NewNode(mdpconn.Config{UDP: []string{"127.0.0.1:0"}, Announce: mdpconn.AnnounceNever})
	if err != nil {
		t.Fatalf("NewNode: %v", err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// pipe connects two nodes; stop closes them. hint is the "@host:port" of the
// server.
func pipe(server, client *mdpconn.Node, hint string) (c1, c2 net.Conn, stop func(), err error) {
	stop = func() {
		client.Close()
		server.Close()
	}
	l, err := (&mspnet.ListenConfig{Node: server}).Listen(context.Background(), "msp", ":0")
	if err != nil {
		return nil, nil, stop, err
	}
	defer l.Close()
	to := l.Addr().(mspnet.Addr)
	c1, err = (&mspnet.Dialer{Node: client, Timeout: 10 * time.Second}).Dial("msp", to.Addr.String()+hint)
	if err != nil {
		return nil, nil, stop, err
	}
	c2, err = l.Accept()
	return c1, c2, stop, err
}
