package main

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// A Transport is what is measured: a listener, a dialer and a description.
type Transport struct {
	Name string
	// Secure is "raw" without encryption, "psk" with a key known before and no
	// handshake, "e2e" with key exchange and authentication.
	Secure string
	Note   string
	// LoopbackOnly is for a variant that behaves on links as its sibling does.
	LoopbackOnly bool
	// Only are the links to measure it on. If empty, all.
	Only []string
	// LoopbackBytes is the size of a bulk transfer on loopback, for one so fast
	// that the usual size is over in a few ticks. If zero, the plan's size.
	LoopbackBytes int64
	// ServerEnv is added to the environment of the server.
	ServerEnv []string
	// Listen takes ip:port; its address, as text, is what Dial is given.
	Listen func(addr string) (net.Listener, error)
	Dial   func(addr string) (net.Conn, error)
	// Open is Dial that waits for the handshake, for workloads whose clock starts
	// behind it. If nil, Dial does.
	Open func(addr string) (net.Conn, error)
}

// open dials, and waits for the handshake.
func (t *Transport) open(addr string) (net.Conn, error) {
	if t.Open != nil {
		return t.Open(addr)
	}
	return t.Dial(addr)
}

// on reports whether the transport is measured on link by default.
func (t *Transport) on(link string) bool {
	if t.LoopbackOnly {
		return link == loopback
	}
	return len(t.Only) == 0 || slices.Contains(t.Only, link)
}

var transports = make(map[string]*Transport)

func register(t Transport) { transports[t.Name] = &t }

func findTransport(name string) (*Transport, error) {
	t := transports[name]
	if t == nil {
		return nil, fmt.Errorf("transport %q is not known; want one of %s", name, strings.Join(transportNames(), ", "))
	}
	return t, nil
}

// order is that of rows; those not in it come last.
var order = []string{"msp", "msp-published", "msp-dial-published", "tcp-cubic", "tcp-bbr", "tls-cubic", "tls-bbr", "quic-go", "quic-go-mux",
	"xnet-quic", "kcp-aes", "kcp-aes-cc", "kcp-aesgcm", "kcp-salsa20", "kcp-aes-fec", "kcp-salsa20-fec",
	"utp-anacrolix", "utp-storj", "sctp-dtls"}

func byOrder(a, b string) int {
	rank := func(name string) int {
		if i := slices.Index(order, name); i >= 0 {
			return i
		}
		return len(order)
	}
	if d := rank(a) - rank(b); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}

func transportNames() []string {
	var names []string
	for name := range transports {
		names = append(names, name)
	}
	slices.SortFunc(names, byOrder)
	return names
}
