package engine

import (
	"context"
	"net"
	"time"
)

// Close lets go of the connection and returns at once. What was sent is still
// delivered; what arrives is discarded (docs/protocol.md §8.1). Blocked calls
// return net.ErrClosed. A second Close is net.ErrClosed.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closeLocked(false)
}

// Abort lets go of the connection, also of one that was closed and still
// delivers: it drops what is queued and tells the peer by a STOP. It is
// net.ErrClosed if there is nothing left to abort.
func (c *Conn) Abort() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closeLocked(true)
}

func (c *Conn) closeLocked(abort bool) error {
	if c.closed && (!abort || c.stopping || c.ended) {
		return net.ErrClosed
	}
	c.closed, c.readClosed, c.writeClosed, c.stopping = true, true, true, abort
	c.in.Drop()
	for _, s := range []*side{&c.reader, &c.writer} {
		s.stopLocked()
		s.passed = false
		s.wakeLocked()
	}
	c.watcher.wakeLocked()
	if !c.ended {
		c.e.drains(c)
	}
	c.e.attend(c)
	return nil
}

// CloseContext closes the connection as Close does, if it is open, and waits
// until the peer has acknowledged everything: only then it returns nil.
// Otherwise it returns what ended the connection before, or ctx's error; then
// delivery goes on in the background.
func (c *Conn) CloseContext(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeLocked(false)
	for !c.delivered {
		if c.ended {
			if c.err == nil {
				return net.ErrClosed
			}
			return c.err
		}
		if err := c.watcher.waitLocked(ctx, &c.mu); err != nil && !c.delivered {
			return err
		}
	}
	return nil
}

// Flush waits until the peer has acknowledged everything that was sent. It
// returns what ended the connection before, or ctx's error.
func (c *Conn) Flush(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.flushed {
		switch {
		case c.closed:
			return net.ErrClosed
		case c.ended && c.err != nil:
			return c.err
		case c.ended:
			return net.ErrClosed
		}
		if err := c.watcher.waitLocked(ctx, &c.mu); err != nil && !c.flushed {
			return err
		}
	}
	return nil
}

// Done returns a channel that is closed when the connection is over: finished in
// both directions and delivered, or failed.
func (c *Conn) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.ended {
			close(c.done)
		}
	}
	return c.done
}

// quiet waits until a closed connection has delivered everything, and a little
// longer if it was finished, so that the peer need not miss its last
// acknowledgement. It returns early with ctx's error only.
func (c *Conn) quiet(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.delivered && !c.ended {
		if err := c.watcher.waitLocked(ctx, &c.mu); err != nil {
			return err
		}
	}
	wait := time.Until(c.quietAt)
	if !c.ended || c.err != nil || wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	c.mu.Unlock()
	defer c.mu.Lock()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Drain waits until every connection that was closed has delivered what it
// accepted, or has failed to. It returns ctx's error if that comes first.
func (e *Engine) Drain(ctx context.Context) error {
	e.mu.Lock()
	conns := make([]*Conn, 0, len(e.leaving))
	for c := range e.leaving {
		conns = append(conns, c)
	}
	e.mu.Unlock()
	for _, c := range conns {
		if err := c.quiet(ctx); err != nil {
			return err
		}
	}
	return nil
}
