package engine

import (
	"errors"
	"sync"
	"time"

	"mesh.example/msp/engine/msp"
	"mesh.example/msp/mdpconn"
)

// Errors of the manual API.
var (
	ErrNoPacket  = errors.New("engine: no packet is waiting")
	ErrInHandler = errors.New("engine: CloseAll must not be called from within a handler")
)

// A Handler is told of everything that happens on a socket (stock:
// msp_set_handler). payload is a whole message or, if an earlier call took only
// a part, what is left of it; nil if there is none. It is valid during the
// call. The handler returns how many of its bytes it consumed; what is left is
// offered again by the next Processing, and the message is acknowledged only
// when all of it is consumed. A negative number closes the socket.
//
// A state with [msp.Closed] comes exactly once, last.
type Handler func(s *Socket, state msp.State, payload []byte) (consumed int)

// Manual is the set of MSP sockets of one MDP node, driven by hand: it has no
// goroutine and reads no clock. The program waits for [Manual.Readable] or the
// time that Processing returned, calls Recv until there is no packet, then
// Processing. Only Readable may be used concurrently with anything.
//
// A Manual does not answer for ports that it has not bound.
type Manual struct {
	node      *mdpconn.Node
	mux       *msp.Mux
	ports     portTable
	lingering lingerList
	sockets   map[*Socket]struct{}
	out       []mdpconn.Datagram
	inHandler bool

	readable chan struct{} // capacity 1

	mu sync.Mutex
	// Guarded by mu.
	inbox    []mdpconn.Datagram
	dropped  uint64
	down     bool // connections are to end: the node has lost its daemon
	restarts []restart
}

// NewManual returns an empty set of sockets over node (stock: mdp_socket).
func NewManual(node *mdpconn.Node) *Manual {
	m := &Manual{
		node:     node,
		mux:      msp.NewMux(msp.Config{Alloc: allocBuffer, Free: freeBuffer}),
		sockets:  make(map[*Socket]struct{}),
		readable: make(chan struct{}, 1),
	}
	m.ports = portTable{node: node, handler: m}
	return m
}

// HandleDatagrams implements [mdpconn.Handler].
func (m *Manual) HandleDatagrams(batch []mdpconn.Datagram) {
	m.mu.Lock()
	for i := range batch {
		if len(m.inbox) >= inboxLimit {
			m.dropped++
			batch[i].Release()
			continue
		}
		m.inbox = append(m.inbox, batch[i])
	}
	m.mu.Unlock()
	m.signal()
}

func (m *Manual) signal() {
	select {
	case m.readable <- struct{}{}:
	default:
	}
}

// Readable has an element when packets have arrived: what poll(2) tells of the
// original's file descriptor.
func (m *Manual) Readable() <-chan struct{} { return m.readable }

// Recv takes one packet that has arrived (stock: msp_recv). It returns
// [ErrNoPacket] if there is none. Handlers are called by the next Processing.
func (m *Manual) Recv(now time.Time) error {
	m.mu.Lock()
	if len(m.inbox) == 0 {
		m.inbox = nil
		m.mu.Unlock()
		return ErrNoPacket
	}
	d := m.inbox[0]
	m.inbox[0] = mdpconn.Datagram{}
	m.inbox = m.inbox[1:]
	m.mu.Unlock()
	m.mux.InputFrom(now, toMSP(d.Local), toMSP(d.Remote), d.Data, originOf(&d))
	d.Release()
	return nil
}

// Processing calls handlers and sends what is due (stock: msp_processing). It
// returns when it must be called next, unless a packet arrives before or a
// socket is used; zero if there is nothing to wait for. Calling it early is
// harmless.
func (m *Manual) Processing(now time.Time) (next time.Time) {
	m.failIfDown()
	m.failRestarted()
	m.mux.Advance(now)
	for s := range m.sockets {
		s.process(now)
	}
	for {
		for c := m.mux.NextEvent(); c != nil; c = m.mux.NextEvent() {
			if s := m.socketOf(c); s != nil {
				s.process(now)
			}
		}
		if !m.mux.Pending() {
			break
		}
		m.mux.Poll(now, func(local, remote msp.Addr, data []byte) {
			m.out = append(m.out, mdpconn.Datagram{Local: fromMSP(local), Remote: fromMSP(remote), Data: data})
		})
		m.out = sendAll(m.node, m.out)
	}
	m.lingering.release(now)
	return m.lingering.next(m.mux.NextTimeout())
}

// socketOf returns the socket of a connection, a new one with the listener's
// handler if a peer has just opened it.
func (m *Manual) socketOf(c *msp.Conn) *Socket {
	if s, ok := c.User.(*Socket); ok {
		return s
	}
	if c.Cause() != msp.Open { // it ended before anyone saw it
		c.Discard()
		c.Accept()
		return nil
	}
	l := c.Listener().User.(*Socket)
	t, err := l.tenancy.port.rent(fromMSP(c.Local()).SID, fromMSP(c.Remote()).SID)
	if err != nil {
		c.Fail()
		return nil
	}
	s := &Socket{m: m, conn: c, tenancy: t, handler: l.handler, local: fromMSP(c.Local()), remote: fromMSP(c.Remote())}
	c.User = s
	c.Accept()
	m.sockets[s] = struct{}{}
	return s
}

// SocketCount returns how many sockets are not closed yet (stock:
// msp_socket_count).
func (m *Manual) SocketCount() int { return len(m.sockets) }

// CloseAll frees all sockets at once; peers of open connections get a STOP
// (stock: msp_close_all). Handlers are told. From within a handler it is an
// error, [ErrInHandler], and does nothing.
func (m *Manual) CloseAll(now time.Time) error {
	if m.inHandler {
		return ErrInHandler
	}
	for s := range m.sockets {
		s.Stop()
	}
	m.Processing(now)
	m.lingering.release(now.Add(portLinger))
	return nil
}

// sendAll sends a batch and returns it empty. A datagram that the node refuses
// is as good as lost on the way: the protocol repeats it.
func sendAll(node *mdpconn.Node, batch []mdpconn.Datagram) []mdpconn.Datagram {
	for rest := batch; len(rest) > 0; {
		n, err := node.Send(rest)
		if err == nil {
			break
		}
		rest = rest[min(n+1, len(rest)):]
	}
	clear(batch)
	return batch[:0]
}
