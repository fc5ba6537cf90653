package main

import (
	"context"
	"fmt"
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
		Use:   "connect SID PORT | SID@HOST:PORT PORT | SID:PORT@HOST:PORT",
		Short: "Connect to a peer and pipe stdin and stdout through the stream",
		Long: `Connect to PORT of the peer SID and pipe stdin and stdout through the stream.
HOST:PORT behind an "@" is the same as --peer udp:HOST:PORT.

The identity is a fresh one, unless --identity names another.
` + statusHelp,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.connect(cmd.Context(), args, &opts)
		},
		ValidArgsFunction:     cobra.NoFileCompletions,
		DisableFlagsInUseLine: true,
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
	ints := catchInterrupts(ctx)
	defer ints.release()
	key, err := p.dialIdentity(opts)
	if err != nil {
		return err
	}
	defer key.close()
	ctx, cancel := ints.bounded(ctx, ints.first)
	defer cancel()

	hostPorts := opts.peers
	if hint != "" {
		hostPorts = append(slices.Clone(hostPorts), hint)
	}
	hints, err := resolveHints(ctx, hostPorts)
	if err != nil {
		return err
	}
	log := opts.logger(p)
	node, err := opts.newNode(key.id, slices.ContainsFunc(hints, isV6), log)
	if err != nil {
		return err
	}
	defer leave(node, ints)
	for _, h := range hints {
		node.AddHint(to.SID, h)
	}

	dialer := mspnet.Dialer{Node: node, Timeout: time.Duration(opts.wait)}
	c, err := dialer.DialContext(ctx, "msp", to.String())
	if err != nil && ints.interrupted() {
		return &interruptedError{ints.signal, "before " + to.String() + " answered"}
	}
	if err != nil {
		why := strings.Replace(reason(err), context.DeadlineExceeded.Error(), "no answer in "+opts.wait.String(), 1)
		return fmt.Errorf("%v: %s", to, why)
	}
	conn := c.(*mspnet.Conn)
	log.Info("connected", "peer", to.String(), "udp", node.Path(mdpconn.Primary, to.SID).Endpoint)
	pipe := &pipe{program: p, source: newSource(p.stdin), opts: opts, ints: ints}
	return pipe.serve(conn)
}

func isV6(a netip.AddrPort) bool { return a.Addr().Is6() }
