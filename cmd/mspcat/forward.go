package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mspnet"
)

// maxForwarded bounds the connections that a forwarder serves at once. Those
// beyond it wait to be accepted.
const maxForwarded = 512

// A forwardAddr is the TCP address of --forward, "" for none. A port alone is of
// this host.
type forwardAddr string

func (a *forwardAddr) Set(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = "127.0.0.1", s
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil || host == "" {
		return errors.New("expected a TCP port of 0 to 65535, or HOST:PORT")
	}
	*a = forwardAddr(net.JoinHostPort(host, port))
	return nil
}

func (a *forwardAddr) Type() string   { return "[HOST:]TCPPORT" }
func (a *forwardAddr) String() string { return string(*a) }

// checkForward refuses flags that do not go together.
func (o *options) checkForward(listening bool) error {
	_, port, _ := net.SplitHostPort(string(o.forward))
	number, _ := strconv.Atoi(port)
	switch {
	case o.keepOpen && o.once:
		return usagef("--keep-open with --once: expected one of the two")
	case o.keepOpen && o.forward != "":
		return usagef("--keep-open with --forward: expected no --keep-open, as any number of connections are served")
	case listening && o.forward != "" && number == 0:
		return usagef("--forward %s: expected a TCP port of 1 to 65535 to connect to", &o.forward)
	}
	return nil
}

// interrupts takes the signals of a command. SIGTERM ends it at once, and a
// forwarder, that has nothing of its own to deliver, SIGINT too.
func (o *options) interrupts(ctx context.Context) *interrupts {
	if o.forward != "" {
		return catchInterrupts(ctx, terminate, os.Interrupt)
	}
	return catchInterrupts(ctx, terminate)
}

// A forwarder joins connections with TCP connections.
type forwarder struct {
	*program
	opts *options
	ints *interrupts
	log  *slog.Logger
}

// A pair is one connection and the TCP connection it is joined with.
type pair struct {
	conn *mspnet.Conn
	tcp  *net.TCPConn
}

// listen joins what l accepts with new TCP connections.
func (f *forwarder) listen(l *mspnet.Listener) error {
	accept := func(ctx context.Context) (func(context.Context) (pair, error), error) {
		conn, err := l.AcceptContext(ctx)
		if err != nil {
			return nil, err
		}
		f.log.Info("accepted", "peer", conn.RemoteAddr().String())
		return func(ctx context.Context) (pair, error) {
			d := net.Dialer{Timeout: 10 * time.Second}
			tcp, err := d.DialContext(ctx, "tcp", string(f.opts.forward))
			if err != nil {
				conn.Abort()
				return pair{}, fmt.Errorf("%v: TCP to %s: %w", conn.RemoteAddr(), &f.opts.forward, bare(err))
			}
			return pair{conn, tcp.(*net.TCPConn)}, nil
		}, nil
	}
	return f.serve(accept, func() { l.Close() })
}

// connect joins what the TCP address accepts with new connections to the peer.
func (f *forwarder) connect(node *mdpconn.Node, to mdpconn.Addr) error {
	tcpl, err := net.Listen("tcp", string(f.opts.forward))
	if err != nil {
		return fmt.Errorf("--forward %s: %w", &f.opts.forward, bare(err))
	}
	defer tcpl.Close()
	f.say("forwarding %v to %v", tcpl.Addr(), to)
	dialer := mspnet.Dialer{Node: node, Timeout: time.Duration(f.opts.wait), Early: f.opts.wait == 0, Congestion: f.opts.congestion.Congestion}
	accept := func(ctx context.Context) (func(context.Context) (pair, error), error) {
		defer context.AfterFunc(ctx, func() { tcpl.Close() })()
		tcp, err := tcpl.Accept()
		if err != nil {
			return nil, err
		}
		f.log.Info("accepted", "tcp", tcp.RemoteAddr().String())
		return func(ctx context.Context) (pair, error) {
			conn, err := dialer.DialContext(ctx, "msp", to.String())
			if err != nil {
				reset(tcp.(*net.TCPConn))
				return pair{}, fmt.Errorf("%v for TCP %v: %s", to, tcp.RemoteAddr(), reason(err))
			}
			return pair{conn.(*mspnet.Conn), tcp.(*net.TCPConn)}, nil
		}, nil
	}
	return f.serve(accept, func() { tcpl.Close() })
}

