package engine

import (
	"errors"
	"time"

	"mesh.example/msp/engine/msp"
	"mesh.example/msp/mdpconn"
)

var (
	errSocketUsed = errors.New("engine: socket is listening, connected or closed already")
	errNotOpen    = errors.New("engine: socket is not connected")
)

// A Socket is an MSP socket of the manual API. It is used by whoever drives its
// [Manual], from within handlers too.
type Socket struct {
	m        *Manual
	conn     *msp.Conn     // nil unless connected
	listener *msp.Listener // nil unless listening
	tenancy  tenancy
	handler  Handler
	local    mdpconn.Addr
	remote   mdpconn.Addr
	closed   bool
	told     msp.State // what the handler knows
}

// Socket returns a new socket (stock: msp_socket).
func (m *Manual) Socket() *Socket {
	s := &Socket{m: m}
	m.sockets[s] = struct{}{}
	return s
}

// SetLocal sets the address to listen on or to connect from (stock:
// msp_set_local). Without it that is a free port of the primary identity.
func (s *Socket) SetLocal(a mdpconn.Addr) { s.local = a }

// SetHandler sets what is told of the socket's events (stock: msp_set_handler).
// What it needs besides, a closure carries.
func (s *Socket) SetHandler(h Handler) { s.handler = h }

// Connect opens a connection (stock: msp_connect; older: msp_set_remote).
// Messages may be sent at once; the first packet leaves with the next
// Processing.
func (s *Socket) Connect(now time.Time, remote mdpconn.Addr) error {
	if !s.IsInitialising() {
		return errSocketUsed
	}
	t, err := s.m.ports.claimFor(s.local, remote)
	if err != nil {
		return err
	}
	c, err := s.m.mux.Dial(now, toMSP(t.port.addr()), toMSP(remote), announceDelay)
	if err != nil {
		t.abandon()
		return err
	}
	s.conn, s.tenancy, s.local, s.remote = c, t, t.port.addr(), remote
	c.User = s
	return nil
}

// Listen takes the connections that peers open to the local address (stock:
// msp_listen). Each becomes a socket with this socket's handler.
func (s *Socket) Listen() error {
	if !s.IsInitialising() {
		return errSocketUsed
	}
	p, err := s.m.ports.claim(s.local)
	if err != nil {
		return err
	}
	l, err := s.m.mux.Listen(toMSP(p.addr()), defaultBacklog)
	if err != nil {
		p.abandon()
		return err
	}
	s.listener, s.tenancy, s.local = l, tenancy{p, func() {}}, p.addr()
	l.User = s
	return nil
}

// Send queues a message of 1 to [msp.MaxMessage] bytes (stock: msp_send). It
// fails with [msp.ErrFull] until a handler is told [msp.DataOut]. b is copied.
func (s *Socket) Send(b []byte) error {
	if s.conn == nil {
		return errNotOpen
	}
	err := s.conn.Send(b)
	if errors.Is(err, msp.ErrFull) {
		s.told &^= msp.DataOut
	}
	return err
}

// Shutdown ends the sending direction (stock: msp_shutdown).
func (s *Socket) Shutdown() {
	if s.conn != nil {
		s.conn.Shutdown()
	}
}

// Stop aborts the connection, with a STOP to the peer, or ends listening (stock:
// msp_stop). The next Processing tells the handler that the socket is closed.
func (s *Socket) Stop() {
	if s.conn != nil {
		s.conn.Stop()
	}
	s.closed = true
}

// Close is Stop without a word to the peer (stock, older: msp_close).
func (s *Socket) Close() {
	if s.conn != nil {
		s.conn.Drop()
	}
	s.closed = true
}

// process calls the handler with every message that is there, or once if only
// the state has changed.
func (s *Socket) process(now time.Time) {
	if _, open := s.m.sockets[s]; !open {
		return
	}
	for s.conn != nil && !s.closed {
		b := s.conn.Peek()
		if b == nil {
			break
		}
		n := s.call(s.State()&^msp.Closed, b)
		if n < 0 {
			s.Stop()
			break
		}
		if n > 0 && s.conn.Peek() != nil {
			s.conn.Consume(min(n, len(b)))
		}
		if n < len(b) {
			return // the rest is offered again, before anything else
		}
	}
	state := s.State()
	if state == s.told {
		return
	}
	s.told = state
	if state&msp.Closed != 0 {
		s.free(now)
	}
	if s.call(state, nil) < 0 {
		s.Stop()
	}
}

func (s *Socket) call(state msp.State, payload []byte) int {
	if s.handler == nil {
		return 0
	}
	outer := s.m.inHandler
	s.m.inHandler = true
	defer func() { s.m.inHandler = outer }()
	return s.handler(s, state, payload)
}

// free gives back what the socket holds.
func (s *Socket) free(now time.Time) {
	delete(s.m.sockets, s)
	switch {
	case s.listener != nil:
		s.listener.Close()
		s.tenancy.abandon()
	case s.conn != nil:
		if s.conn.Listener() == nil {
			s.tenancy.port.disown()
		}
		s.m.lingering.add(now, s.tenancy, nil)
	}
}

// State returns the state bits (stock: msp_get_state).
func (s *Socket) State() msp.State {
	var state msp.State
	switch {
	case s.listener != nil:
		state = msp.Listening
	case s.conn != nil:
		state = s.conn.State()
	}
	if s.closed {
		state |= msp.Closed
	}
	return state
}

// Local returns the socket's address (stock: msp_get_local).
func (s *Socket) Local() mdpconn.Addr { return s.local }

// Remote returns the peer's address, zero unless connected (stock:
// msp_get_remote).
func (s *Socket) Remote() mdpconn.Addr { return s.remote }

// IsInitialising reports whether the socket neither listens nor is connected
// (stock: msp_socket_is_initialising).
func (s *Socket) IsInitialising() bool { return s.conn == nil && s.listener == nil && !s.closed }

// IsOpen reports whether the socket is connecting or connected (stock:
// msp_socket_is_open).
func (s *Socket) IsOpen() bool { return s.conn != nil && s.State()&msp.Closed == 0 }

// IsClosed reports whether the socket is over (stock: msp_socket_is_closed).
func (s *Socket) IsClosed() bool { return s.State()&msp.Closed != 0 }

// IsListening reports whether the socket listens (stock:
// msp_socket_is_listening).
func (s *Socket) IsListening() bool { return s.listener != nil && !s.closed }

// IsData reports whether a message has arrived (stock: msp_socket_is_data).
func (s *Socket) IsData() bool { return s.State()&msp.ReceivedData != 0 }

// IsConnected reports whether the peer has answered (stock:
// msp_socket_is_connected).
func (s *Socket) IsConnected() bool { return s.State()&msp.ReceivedPacket != 0 }

// IsShutdownLocal reports whether this end has shut down (stock:
// msp_socket_is_shutdown_local).
func (s *Socket) IsShutdownLocal() bool { return s.State()&msp.ShutdownLocal != 0 }

// IsShutdownRemote reports whether the peer has shut down and everything before
// was delivered (stock: msp_socket_is_shutdown_remote).
func (s *Socket) IsShutdownRemote() bool { return s.State()&msp.ShutdownRemote != 0 }
