package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mspnet"
)

func (p *program) connectCommand() *cobra.Command {
	var opts options
	cmd := &cobra.Command{
		Use:   "connect [flags] SID PORT | SID@HOST:PORT PORT | SID:PORT@HOST:PORT",
		Short: "Connect to a peer and pipe stdin and stdout through the stream",
		Long: `Connect to PORT of the peer SID and pipe stdin and stdout through the stream.
HOST:PORT behind an "@" is the same as --peer udp:HOST:PORT.

With --forward=TCPPORT mspcat listens there on 127.0.0.1 (or at HOST:PORT) and
joins each TCP connection, up to 512 at once, with one to the peer, until it is
interrupted or, with --once, for a single one. Port 0 is any free one; stderr
tells which.

The identity is a fresh one, unless --identity names another. With --via servald
it is the daemon's primary one, and HOST:PORT is without effect.
` + statusHelp,
		Example: `  mspcat connect --forward=8080 SID 5000     then: curl http://127.0.0.1:8080/`,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.connect(cmd.Context(), args, &opts)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	opts.addPipeFlags(cmd.Flags())
	opts.addConnectFlags(cmd.Flags())
	return cmd
}

// connect opens one connection and serves it.
func (p *program) connect(ctx context.Context, args []string, opts *options) error {
	to, hint, err := parseTarget(args)
	if err != nil {
		return err
	}
	if err := opts.checkVia(); err != nil {
		return err
	}
	if err := opts.checkForward(false); err != nil {
		return err
	}
	ints := opts.interrupts(ctx)
	defer ints.release()
	ctx, cancel := ints.bounded(ctx, ints.first)
	defer cancel()
	log := opts.logger(p)
	node, closeKey, err := p.dialNode(ctx, to.SID, hint, opts, log)
	if err != nil {
		return err
	}
	defer closeKey()
	defer leave(node, ints)

	if opts.forward != "" {
		return (&forwarder{p, opts, ints, log}).connect(node, to)
	}
	dialer := mspnet.Dialer{Node: node, Timeout: time.Duration(opts.wait), Congestion: opts.congestion.Congestion}
	c, err := dialer.DialContext(ctx, "msp", to.String())
	if err != nil && ints.interrupted() {
		return &interruptedError{ints.signal, "before " + to.String() + " answered"}
	}
	if err != nil {
		why := strings.Replace(reason(err), context.DeadlineExceeded.Error(), "no answer in "+opts.wait.String(), 1)
		return fmt.Errorf("%v: %s", to, why)
	}
	conn := c.(*mspnet.Conn)
	if log.Enabled(ctx, slog.LevelInfo) {
		path := node.Path(mdpconn.Primary, to.SID)
		log.Info("connected", "peer", to.String(), "udp", path.Endpoint, "hops", path.Hops)
	}
	pipe := &pipe{program: p, source: newSource(p.stdin), opts: opts, ints: ints}
	return pipe.serve(conn)
}

// dialNode makes the node to connect with, and tells it where to look for the
// peer.
func (p *program) dialNode(ctx context.Context, to mdpconn.SID, hint string, opts *options, log *slog.Logger) (node *mdpconn.Node, closeKey func(), err error) {
	if opts.via.servald {
		node, err = opts.newServaldNode("", log)
		return node, func() {}, err
	}
	key, err := p.dialIdentity(opts)
	if err != nil {
		return nil, nil, err
	}
	hostPorts := opts.peers
	if hint != "" {
		hostPorts = append(slices.Clone(hostPorts), hint)
	}
	hints, err := resolveHints(ctx, hostPorts)
	if err == nil {
		node, err = opts.newNode(key.id, slices.ContainsFunc(hints, isV6), log)
	}
	if err != nil {
		key.close()
		return nil, nil, err
	}
	p.noteInterfaces(opts, node)
	for _, h := range hints {
		node.AddHint(to, h)
	}
	return node, key.close, nil
}

func isV6(a netip.AddrPort) bool { return a.Addr().Is6() }
