package engine

import (
	"time"

	"mesh.example/msp/engine/msp"
)

// HandleDown ends all connections with err: what carries the node's datagrams is
// gone. Listeners stay. It implements [mdpconn.DownHandler].
func (e *Engine) HandleDown(err error) {
	e.mu.Lock()
	e.forgetArrivalsLocked() // of the time before
	e.news = append(e.news, func(time.Time) {
		e.down = err
		e.mux.Conns(func(m *msp.Conn) {
			if c, _ := m.User.(*Conn); c != nil {
				c.fail(err)
			}
			m.Fail()
		})
	})
	e.wakeLocked()
	e.mu.Unlock()
}

// HandleUp lets listeners follow their sockets, whose identity may be another
// one now. It implements [mdpconn.DownHandler].
func (e *Engine) HandleUp() {
	e.tell(func(time.Time) {
		e.down = nil
		e.relisten()
	})
}

func (e *Engine) relisten() {
	e.ports.rekey()
	var moved []*Listener
	e.mux.Listeners(func(m *msp.Listener) {
		if l := m.User.(*Listener); m.Addr() != toMSP(l.Addr()) {
			moved = append(moved, l)
		}
	})
	for _, l := range moved {
		old := l.m
		old.Close()
		m, err := e.mux.Listen(toMSP(l.Addr()), old.Backlog)
		if err != nil {
			l.fail(err)
			continue
		}
		m.User, m.Allow = l, old.Allow
		l.m = m
	}
}

// HandleDown has the next Processing close all connected sockets, as failed. It
// implements [mdpconn.DownHandler].
func (m *Manual) HandleDown(error) {
	m.mu.Lock()
	for i := range m.inbox {
		m.inbox[i].Release()
	}
	m.inbox, m.down = nil, true
	m.mu.Unlock()
	m.signal()
}

// HandleUp does nothing: listening sockets stay as they are. It implements
// [mdpconn.DownHandler].
func (m *Manual) HandleUp() {}

// failIfDown ends the connections after HandleDown.
func (m *Manual) failIfDown() {
	m.mu.Lock()
	down := m.down
	m.down = false
	m.mu.Unlock()
	if down {
		m.mux.Conns((*msp.Conn).Fail)
	}
}
