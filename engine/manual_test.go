package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"mesh.example/msp/engine/msp"
	"mesh.example/msp/mdpconn"
)

// drive runs manual sockets by turns, as a program around poll(2) does, until
// done.
func drive(done func() bool, all ...*Manual) {
	for !done() {
		next := time.Now().Add(time.Minute)
		for _, m := range all {
			now := time.Now()
			for m.Recv(now) == nil {
			}
			if at := m.Processing(now); !at.IsZero() && at.Before(next) {
				next = at
			}
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-all[0].Readable():
		case <-all[len(all)-1].Readable():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Two programs in the manner of the protocol's original: a server that echoes
// each message from within its handler and shuts down after the client.
func TestManualEcho(t *testing.T) {
	inLab(t, func(l *lab) {
		server, client := NewManual(l.there), NewManual(l.here)
		ln := server.Socket()
		ln.SetLocal(mdpconn.Addr{Port: 80})
		ln.SetHandler(func(s *Socket, state msp.State, payload []byte) int {
			if len(payload) > 0 && s.Send(payload) != nil {
				return 0 // no room: offered again
			}
			if state&msp.ShutdownRemote != 0 {
				s.Shutdown()
			}
			return len(payload)
		})
		if err := ln.Listen(); err != nil {
			t.Fatal(err)
		}

		var got bytes.Buffer
		var states []msp.State
		c := client.Socket()
		c.SetHandler(func(s *Socket, state msp.State, payload []byte) int {
			if payload == nil {
				states = append(states, state)
			}
			n := min(len(payload), 3) // the rest is offered again
			got.Write(payload[:n])
			return n
		})
		if err := c.Connect(time.Now(), l.far(80)); err != nil {
			t.Fatal(err)
		}
		if !c.IsOpen() || c.IsConnected() {
			t.Errorf("state %v before the first packet", c.State())
		}
		for i := range 10 {
			if err := c.Send(fmt.Appendf(nil, "message %d;", i)); err != nil {
				t.Fatal(err)
			}
		}
		c.Shutdown()
		drive(c.IsClosed, client, server)

		want := ""
		for i := range 10 {
			want += fmt.Sprintf("message %d;", i)
		}
		if got.String() != want {
			t.Errorf("got back %q, want %q", got.String(), want)
		}
		last := states[len(states)-1]
		if last&msp.Closed == 0 || last&(msp.Failed|msp.Stopped) != 0 {
			t.Errorf("the last state is %v, want a clean end", last)
		}
		closed := 0
		for _, s := range states {
			if s&msp.Closed != 0 {
				closed++
			}
		}
		if closed != 1 {
			t.Errorf("told of the end %d times, want once: %v", closed, states)
		}
		if n := client.SocketCount(); n != 0 {
			t.Errorf("%d sockets left", n)
		}
		client.CloseAll(time.Now())
		server.CloseAll(time.Now())
	})
}

func TestManualCloseAllFromHandler(t *testing.T) {
	inLab(t, func(l *lab) {
		m := NewManual(l.here)
		s := m.Socket()
		var err error
		s.SetHandler(func(*Socket, msp.State, []byte) int {
			err = errors.Join(err, m.CloseAll(time.Now()))
			return 0
		})
		if err := s.Connect(time.Now(), l.far(80)); err != nil {
			t.Fatal(err)
		}
		m.Processing(time.Now()) // tells of DATAOUT
		if !errors.Is(err, ErrInHandler) {
			t.Errorf("CloseAll in a handler: %v, want ErrInHandler", err)
		}
		if s.IsClosed() {
			t.Error("and it closed the socket")
		}
		if err := m.CloseAll(time.Now()); err != nil {
			t.Error(err)
		}
		if !s.IsClosed() || m.SocketCount() != 0 {
			t.Errorf("after CloseAll: state %v, %d sockets", s.State(), m.SocketCount())
		}
	})
}

// A full queue makes Send fail until the handler is told of room.
func TestManualDataOut(t *testing.T) {
	inLab(t, func(l *lab) {
		ln := l.listen(80, ListenConfig{})
		defer ln.Close()
		m := NewManual(l.here)
		s := m.Socket()
		room := 0
		s.SetHandler(func(_ *Socket, state msp.State, _ []byte) int {
			if state&msp.DataOut != 0 {
				room++
			}
			return 0
		})
		if err := s.Connect(time.Now(), l.far(80)); err != nil {
			t.Fatal(err)
		}
		sent := 0
		for s.Send([]byte{1}) == nil {
			sent++
		}
		if err := s.Send([]byte{1}); err != msp.ErrFull || sent == 0 {
			t.Errorf("after %d messages: %v, want ErrFull", sent, err)
		}
		told := room
		drive(func() bool { return room > told }, m)
		if err := s.Send([]byte{1}); err != nil {
			t.Errorf("when told of room: %v", err)
		}
		m.CloseAll(time.Now())
	})
}

// A listener that is stopped while an opening waits shows it to nobody, and gives
// its port back once.
func TestManualStopWithOpeningPending(t *testing.T) {
	inLab(t, func(l *lab) {
		m := NewManual(l.there)
		listen := func() *Socket {
			s := m.Socket()
			s.SetLocal(mdpconn.Addr{Port: 80})
			s.SetHandler(func(of *Socket, state msp.State, _ []byte) int {
				if of != s {
					t.Errorf("told of a socket that nobody saw: %v", state)
				}
				return 0
			})
			if err := s.Listen(); err != nil {
				t.Fatal(err)
			}
			return s
		}
		s := listen()
		if _, err := Of(l.here).Dial(context.Background(), mdpconn.Addr{}, l.far(80), true); err != nil {
			t.Fatal(err)
		}
		<-m.Readable()
		if err := m.Recv(time.Now()); err != nil {
			t.Fatal(err)
		}
		s.Stop()
		m.Processing(time.Now())
		listen()
		time.Sleep(15 * time.Second)
		m.Processing(time.Now())
		if n := len(m.ports.ports); n != 1 {
			t.Errorf("%d ports in the table, want the new listener's", n)
		}
		m.CloseAll(time.Now())
	})
}
