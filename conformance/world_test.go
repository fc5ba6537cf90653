package conformance

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mspnet"
)

const (
	// oneWay is how long a packet takes in the worlds of tests that look at
	// instants, roundTrip there and back.
	oneWay    = 10 * time.Millisecond
	roundTrip = 2 * oneWay

	// silence is the protocol's time-out (docs/protocol.md §7).
	silence = 10 * time.Second

	// idleExtended is how long an idle connection of the extended format bears it,
	// where the node level watches over the peer (docs/extension.md §14).
	idleExtended = 31 * time.Second

	// port is where the tests listen, unless it matters.
	port = 42
)

// published tells that all tests are to run on the published protocol, as the
// environment has it.
var published = strings.Contains(os.Getenv("MSPDEBUG"), "published=1")

// idleSilence is how long an idle connection bears silence.
var idleSilence = map[bool]time.Duration{true: silence, false: idleExtended}[published]

// steady is a link that only takes its time.
var steady = memnet.Impairment{Delay: oneWay}

// A world is two nodes on a memory network. Each knows the other's address.
type world struct {
	net                    *memnet.Network
	server, client         *mdpconn.Node
	serverLink, clientLink *memnet.Link
	published              bool // dial is to keep to the published protocol
}

// newWorld makes a world, and ends it with the test.
func newWorld(t testing.TB, c memnet.Config) *world {
	t.Helper()
	w := &world{net: memnet.New(c)}
	w.server, w.serverLink = w.node(t)
	w.client, w.clientLink = w.node(t)
	w.client.AddHint(w.server.Primary(), w.serverLink.LocalAddr())
	w.server.AddHint(w.client.Primary(), w.clientLink.LocalAddr())
	return w
}

// node makes one more node, which is closed at the end of the test.
func (w *world) node(t testing.TB) (*mdpconn.Node, *memnet.Link) {
	t.Helper()
	link := w.net.Link()
	node, err := mdpconn.NewNode(mdpconn.Config{Links: []mdpconn.Link{link}})
	if err != nil {
		t.Fatalf("NewNode: %v", err)
	}
	t.Cleanup(func() { node.Close() })
	return node, link
}

// bubble runs f with a steady world in virtual time. All goroutines that f
// leaves behind must end with the nodes, or the test panics.
func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newWorld(t, memnet.Config{Seed: 1, Impairment: steady})) })
}

// listenOn listens on the server, with a backlog and filter as lc says.
func (w *world) listenOn(t testing.TB, lc mspnet.ListenConfig, address string) *mspnet.Listener {
	t.Helper()
	lc.Node = w.server
	l, err := lc.Listen(context.Background(), "msp", address)
	if err != nil {
		t.Fatalf("Listen(%q): %v", address, err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*mspnet.Listener)
}

// listen listens on port.
func (w *world) listen(t testing.TB) *mspnet.Listener {
	t.Helper()
	return w.listenOn(t, mspnet.ListenConfig{}, ":42")
}

// target is the server's address with that port.
func (w *world) target(p mdpconn.Port) string {
	return mdpconn.Addr{SID: w.server.Primary(), Port: p}.String()
}

// dial dials the server at port.
func (w *world) dial(t testing.TB) *mspnet.Conn {
	t.Helper()
	c, err := (&mspnet.Dialer{Node: w.client, Published: w.published}).Dial("msp", w.target(port))
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*mspnet.Conn)
}

// accept accepts the next connection.
func accept(t testing.TB, l *mspnet.Listener) *mspnet.Conn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatalf("Accept: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*mspnet.Conn)
}

// connect gives both ends of a new connection.
func (w *world) connect(t testing.TB) (client, server *mspnet.Conn) {
	t.Helper()
	l := w.listen(t)
	client = w.dial(t)
	server = accept(t, l)
	l.Close()
	return client, server
}

// A Conn has what users of *net.TCPConn look for besides net.Conn.
var _ interface {
	net.Conn
	CloseRead() error
	CloseWrite() error
	SetLinger(int) error
} = (*mspnet.Conn)(nil)