// serve serves what accept brings, any number at once, until it is interrupted,
// or one with --once. What accept returns makes the other half of a pair.
func (f *forwarder) serve(accept func(context.Context) (func(context.Context) (pair, error), error), stop func()) error {
	ctx, cancel := f.ints.bounded(context.Background(), f.ints.first)
	defer cancel()
	var all sync.WaitGroup
	var sum outcome
	slots := make(chan struct{}, maxForwarded)
	for {
		var join func(context.Context) (pair, error)
		var err error
		select {
		case slots <- struct{}{}:
			join, err = accept(ctx)
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			interrupted := f.ints.interrupted()
			cancel() // and with it every connection
			all.Wait()
			if interrupted {
				return sum.interrupted(f.ints.signal, f.opts.once)
			}
			return err
		}
		all.Go(func() {
			defer func() { <-slots }()
			if err := f.join(ctx, join); err != nil {
				sum.add(errors.Is(err, errCut))
				f.say("%s", oneLine(err))
			}
		})
		if f.opts.once {
			stop()
			all.Wait()
			if f.ints.interrupted() {
				return sum.interrupted(f.ints.signal, false)
			}
			return sum.err()
		}
	}
}

// errCut is the end of a connection that was open when the user interrupted.
var errCut = errors.New("aborted by the interruption")

// join makes a pair and serves it to its end.
func (f *forwarder) join(ctx context.Context, make func(context.Context) (pair, error)) error {
	p, err := make(ctx)
	if err != nil && ctx.Err() != nil {
		return errCut
	}
	if err != nil {
		return err
	}
	start := time.Now()
	err = p.copy(ctx)
	if f.opts.stats {
		f.printStats(p.conn, time.Since(start))
	}
	var op *net.OpError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%v: %w", p.conn.RemoteAddr(), errCut)
	case errors.As(err, &op) && op.Net != p.conn.RemoteAddr().Network():
		return fmt.Errorf("%v: TCP with %v: %w", p.conn.RemoteAddr(), p.tcp.RemoteAddr(), bare(err))
	}
	return fmt.Errorf("%v: %s", p.conn.RemoteAddr(), reason(err))
}

// copy copies both ways, each to its own end, and returns nil only if
// everything was delivered. Otherwise both connections are aborted, so that
// neither side takes what it got for the whole.
func (p pair) copy(ctx context.Context) error {
	defer context.AfterFunc(ctx, p.abort)()
	var up, down direction
	up.start(func() error { return p.failing(p.send()) })
	down.start(func() error { return p.failing(p.receive()) })
	over := p.conn.Done()
	for waiting := up.done; waiting != nil; {
		select {
		case <-waiting:
			waiting = nil
		case <-over:
			// Behind the peer's end no read of ours tells of a failure. If this
			// is one, what has arrived is still passed on.
			over = nil
			p.tcp.SetReadDeadline(time.Unix(1, 0))
		}
	}
	<-down.done
	err := down.err
	if err == nil || errors.Is(err, net.ErrClosed) {
		err = cmp.Or(up.err, err) // the one that came first
	}
	if err == nil {
		err = p.conn.CloseContext(ctx)
	}
	if err != nil {
		p.abort()
		return err
	}
	p.tcp.Close()
	return nil
}

// send passes on what TCP brings.
func (p pair) send() error {
	_, err := p.conn.ReadFrom(p.tcp)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if _, err := p.conn.Write(nil); err != nil { // the connection is over: why?
			return err
		}
	}
	if err != nil {
		return err
	}
	return p.conn.CloseWrite()
}

// receive passes on what the connection brings.
func (p pair) receive() error {
	if _, err := p.conn.WriteTo(p.tcp); err != nil {
		return err
	}
	return p.tcp.CloseWrite()
}

// failing ends the pair for an error. One of the connection is found by each
// direction: what had arrived before is passed on first.
func (p pair) failing(err error) error {
	var op *net.OpError
	if err != nil && !(errors.As(err, &op) && op.Net == p.conn.RemoteAddr().Network()) {
		p.abort()
	}
	return err
}

func (p pair) abort() {
	p.conn.Abort()
	reset(p.tcp)
}

// reset closes a TCP connection so that its peer does not take this for an end
// in order.
func reset(tcp *net.TCPConn) {
	tcp.SetLinger(0)
	tcp.Close()
}

// bare returns what an error of TCP says beside the addresses.
func bare(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// An outcome sums up how connections ended. Its methods may be called
// concurrently.
type outcome struct {
	mu          sync.Mutex
	failed, cut bool
}

// add adds a connection that failed, or was cut by an interruption.
func (o *outcome) add(cut bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed = o.failed || !cut
	o.cut = o.cut || cut
}

func (o *outcome) err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed {
		return errSomeFailed
	}
	return nil
}

// interrupted is the end by a signal: of a forwarder that had nothing to cut it
// is as good as its connections were, unless it waits for its only one.
func (o *outcome) interrupted(s os.Signal, waiting bool) error {
	if err := o.err(); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.cut:
		return &interruptedError{s, "with connections open, which were aborted"}
	case waiting:
		return &interruptedError{s, "while waiting for a connection"}
	}
	return nil
}
