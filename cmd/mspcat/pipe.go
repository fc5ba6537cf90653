package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"mesh.example/msp/mspnet"
)

// A pipe joins stdin and stdout with connections, one after the other.
type pipe struct {
	*program
	source *source
	opts   *options
	ints   *interrupts
}

// A transfer is what goes on with one connection.
type transfer struct {
	*pipe
	conn *mspnet.Conn
	stop chan struct{} // closed by stopReading: read no more of stdin
	once sync.Once     // for that
	up   direction     // stdin → conn
	down direction     // conn → stdout
	sent int64         // bytes of stdin; valid once up is done
}

// A direction is one of the two of a transfer.
type direction struct {
	done chan struct{}
	err  error // valid once done is closed
}

func (d *direction) start(f func() error) {
	d.done = make(chan struct{})
	go func() {
		defer close(d.done)
		d.err = f()
	}()
}

// serve joins conn with stdin and stdout until both directions have ended, and
// closes it. It returns nil only if the peer has acknowledged everything, has
// ended in order, and everything it sent was written.
func (p *pipe) serve(conn *mspnet.Conn) error {
	start := time.Now()
	t := &transfer{pipe: p, conn: conn, stop: make(chan struct{})}
	t.up.start(t.send)
	t.down.start(t.receive)
	err := t.wait()
	if p.opts.stats {
		p.printStats(conn, time.Since(start))
	}
	if p.opts.keepOpen {
		t.letGo()
	}
	return p.describe(conn, err)
}

// letGo waits until stdin and stdout are free for the next connection.
func (t *transfer) letGo() {
	for _, done := range []chan struct{}{t.up.done, t.down.done} {
		select {
		case <-done:
		case <-t.ints.first: // there will be no next one
			return
		}
	}
}

// describe names the connection that an error is of.
func (p *pipe) describe(conn *mspnet.Conn, err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Net == conn.RemoteAddr().Network() {
		return fmt.Errorf("%v: %s", conn.RemoteAddr(), reason(err))
	}
	return err
}

// send sends stdin, and the end of it.
func (t *transfer) send() error {
	for {
		b, err := t.source.next(t.stop, t.conn.Done())
		switch {
		case err == io.EOF:
			return t.conn.CloseWrite()
		case err == errStopped:
			return t.sendRest()
		case err == errOver:
			// Behind the peer's end reads do not show what becomes of
			// the connection. The write, of nothing, tells.
		case err != nil:
			return &stdinError{err}
		}
		if err := t.write(b); err != nil {
			return err
		}
	}
}

// sendRest ends our direction when reading stdin was stopped. What was read
// meanwhile is still sent, unless it is the next connection's.
func (t *transfer) sendRest() error {
	if t.ints.interrupted() {
		if err := t.write(t.source.rest()); err != nil {
			return err
		}
	}
	return t.conn.CloseWrite()
}

func (t *transfer) write(b []byte) error {
	n, err := t.conn.Write(b)
	t.sent += int64(n)
	return err
}

// receive writes what the peer sends, and closes stdout behind it. With
// --keep-open stdout stays open for the next.
func (t *transfer) receive() error {
	if _, err := io.Copy(stdoutWriter{t.stdout}, t.conn); err != nil {
		return err
	}
	if c, ok := t.stdout.(io.Closer); ok && !t.opts.keepOpen {
		if err := c.Close(); err != nil {
			return &stdoutError{err}
		}
	}
	return nil
}

// stdoutWriter marks the errors of stdout.
type stdoutWriter struct{ w io.Writer }

func (w stdoutWriter) Write(b []byte) (int, error) {
	n, err := w.w.Write(b)
	if err != nil {
		return n, &stdoutError{err}
	}
	return n, nil
}

// wait waits for both directions. When the connection has failed, what had
// arrived before is still written.
func (t *transfer) wait() error {
	up, down := t.up.done, t.down.done
	for up != nil || down != nil {
		select {
		case <-up:
			up = nil
			var local *stdinError
			if errors.As(t.up.err, &local) {
				return t.abort(t.up.err)
			}
		case <-down:
			down = nil
			if t.down.err != nil {
				return t.abort(t.down.err)
			}
		case <-t.ints.first:
			return t.drain()
		}
	}
	if t.up.err != nil {
		return t.abort(t.up.err)
	}
	return t.finish()
}

// finish closes a connection whose directions have ended, and waits for the peer
// to have everything.
func (t *transfer) finish() error {
	ctx, cancel := t.ints.bounded(context.Background(), t.ints.second)
	defer cancel()
	if err := t.conn.CloseContext(ctx); err != nil {
		return t.undelivered(err)
	}
	return nil
}

// drain ends what was interrupted: what was read from stdin is delivered. What
// the peer sends is written until then, and not afterwards.
func (t *transfer) drain() error {
	if t.ints.atOnce() {
		return t.abort(t.undelivered(context.Canceled))
	}
	t.say("interrupted: delivering what was read from stdin; once more to abort")
	t.stopReading()
	select {
	case <-t.up.done:
		if t.up.err != nil {
			return t.abort(t.undelivered(t.up.err))
		}
	case <-t.ints.second:
		return t.abort(t.undelivered(context.Canceled))
	}
	if err := t.finish(); err != nil {
		return err
	}
	return &interruptedError{t.ints.signal, fmt.Sprintf("after %d bytes of stdin, which were delivered", t.sent)}
}

func (t *transfer) stopReading() { t.once.Do(func() { close(t.stop) }) }

func (t *transfer) undelivered(err error) error {
	if t.ints.atOnce() {
		return &interruptedError{t.ints.urgent, "at once: the peer was told that this is no end in order"}
	}
	if errors.Is(err, context.Canceled) {
		return errors.New("aborted by the second interruption: not everything was delivered")
	}
	return fmt.Errorf("not everything was delivered: %s", reason(err))
}

// abort lets go of a connection, and tells the peer that this is no end in
// order.
func (t *transfer) abort(err error) error {
	t.conn.Abort()  // an error says that it has ended already
	t.stopReading() // not before, as it ends our direction in order
	return err
}
