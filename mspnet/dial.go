package mspnet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"mesh.example/msp/engine"
	"mesh.example/msp/mdpconn"
)

// A Dialer opens connections. The zero value dials from a free port of the
// default node's primary identity. It must not be changed while it is used; its
// methods may be called concurrently.
type Dialer struct {
	// Node is the node to dial from. If nil, the default node.
	Node *mdpconn.Node

	// LocalAddr is the identity and MDP port to dial from. A zero SID is the
	// node's primary identity, a zero port any free one.
	LocalAddr mdpconn.Addr

	// Timeout bounds a dial. If zero, only the protocol's own 10 seconds of
	// silence do.
	Timeout time.Duration

	// Early makes Dial return at once: what is written in the next 10 ms rides
	// in the first packets. That the peer refuses, or is not there, is then
	// told by a later call on the connection.
	Early bool

	// Published keeps the connection to the published protocol, as if the peer
	// were a stock node. Otherwise it announces that it reads the extended
	// format, which is used if the peer does too.
	Published bool

	// Congestion is how the connection avoids congestion in the extended format,
	// [BBR] unless told. It governs what this end sends; the peer has its own.
	Congestion Congestion
}

// Dial opens a connection to "SID:port", or "SID:port@host:port" with the UDP
// address at which the node may be found; host may be a name. The network is
// "msp"; "tcp" is taken as the same, as that is what net/http asks for.
//
// It sends at once and returns when the peer has answered, which takes one
// round trip. The error is a *net.OpError; it unwraps to syscall.ECONNREFUSED
// if nobody listens there, and is a time-out, telling what was tried, if the
// peer is not heard.
func Dial(network, address string) (net.Conn, error) {
	return (&Dialer{}).DialContext(context.Background(), network, address)
}

// DialTimeout is Dial with a bound.
func DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	return (&Dialer{Timeout: timeout}).DialContext(context.Background(), network, address)
}

// Dial is DialContext without a context.
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext opens a connection as the function Dial does. Once it has
// succeeded ctx has no more effect. The net.Conn is a *Conn. It has the
// signature that http.Transport wants.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	fail := func(addr net.Addr, err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: addr, Err: err}
	}
	if network != "msp" && network != "tcp" {
		return fail(nil, net.UnknownNetworkError(network))
	}
	network = "msp"
	to, err := parseDial(address)
	if err != nil {
		return fail(nil, err)
	}
	e, err := engineOf(d.Node)
	if err != nil {
		return fail(Addr{Addr: to.addr}, err)
	}
	if d.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.Timeout)
		defer cancel()
	}
	if to.addr.SID == mdpconn.Primary {
		to.addr.SID = e.Node().Primary()
	}
	remote := Addr{Addr: to.addr}
	if to.udp != "" {
		hints, err := resolve(ctx, to.udp)
		if err != nil {
			return fail(remote, err)
		}
		for _, h := range hints {
			e.Node().AddHint(to.addr.SID, h)
		}
		remote.UDP = hints[0]
	}
	before := e.Node().Path(d.LocalAddr.SID, to.addr.SID)
	c, err := e.DialConfig(ctx, d.LocalAddr, to.addr, engine.DialConfig{Early: d.Early, Published: d.Published, Congestion: d.Congestion})
	if err != nil {
		path := e.Node().Path(d.LocalAddr.SID, to.addr.SID)
		path.Sent -= before.Sent
		path.Received -= before.Received
		return fail(remote, dialError(err, path))
	}
	return newConn(c), nil
}

// maxHints bounds the addresses of one host that are tried side by side.
const maxHints = 4

// resolve looks up the UDP addresses of a hint.
func resolve(ctx context.Context, hostPort string) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 {
		return nil, &net.AddrError{Err: fmt.Sprintf("UDP port %q: want 1 to 65535", service), Addr: hostPort}
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip.Unmap(), uint16(port))}, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var out []netip.AddrPort
	for _, ip := range ips[:min(len(ips), maxHints)] {
		out = append(out, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	if out == nil {
		return nil, &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	return out, nil
}
