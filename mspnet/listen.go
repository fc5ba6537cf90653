package mspnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"mesh.example/msp/engine"
	"mesh.example/msp/mdpconn"
)

// A ListenConfig makes listeners. The zero value listens on the default node. It
// must not be changed while it is used.
type ListenConfig struct {
	// Node is the node to listen on. If nil, the default node.
	Node *mdpconn.Node

	// Backlog bounds the connections that wait for Accept. Peers beyond it
	// are not answered, so that their retries succeed. If zero, 128.
	Backlog int

	// Allow, if set, decides by its SID whether a peer may connect; others
	// are refused and never seen by Accept. It must not block, and must not
	// call this package.
	Allow func(mdpconn.SID) bool

	// Service, if set, is a name by which the listener can be found while it is
	// open (LookupService): 1 … 63 letters, digits, '-', '_' or '.'. The node
	// answers for it in the clear, so who asks near by learns of it. It stands for
	// the primary identity: a listener of another one alone cannot have a name. At
	// a servald daemon only one program can have listeners with a name.
	Service string

	// Published keeps connections to the published protocol, as Dialer.Published
	// does.
	Published bool

	// Congestion is for its connections what Dialer.Congestion is for dialled ones.
	Congestion Congestion
}

// Listen listens on the default node at "SID:port" for one of its identities,
// ":port" for the primary one, "*:port" for all. Port 0 is any free one.
// "@host:port" behind it is a UDP address to bind, beside the node's own;
// "host:port" alone binds that and takes any free MDP port. The UDP socket is
// the node's, and open as long as the node is. The network is "msp".
func Listen(network, address string) (net.Listener, error) {
	return (&ListenConfig{}).Listen(context.Background(), network, address)
}

// Listen listens as the function Listen does. ctx bounds the look-up of a host
// name only. The net.Listener is a *Listener.
func (lc *ListenConfig) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	fail := func(addr net.Addr, err error) (net.Listener, error) {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, &net.OpError{Op: "listen", Net: network, Addr: addr, Err: err}
	}
	if network != "msp" {
		return fail(nil, net.UnknownNetworkError(network))
	}
	at, err := parseListen(address)
	if err != nil {
		return fail(nil, err)
	}
	e, err := engineOf(lc.Node)
	if err != nil {
		return fail(Addr{Addr: at.addr}, err)
	}
	if sid := at.addr.SID; lc.Service != "" && sid != mdpconn.Primary && sid != mdpconn.All && sid != e.Node().Primary() {
		return fail(Addr{Addr: at.addr}, fmt.Errorf("service %q is found at the primary identity, but would listen as %v alone: listen as the primary one, or all", lc.Service, sid))
	}
	l, err := e.Listen(at.addr, engine.ListenConfig{Backlog: lc.Backlog, Allow: lc.Allow, Published: lc.Published, Congestion: lc.Congestion})
	if err != nil {
		return fail(Addr{Addr: at.addr}, err)
	}
	var udp netip.AddrPort
	if at.udp != "" {
		if udp, err = e.Node().Listen(at.udp); err != nil {
			l.Close()
			return fail(Addr{Addr: at.addr}, err)
		}
	} else if links := e.Node().LinkAddrs(); len(links) > 0 {
		udp = links[0]
	}
	if udp.IsValid() {
		udp = reachable(udp)
	}
	unregister := func() {}
	if lc.Service != "" {
		if unregister, err = e.Node().RegisterService(lc.Service, l.Addr().Port); err != nil {
			l.Close()
			return fail(Addr{Addr: at.addr}, err)
		}
	}
	hush := e.Node().Announce()
	return &Listener{l: l, node: e.Node(), udp: udp, hush: func() { hush(); unregister() }}, nil
}

// A Listener accepts connections. It implements net.Listener; all methods may
// be called concurrently. While it is open the node announces itself to its
// neighbours, so that they find it without a hint.
type Listener struct {
	l    *engine.Listener
	node *mdpconn.Node
	udp  netip.AddrPort
	hush func() // ends the announcements, and takes the name back
}

// Accept waits for the next connection, a *Conn. It fails only for a deadline
// or after Close, never for what a peer did.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.AcceptContext(context.Background())
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptContext is Accept with a context.
func (l *Listener) AcceptContext(ctx context.Context) (*Conn, error) {
	c, err := l.l.Accept(ctx)
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: network, Addr: l.Addr(), Err: err}
	}
	return newConn(c), nil
}

// SetDeadline bounds Accept, also one that is blocked; zero is no bound.
func (l *Listener) SetDeadline(t time.Time) error {
	if err := l.l.SetDeadline(t); err != nil {
		return &net.OpError{Op: "set", Net: network, Addr: l.Addr(), Err: err}
	}
	return nil
}

// Close stops listening. Accepted connections live on; those that wait for
// Accept are stopped.
func (l *Listener) Close() error {
	if err := l.l.Close(); err != nil {
		return &net.OpError{Op: "close", Net: network, Addr: l.Addr(), Err: err}
	}
	l.hush()
	return nil
}

// Addr returns the listener's address, an [Addr]; its text is fit for Dial
// elsewhere. It changes only if the node's servald daemon comes back with another
// primary identity.
func (l *Listener) Addr() net.Addr {
	addr := Addr{Addr: l.l.Addr(), UDP: l.udp}
	if addr.SID == mdpconn.All {
		addr.SID = l.node.Primary()
	}
	return addr
}
