package mdpconn

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// packetQueue is how many datagrams wait in a PacketConn for being read.
// Implementation.
const packetQueue = 256

// A packetConn makes a net.PacketConn of a socket.
type packetConn struct {
	// Constant.
	node   *Node
	socket *Socket
	queue  chan Datagram
	down   chan error // cap 1; what ReadFrom is to tell once
	closed chan struct{}

	read, write deadline

	// mu guards what follows. It is held for moments only, by the node's
	// receiving goroutines as well.
	mu      sync.Mutex
	closing bool
}

// ListenPacket binds a port, as Bind does, and gives it the form of package
// net. Addresses are Addrs: ReadFrom gives an Addr, and WriteTo takes an Addr or
// a pointer to one. What is written to a SID in the name of All comes from the
// primary identity.
//
// Like a UDP socket it queues datagrams that arrive, 256 of them, and drops
// more; ReadFrom drops what does not fit into its buffer. A datagram to write
// has 1 … MaxData bytes. Errors are *net.OpErrors, and after Close, also of the
// node, net.ErrClosed; after a deadline os.ErrDeadlineExceeded. ReadFrom tells
// once when the daemon of a node is gone, by a *DaemonError; it may be called
// again.
func (n *Node) ListenPacket(local Addr) (net.PacketConn, error) {
	c := &packetConn{
		node:   n,
		queue:  make(chan Datagram, packetQueue),
		down:   make(chan error, 1),
		closed: make(chan struct{}),
	}
	c.read.init()
	c.write.init()
	s, err := n.Bind(local, c)
	if err != nil {
		return nil, err
	}
	c.socket = s
	return c, nil
}

// HandleDatagrams queues datagrams for ReadFrom.
func (c *packetConn) HandleDatagrams(batch []Datagram) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range batch {
		if c.closing {
			batch[i].Release()
			continue
		}
		select {
		case c.queue <- batch[i]:
		default:
			c.node.count.dropped.queueFull.Add(1)
			batch[i].Release()
		}
	}
}

func (c *packetConn) LocalAddr() net.Addr { return c.socket.LocalAddr() }

func (c *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	d, err := c.receive()
	if err != nil {
		return 0, nil, c.opError("read", nil, err)
	}
	k := copy(b, d.Data)
	from := d.Remote
	d.Release()
	return k, from, nil
}

// receive waits for a datagram.
func (c *packetConn) receive() (Datagram, error) {
	timeout := c.read.wait()
	select {
	case <-c.closed:
		return Datagram{}, net.ErrClosed
	case <-c.node.done:
		return Datagram{}, net.ErrClosed
	case <-timeout:
		return Datagram{}, os.ErrDeadlineExceeded
	default:
	}
	select {
	case <-c.closed:
		return Datagram{}, net.ErrClosed
	case <-c.node.done:
		return Datagram{}, net.ErrClosed
	case <-timeout:
		return Datagram{}, os.ErrDeadlineExceeded
	case d := <-c.queue:
		return d, nil
	case err := <-c.down:
		return Datagram{}, err
	}
}

// HandleDown has ReadFrom tell that the daemon is gone.
func (c *packetConn) HandleDown(err error) {
	select {
	case c.down <- err:
	default:
	}
}

// HandleUp does nothing: reading goes on.
func (c *packetConn) HandleUp() {}

func (c *packetConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	var to Addr
	switch a := addr.(type) {
	case Addr:
		to = a
	case *Addr:
		if a == nil {
			return 0, c.opError("write", nil, errors.New("address is a nil *mdpconn.Addr"))
		}
		to = *a
	default:
		return 0, c.opError("write", addr, fmt.Errorf("address of type %T, expected mdpconn.Addr", addr))
	}
	select {
	case <-c.closed:
		return 0, c.opError("write", to, net.ErrClosed)
	case <-c.write.wait():
		return 0, c.opError("write", to, os.ErrDeadlineExceeded)
	default:
	}
	d := [1]Datagram{{Local: c.socket.LocalAddr(), Remote: to, Data: b}}
	if d[0].Local.SID == All {
		d[0].Local.SID = Primary
	}
	if _, err := c.node.Send(d[:]); err != nil {
		return 0, c.opError("write", to, err)
	}
	return len(b), nil
}

func (c *packetConn) opError(op string, addr net.Addr, err error) error {
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: addr, Err: err}
}

func (c *packetConn) Close() error {
	if err := c.socket.Close(); err != nil {
		return c.opError("close", nil, err)
	}
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	close(c.closed)
	c.read.set(time.Time{})
	c.write.set(time.Time{})
	for {
		select {
		case d := <-c.queue:
			d.Release()
		default:
			return nil
		}
	}
}

func (c *packetConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (c *packetConn) SetReadDeadline(t time.Time) error { return c.setDeadline(&c.read, t) }

func (c *packetConn) SetWriteDeadline(t time.Time) error { return c.setDeadline(&c.write, t) }

func (c *packetConn) setDeadline(d *deadline, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return c.opError("set", nil, net.ErrClosed)
	}
	d.set(t)
	return nil
}
