package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/engine/msp"
	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
)

// A lab is a memory network with two nodes, inside a synctest bubble.
type lab struct {
	t           *testing.T
	net         *memnet.Network
	here, there *mdpconn.Node
	links       [2]*memnet.Link
}

// inLab runs f in a bubble, over a network with a one-way delay of 5 ms.
func inLab(t *testing.T, f func(l *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &lab{t: t, net: memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 5 * time.Millisecond}})}
		defer l.net.Close()
		for i, node := range []**mdpconn.Node{&l.here, &l.there} {
			l.links[i] = l.net.Link()
			n, err := mdpconn.NewNode(mdpconn.Config{Links: []mdpconn.Link{l.links[i]}})
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			*node = n
		}
		l.here.AddHint(l.there.Primary(), l.links[1].LocalAddr())
		l.there.AddHint(l.here.Primary(), l.links[0].LocalAddr())
		f(l)
	})
}

// listen listens on the far node.
func (l *lab) listen(port mdpconn.Port, cfg ListenConfig) *Listener {
	l.t.Helper()
	ln, err := Of(l.there).Listen(mdpconn.Addr{Port: port}, cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	return ln
}

// dial dials the far node from the near one.
func (l *lab) dial(port mdpconn.Port) (*Conn, error) {
	return Of(l.here).Dial(context.Background(), mdpconn.Addr{}, l.far(port), false)
}

// manual connects a socket of a Manual on the near node to a listener of the far one.
// last is what its handler was told last.
func (l *lab) manual() (m *Manual, s *Socket, last *msp.State) {
	l.t.Helper()
	l.listen(80, ListenConfig{})
	m = NewManual(l.here)
	s, last = m.Socket(), new(msp.State)
	s.SetHandler(func(_ *Socket, state msp.State, payload []byte) int {
		*last = state
		return len(payload)
	})
	if err := s.Connect(time.Now(), l.far(80)); err != nil {
		l.t.Fatal(err)
	}
	return m, s, last
}

func (l *lab) far(port mdpconn.Port) mdpconn.Addr {
	return mdpconn.Addr{SID: l.there.Primary(), Port: port}
}

// pair returns the two ends of a connection.
func (l *lab) pair() (near, far *Conn) {
	l.t.Helper()
	ln := l.listen(80, ListenConfig{})
	near, err := l.dial(80)
	if err != nil {
		l.t.Fatal(err)
	}
	if far, err = ln.Accept(context.Background()); err != nil {
		l.t.Fatal(err)
	}
	if err := ln.Close(); err != nil {
		l.t.Fatal(err)
	}
	return near, far
}
