package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mspnet"
)

// newNode makes the node of a command.
func (o *options) newNode(id *mdpconn.Identity, v6 bool, log *slog.Logger) (*mdpconn.Node, error) {
	return mdpconn.NewNode(o.config(id, v6, log))
}

// noteInterfaces tells of a --interface that matches nothing, since that may be a
// mistake.
func (p *program) noteInterfaces(opts *options, node *mdpconn.Node) {
	if len(opts.interfaces) > 0 && len(node.LinkAddrs()) == 0 {
		p.say("no interface of this host is %s: waiting for one", &opts.interfaces)
	}
}

// config is that of the node: with one UDP socket, or with one of each family if
// it has to reach IPv6 addresses.
func (o *options) config(id *mdpconn.Identity, v6 bool, log *slog.Logger) mdpconn.Config {
	config := mdpconn.Config{
		Identities: []*mdpconn.Identity{id},
		Silent:     o.silent,
		Logger:     log,
	}
	switch {
	case len(o.interfaces) > 0:
		config.Interfaces = o.interfaces
	case o.bind != "":
		config.UDP = []string{string(o.bind)}
	case v6:
		config.UDP = []string{"0.0.0.0:0", "[::]:0"}
	}
	if o.noAnnounce {
		config.Announce = mdpconn.AnnounceNever
	}
	return config
}

// checkBind refuses a --bind whose host or port is none.
func (o *options) checkBind() error {
	if o.bind == "" {
		return nil
	}
	if _, err := net.ResolveUDPAddr("udp", string(o.bind)); err != nil {
		return usagef("--bind %q: expected HOST:PORT of this host: %v", string(o.bind), err)
	}
	return nil
}

// newServaldNode makes the node of a command that goes through servald. With a
// client name a program that was killed gets its port back when it starts again.
func (o *options) newServaldNode(client string, log *slog.Logger) (*mdpconn.Node, error) {
	return mdpconn.NewNode(mdpconn.Config{
		Servald: &mdpconn.ServaldConfig{Instance: o.via.instance, Client: client},
		Logger:  log,
	})
}

// farewell bounds how long the program stays to repeat its last
// acknowledgements.
const farewell = 3 * time.Second

// leave closes the node. What is still open is aborted; connections that have
// ended in order get the time to see that the peer knows it.
func leave(node *mdpconn.Node, ints *interrupts) {
	if ints.atOnce() {
		node.Close()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	ctx, cancel2 := ints.bounded(ctx, ints.second)
	defer cancel2()
	mspnet.Drain(ctx, node) // it was told before what was not delivered
	node.Close()
}

// maxHints bounds the addresses of one host name that are tried.
const maxHints = 4

// resolveHints looks up UDP addresses.
func resolveHints(ctx context.Context, hostPorts []string) ([]netip.AddrPort, error) {
	var hints []netip.AddrPort
	for _, hp := range hostPorts {
		host, service, err := net.SplitHostPort(hp)
		if err != nil {
			return nil, usagef("UDP address %q: expected HOST:PORT", hp)
		}
		port, err := strconv.ParseUint(service, 10, 16)
		if err != nil {
			return nil, usagef("UDP address %q: expected HOST:PORT with a port of 1 to 65535", hp)
		}
		ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			return nil, fmt.Errorf("host of %q not found: expected a name or an IP address: %w", hp, err)
		}
		for _, ip := range ips[:min(len(ips), maxHints)] {
			hints = append(hints, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
		}
	}
	return hints, nil
}
