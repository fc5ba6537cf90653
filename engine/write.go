package engine

import (
	"context"
	"net"
	"os"
	"syscall"

	"mesh.example/msp/engine/msp"
)

// Send queues a copy of a message of 1 to MaxMessage bytes, and blocks while the
// queue is full. It does not wait for the message to be delivered. What goes out while nothing
// else is on its way is given to the link before Send returns, which may take a moment,
// whatever the deadline is, if the link's own queue is full.
//
// It fails with os.ErrDeadlineExceeded; net.ErrClosed after Close;
// syscall.EPIPE after CloseWrite; or with what ended the connection. Then
// nothing of the message is sent.
func (c *Conn) Send(b []byte) error {
	if len(b) == 0 {
		return msp.ErrEmpty
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(b) > c.largest {
		return &msp.MessageSizeError{Size: len(b), Limit: c.largest}
	}
	if err := c.beginWriteLocked(); err != nil {
		return err
	}
	defer c.endWriteLocked()
	return c.sendLocked(b)
}

// MaxMessage returns the size of the largest message that can be sent now, bytes:
// [msp.MaxMessage] until the peer has announced more.
func (c *Conn) MaxMessage() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.largest
}

// Write queues b as messages of MaxMessage bytes and one for the rest, and
// returns how many bytes were queued. Concurrent calls do not mix.
func (c *Conn) Write(b []byte) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.beginWriteLocked(); err != nil {
		return 0, err
	}
	defer c.endWriteLocked()
	for n < len(b) {
		k := min(len(b)-n, c.largest)
		if err := c.sendLocked(b[n : n+k]); err != nil {
			return n, err
		}
		n += k
	}
	return n, nil
}

// beginWriteLocked waits for the writers that came before.
func (c *Conn) beginWriteLocked() error {
	for {
		if err := c.writableLocked(); err != nil {
			return err
		}
		if !c.writing {
			c.writing = true
			return nil
		}
		if err := c.writer.waitLocked(context.Background(), &c.mu); err != nil {
			return err
		}
	}
}

func (c *Conn) endWriteLocked() {
	c.writing = false
	c.writer.wakeLocked()
}

func (c *Conn) sendLocked(b []byte) error {
	for {
		if err := c.writableLocked(); err != nil {
			return err
		}
		if len(c.out) < outQueue && c.outSize < outBytes {
			break
		}
		if err := c.writer.waitLocked(context.Background(), &c.mu); err != nil {
			return err
		}
	}
	buf := allocBuffer(msp.HeaderLen + len(b))
	copy(buf[msp.HeaderLen:], b)
	c.out = append(c.out, buf)
	c.outSize += len(buf)
	prompt := c.flushed && len(b) <= promptBytes
	c.flushed = false
	if prompt {
		c.e.attendNow(c)
	} else {
		c.e.attend(c)
	}
	return nil
}

// writableLocked tells why nothing can be sent; nil if it can.
func (c *Conn) writableLocked() error {
	switch {
	case c.writer.passed:
		return os.ErrDeadlineExceeded
	case c.closed || c.stopping:
		return net.ErrClosed
	case c.writeClosed:
		return syscall.EPIPE
	case c.ended && c.err != nil:
		return c.err
	case c.ended:
		return syscall.EPIPE
	}
	return nil
}

// CloseWrite sends the peer a SHUTDOWN behind what is queued. Reading goes on.
func (c *Conn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed || c.stopping:
		return net.ErrClosed
	case c.ended && c.err != nil:
		return c.err
	}
	c.writeClosed = true
	c.writer.wakeLocked()
	c.e.attend(c)
	return nil
}
