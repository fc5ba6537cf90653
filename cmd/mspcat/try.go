package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mspnet"
)

// The MDP ports that mspcat try listens at.
const (
	tryStreamPort = 5000
	tryEchoPort   = 5001
	tryHTTPPort   = 80 // that of a URL without a port
)

func (p *program) tryCommand() *cobra.Command {
	var mib int64
	cmd := &cobra.Command{
		Use:   "try [FILE]",
		Short: "Run both ends at once, over real UDP, and check what arrives",
		Long: `Start two nodes with fresh identities, each on a UDP socket of its own at
127.0.0.1, send FILE (or pseudo-random bytes) from one to the other and back,
through a stream and over HTTP, and compare what arrives by its SHA-256.

The status is 0 only if everything arrived whole.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := newSample(args, mib)
			if err != nil {
				return err
			}
			ints := catchInterrupts(cmd.Context())
			defer ints.release()
			ctx, cancel := ints.bounded(cmd.Context(), ints.first)
			defer cancel()
			err = p.try(ctx, s)
			if err != nil && ints.interrupted() {
				return &interruptedError{ints.signal, "before everything was tried"}
			}
			return err
		},
	}
	cmd.Flags().Int64Var(&mib, "size", 64, "`MIB` of pseudo-random bytes to send if there is no FILE")
	return cmd
}

// A trial is two nodes, and what is sent between them.
type trial struct {
	sample *sample
	bar    progress
	near   *mdpconn.Node // dials
	far    *mdpconn.Node // listens
	dialer mspnet.Dialer
	served chan error // gets the outcome of each stream that far serves
}

// A result is one passage of the sample.
type result struct {
	name  string
	bytes int64
	took  time.Duration
	sent  checksum
	got   checksum
}

func (r *result) ok() bool { return r.sent == r.got }

var errDiffers = errors.New("what arrived differs from what was sent")

// try sends the sample both ways, each way in two manners.
func (p *program) try(ctx context.Context, s *sample) error {
	near, err := loopbackNode()
	if err != nil {
		return err
	}
	defer near.Close()
	far, err := loopbackNode()
	if err != nil {
		return err
	}
	defer far.Close()
	// Closing the nodes ends whatever blocks.
	defer context.AfterFunc(ctx, func() { near.Close(); far.Close() })()

	near.AddHint(far.Primary(), far.LinkAddrs()[0])
	t := &trial{
		sample: s, near: near, far: far,
		dialer: mspnet.Dialer{Node: near},
		served: make(chan error, 1),
		bar:    newProgress(p.stderr, 4*s.size),
	}
	results, rtt, err := t.run(ctx)
	t.bar.finish()
	if err != nil {
		return err
	}
	return p.printTrial(t, results, rtt)
}

func loopbackNode() (*mdpconn.Node, error) {
	return mdpconn.NewNode(mdpconn.Config{
		UDP:      []string{"127.0.0.1:0"},
		Announce: mdpconn.AnnounceNever,
	})
}

func (t *trial) run(ctx context.Context) (results []*result, rtt time.Duration, err error) {
	if rtt, err = t.roundTrip(ctx); err != nil {
		return nil, 0, fmt.Errorf("round trip: %w", err)
	}
	for _, part := range []func(context.Context) ([]*result, error){t.streams, t.http} {
		r, err := part(ctx)
		if err != nil {
			return nil, 0, err
		}
		results = append(results, r...)
	}
	return results, rtt, nil
}

// roundTrips is how many are measured.
const roundTrips = 101

// roundTrip measures how long a byte takes to come back, by the median.
func (t *trial) roundTrip(ctx context.Context) (time.Duration, error) {
	conn, err := t.dialTo(ctx, tryEchoPort, t.echo)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	var b [1]byte
	times := make([]time.Duration, roundTrips)
	for i := range times {
		start := time.Now()
		if _, err := conn.Write(b[:]); err != nil {
			return 0, err
		}
		if _, err := conn.Read(b[:]); err != nil {
			return 0, err
		}
		times[i] = time.Since(start)
	}
	if err := conn.CloseWrite(); err != nil {
		return 0, err
	}
	slices.Sort(times)
	return times[len(times)/2], <-t.served
}

// dialTo connects to a port of the far node, where serve gets the other end.
func (t *trial) dialTo(ctx context.Context, port mdpconn.Port, serve func(*mspnet.Conn) error) (*mspnet.Conn, error) {
	lc := mspnet.ListenConfig{Node: t.far}
	l, err := lc.Listen(ctx, "msp", mdpconn.Addr{Port: port}.String())
	if err != nil {
		return nil, err
	}
	defer l.Close()
	c, err := t.dialer.DialContext(ctx, "msp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	far, err := l.(*mspnet.Listener).AcceptContext(ctx)
	if err != nil {
		c.Close()
		return nil, err
	}
	go func() { t.served <- serve(far) }()
	return c.(*mspnet.Conn), nil
}

// printTrial prints what was measured, and fails if anything was damaged.
func (p *program) printTrial(t *trial, results []*result, rtt time.Duration) error {
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s, %d bytes, between two nodes over UDP:\n", t.sample.name, t.sample.size)
	for _, n := range []*mdpconn.Node{t.near, t.far} {
		fmt.Fprintf(w, "  %v at %v\n", n.Primary(), n.LinkAddrs()[0])
	}
	fmt.Fprintf(w, "\nway\tbytes\ttime\trate\tSHA-256\n")
	var err error
	for _, r := range results {
		verdict := "identical"
		if !r.ok() {
			verdict = "DIFFERENT from " + r.sent.short()
			err = errDiffers
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s %s\n", r.name, r.bytes, short(r.took), rate(r.bytes, r.took), r.got.short(), verdict)
	}
	fmt.Fprintf(w, "round trip\t1\t%s\t\tmedian of %d\n", short(rtt), roundTrips)
	if e := w.Flush(); e != nil {
		return &stdoutError{e}
	}
	return err
}
