package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mspnet"
)

func (p *program) listenCommand() *cobra.Command {
	var opts options
	cmd := &cobra.Command{
		Use:   "listen PORT",
		Short: "Wait for a connection and pipe stdin and stdout through the stream",
		Long: `Wait at PORT, 1 to 2147483647, for a connection and pipe stdin and stdout through
its stream. The last line on stderr before that is the command to paste on the
other side.

Stdin and stdout serve one connection, and then mspcat ends; it stops listening
once it has the connection. With --keep-open it serves one after the other until
it is interrupted. Stdin then goes to the first connection, and where that ends
before stdin does, on to the next; those that come behind the end of stdin get
nothing but its end. A connection lasts until both sides have ended, so give it
</dev/null if nothing is to be sent.

With --forward=TCPPORT each connection, up to 512 at once, is joined with a new
TCP connection to 127.0.0.1 (or to HOST:PORT), until mspcat is interrupted or,
with --once, for a single one. One that cannot be made aborts the connection.

The identity is the one kept in the user's configuration directory, made at the
first use, unless --identity names another. With --via servald it is the daemon's
primary one.
` + statusHelp + `

With --keep-open, when interrupted while it waits: 0 if every connection ended
with what would be status 0, else 1.`,
		Example: `  mspcat listen --forward=80 5000     the web server of this host`,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.listen(cmd.Context(), args, &opts)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	opts.addPipeFlags(cmd.Flags())
	opts.addListenFlags(cmd.Flags())
	return cmd
}

// listen waits for connections and serves them.
func (p *program) listen(ctx context.Context, args []string, opts *options) error {
	if len(args) != 1 {
		return usagef("%d arguments: expected one, the PORT to listen at", len(args))
	}
	port, err := parsePort(args[0])
	if err != nil {
		return err
	}
	if err := opts.checkVia(); err != nil {
		return err
	}
	if opts.wait != 0 {
		return usagef("--wait %v is for connecting: expected no --wait when listening", &opts.wait)
	}
	if err := opts.checkForward(true); err != nil {
		return err
	}
	ints := opts.interrupts(ctx)
	defer ints.release()
	log := opts.logger(p)
	node, closeKey, err := p.listenNode(port, opts, log)
	if err != nil {
		return err
	}
	defer closeKey()
	defer leave(node, ints)
	lc := mspnet.ListenConfig{Node: node, Service: string(opts.service), Congestion: opts.congestion.Congestion}
	l, err := lc.Listen(ctx, "msp", mdpconn.Addr{Port: port}.String())
	if err != nil {
		return err
	}
	defer l.Close()

	addr := l.Addr().(mspnet.Addr)
	p.say("listening at port %d as %v; on the other side:", port, addr.SID)
	fmt.Fprintln(p.stderr, p.connectLine(addr, &opts.via))
	if opts.forward != "" {
		return (&forwarder{p, opts, ints, log}).listen(l.(*mspnet.Listener))
	}
	pipe := &pipe{program: p, source: newSource(p.stdin), opts: opts, ints: ints}
	if opts.keepOpen {
		return pipe.serveAll(l.(*mspnet.Listener), log)
	}
	conn, err := pipe.accept(l.(*mspnet.Listener), log)
	if err != nil {
		return err
	}
	l.Close()
	return pipe.serve(conn)
}

// listenNode makes the node to listen with.
func (p *program) listenNode(port mdpconn.Port, opts *options, log *slog.Logger) (node *mdpconn.Node, closeKey func(), err error) {
	if opts.via.servald {
		node, err = opts.newServaldNode(fmt.Sprintf("mspcat.%d", port), log)
		return node, func() {}, err
	}
	key, err := p.listenIdentity(opts)
	if err != nil {
		return nil, nil, err
	}
	if node, err = opts.newNode(key.id, false, log); err != nil {
		key.close()
		return nil, nil, err
	}
	p.noteInterfaces(opts, node)
	return node, key.close, nil
}

// accept waits for a connection, or for an interruption.
func (p *pipe) accept(l *mspnet.Listener, log *slog.Logger) (*mspnet.Conn, error) {
	ctx, cancel := p.ints.bounded(context.Background(), p.ints.first)
	defer cancel()
	conn, err := l.AcceptContext(ctx)
	if err != nil && p.ints.interrupted() {
		return nil, &interruptedError{p.ints.signal, "while waiting for a connection"}
	}
	if err != nil {
		return nil, err
	}
	log.Info("accepted", "peer", conn.RemoteAddr().String())
	return conn, nil
}

// errSomeFailed is the end of a listener of which some connections had a status
// other than 0; each was told when it failed.
var errSomeFailed = errors.New("not all connections ended in order")

// serveAll serves one connection after the other until it is interrupted.
func (p *pipe) serveAll(l *mspnet.Listener, log *slog.Logger) error {
	failed := false
	for {
		conn, err := p.accept(l, log)
		var interrupted *interruptedError
		switch {
		case errors.As(err, &interrupted) && failed:
			return errSomeFailed
		case errors.As(err, &interrupted):
			return nil
		case err != nil:
			return err
		}
		if err := p.serve(conn); err != nil {
			var out *stdoutError
			if p.ints.interrupted() || errors.As(err, &out) {
				return err // nobody takes what further connections bring
			}
			p.say("%s", oneLine(err))
			failed = true
		}
	}
}
