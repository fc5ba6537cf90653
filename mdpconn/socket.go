package mdpconn

import (
	"fmt"
	"net"
)

// maxTTL is the most hops a datagram may make (docs/overlay.md §10).
const maxTTL = 31

// A Socket is a bound port. It receives; datagrams are sent with Node.Send,
// which uses the queue and the TTL of the socket bound to their local address.
// All methods may be called concurrently.
type Socket struct {
	// Constant.
	node *Node
	sink sink

	// Guarded by Node.mu.
	local  Addr // changes only with the primary identity of a daemon
	closed bool
	queue  Queue
	ttl    uint8
	accept Accept
}

// LocalAddr gives the address that is bound. Its SID is All if it is bound for
// all identities, never Primary; its port is never 0. It stays the same, save
// that of a socket bound for Primary at a daemon that comes back with another
// primary identity (DownHandler).
func (s *Socket) LocalAddr() Addr {
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	return s.local
}

// Close frees the port. Datagrams that arrive later are those of an unbound
// port; a batch on its way to the handler may still arrive. After the first
// Close the error is net.ErrClosed.
func (s *Socket) Close() error {
	if !s.close() {
		return net.ErrClosed
	}
	s.node.carrier.unbind(s)
	return nil
}

// close frees the port within the node. It reports false if that was done.
func (s *Socket) close() bool {
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	if s.closed {
		return false
	}
	s.closed = true
	s.node.ports.remove(s)
	return true
}

// SetAccept has the socket receive more than enciphered datagrams, or no longer.
// A new socket receives nothing else. What is accepted plain can be forged by
// anybody, and what is accepted signed can be a recording: Datagram.Mode tells.
// To learn who signed a datagram may take an exchange with the sender; datagrams
// that come before are dropped.
func (s *Socket) SetAccept(a Accept) {
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	s.accept = a
}

// SetQueue sets the queue of datagrams that do not name one. QueueDefault means
// QueueOrdinary, which is also what a new socket has. A datagram for a direct
// neighbour carries no queue (docs/overlay.md §5).
func (s *Socket) SetQueue(q Queue) error {
	if err := q.Check(); err != nil {
		return err
	}
	if q == QueueDefault {
		q = QueueOrdinary
	}
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	s.queue = q
	return nil
}

// SetTTL sets how many hops datagrams may make that do not say it themselves,
// 1 … 31. A new socket has 31.
func (s *Socket) SetTTL(hops int) error {
	if hops < 1 || hops > maxTTL {
		return fmt.Errorf("mdpconn: TTL %d, expected 1 … %d", hops, maxTTL)
	}
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	s.ttl = uint8(hops)
	return nil
}
