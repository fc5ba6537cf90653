package engine

import (
	"context"
	"io"
	"net"
	"os"
	"time"
)

// Receive reads from the next message, or goes on in the one that an earlier
// call read in part, and tells whether more of it is left. It blocks until b is
// full, or the message has arrived to its end.
//
// It fails with os.ErrDeadlineExceeded, which comes before everything;
// net.ErrClosed after Close; io.EOF after the peer's last message or CloseRead;
// or, when all that was received in order is read, with what ended the
// connection: syscall.ECONNRESET, syscall.ETIMEDOUT or syscall.ECONNREFUSED.
func (c *Conn) Receive(b []byte) (n int, more bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if err := c.awaitReadyLocked(); err != nil {
			if n > 0 { // the rest may still come, or the next call tells why not
				return n, true, nil
			}
			return 0, false, err
		}
		k, ends := c.in.ReadMessage(b[n:])
		c.madeRoomLocked()
		if n += k; ends || n == len(b) {
			return n, !ends, nil
		}
	}
}

// Read reads bytes as Receive does, and fills b across message boundaries with
// what is there.
func (c *Conn) Read(b []byte) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(b) == 0 && !c.reader.passed && !c.closed {
		return 0, nil // as *net.TCPConn
	}
	if err := c.awaitReadyLocked(); err != nil {
		return 0, err
	}
	n = c.in.Read(b)
	c.madeRoomLocked()
	return n, nil
}

func (c *Conn) awaitReadyLocked() error {
	for {
		switch {
		case c.reader.passed:
			return os.ErrDeadlineExceeded
		case c.closed || c.stopping:
			return net.ErrClosed
		case c.readClosed:
			return io.EOF
		case c.in.Ready():
			return nil
		case c.eof:
			return io.EOF
		case c.ended:
			if c.err == nil {
				return io.EOF
			}
			return c.err
		}
		if err := c.reader.waitLocked(context.Background(), &c.mu); err != nil {
			return err
		}
	}
}

// madeRoomLocked lets the machine fill the room when half of it is free, or tell the
// peer of it, after something was read.
func (c *Conn) madeRoomLocked() {
	if c.starved && c.in.Len() <= inQueue/2 {
		c.starved = false
		c.e.attend(c)
	}
	if c.in.HasConsumed(readBatch) {
		c.e.attend(c)
	}
}

// CloseRead discards what has arrived and what still does. Reads return io.EOF.
func (c *Conn) CloseRead() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.stopping {
		return net.ErrClosed
	}
	c.readClosed = true
	c.in.Drop()
	c.reader.wakeLocked()
	c.e.attend(c)
	return nil
}

// SetReadDeadline bounds reads, also one that is blocked; zero means no bound.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(&c.reader, t) }

// SetWriteDeadline bounds writes, also one that is blocked; zero means no bound.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(&c.writer, t) }

func (c *Conn) setDeadline(s *side, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.stopping {
		return net.ErrClosed
	}
	s.setDeadlineLocked(t, &c.mu)
	return nil
}
