package mspnet

import (
	"context"
	"net"
	"time"

	"mesh.example/msp/engine"
	"mesh.example/msp/engine/msp"
)

// MaxMessage is the size of the largest message that every peer takes, in bytes.
// One that reads the extended format takes more, see [Conn.MaxMessage].
const MaxMessage = msp.MaxMessage

// A Conn is a connection: a stream of bytes with the semantics of *net.TCPConn,
// and a sequence of messages. It implements net.Conn, io.ReaderFrom and
// io.WriterTo. All methods may be called concurrently.
//
// Errors other than io.EOF are *net.OpError and unwrap to
//   - os.ErrDeadlineExceeded: a deadline is over;
//   - net.ErrClosed: the connection, or its node, was closed here;
//   - syscall.ECONNREFUSED: the peer refused (after an early Dial);
//   - syscall.ECONNRESET: the peer aborted, or its node was restarted and knows
//     nothing of the connection, which the text says;
//   - syscall.ETIMEDOUT: nothing was heard of the peer for 10 seconds, or
//     between nodes of this package, where nothing was to be heard, for 20, and
//     for 31 where they reach each other directly (or 21 more than the interval
//     of pings that the peer asks for, if that is longer);
//   - syscall.EPIPE: a write after CloseWrite;
//   - syscall.ENETDOWN, by way of a *mdpconn.DaemonError: the servald daemon of
//     the node is gone.
//
// A Conn that nobody closes lives on, keep-alives and all, as long as its node
// and its peer do.
//
// io.EOF means that the peer has ended its direction and everything it sent was
// read; an abort is never io.EOF. What was received in order before an abort
// or a time-out is read first.
type Conn struct {
	c      *engine.Conn
	linger linger
}

func newConn(c *engine.Conn) *Conn { return &Conn{c: c} }

// Read reads bytes, across message boundaries, as net.Conn has it.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.c.Read(b)
	return n, c.opError("read", err)
}

// Write writes b, of any size, as messages of [Conn.MaxMessage] bytes and one for
// the rest. It returns when the last is queued.
func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.c.Write(b)
	return n, c.opError("write", err)
}

// LocalAddr returns this end, an [Addr].
func (c *Conn) LocalAddr() net.Addr { return Addr{Addr: c.c.LocalAddr()} }

// RemoteAddr returns the peer's end, an [Addr].
func (c *Conn) RemoteAddr() net.Addr { return Addr{Addr: c.c.RemoteAddr()} }

// SetDeadline sets both deadlines; zero is none. It reaches calls that are
// blocked.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline sets the deadline of reads.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.opError("set", c.c.SetReadDeadline(t)) }

// SetWriteDeadline sets the deadline of writes. A write that times out may have
// queued a part.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.opError("set", c.c.SetWriteDeadline(t)) }

// CloseWrite ends our direction: the peer reads io.EOF behind what was written.
// Reading goes on.
func (c *Conn) CloseWrite() error { return c.opError("close", c.c.CloseWrite()) }

// CloseRead discards what has arrived and what still does; reads return io.EOF.
// Writing goes on. A peer that still writes when our direction is closed and
// delivered too is told to stop.
func (c *Conn) CloseRead() error { return c.opError("close", c.c.CloseRead()) }

// SetLinger tells what Close does with data that is not delivered: it is
// delivered in the background, or, if sec is 0, dropped, and the peer told that
// the connection was aborted. A positive number is as a negative one.
func (c *Conn) SetLinger(sec int) error {
	c.linger.set(sec == 0)
	return nil
}

// Abort closes the connection, also one that was closed and still delivers: what
// is not delivered is dropped, and the peer told that this is no end in order.
func (c *Conn) Abort() error { return c.opError("close", c.c.Abort()) }

// Close closes the connection. It returns at once; what was written is still
// delivered, unless SetLinger(0) was called. Blocked calls return
// net.ErrClosed. A program that exits calls [Drain] before.
func (c *Conn) Close() error {
	if c.linger.aborts() {
		return c.opError("close", c.c.Abort())
	}
	return c.opError("close", c.c.Close())
}

// CloseContext closes the connection, if that was not done, and waits until the
// peer has acknowledged everything that was written: only then it returns nil.
// If ctx is done first it returns its error and delivery goes on.
func (c *Conn) CloseContext(ctx context.Context) error {
	return c.opError("close", c.c.CloseContext(ctx))
}

// Flush waits until the peer has acknowledged everything that was written; the
// connection stays open. It fails with what ended the connection before, or with
// ctx's error.
func (c *Conn) Flush(ctx context.Context) error { return c.opError("write", c.c.Flush(ctx)) }

// Done returns a channel that is closed when the connection is over: both
// directions ended and delivered, or an error. An idle writer learns so what
// becomes of the connection behind the peer's end, where reads only give io.EOF;
// a Write tells why.
func (c *Conn) Done() <-chan struct{} { return c.c.Done() }

// Early reports whether all that has arrived of the connection so far came before
// there were session keys, as 0-RTT data does in TLS and QUIC: what was read then
// has no forward secrecy, and somebody may have recorded and repeated it
// (docs/extension.md §10.1). It is false before anything has arrived, and from the
// first packet under session keys on: that one proves that the peer takes part in
// the connection, and so that what was read is no replay. It does not become true
// again. A server that must not act on a replay reads a request, and while Early is
// true answers something harmless and waits for what the peer says to that.
//
// With a peer that has no session keys, as a stock node, it stays true. On a node
// without them (mdpconn.Config.NoSessions, or one at a servald daemon) it is always
// false, and says nothing: all that it gets is as early data is, and it has no
// better. Between identities of one node nothing is early.
func (c *Conn) Early() bool { return c.c.Early() }

// Stats returns the connection's counters.
func (c *Conn) Stats() Stats { return c.c.Stats() }

// Stats are a connection's counters.
type Stats = msp.Stats

// ReadMessage reads from the next message, or goes on in the one that an
// earlier call, of Read too, read in part. more tells that the message is not
// read to its end. It has the errors of Read.
func (c *Conn) ReadMessage(b []byte) (n int, more bool, err error) {
	n, more, err = c.c.Receive(b)
	return n, more, c.opError("read", err)
}

// MaxMessage returns the size of the largest message that can be written now, in
// bytes: the constant [MaxMessage] until the peer has announced more, which it has
// when Dial returns, unless that is early or it is a stock node.
func (c *Conn) MaxMessage() int { return c.c.MaxMessage() }

// WriteMessage writes b as one message. An empty one, or one of more than
// [Conn.MaxMessage] bytes, is an error, and nothing is sent.
func (c *Conn) WriteMessage(b []byte) error { return c.opError("write", c.c.Send(b)) }
