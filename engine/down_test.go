package engine

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/engine/msp"
	"mesh.example/msp/mdpconn"
)

var errLost = errors.New("the daemon is gone")

// The loss of what carries the datagrams is reported once on each connection,
// behind what had arrived; listeners stay.
func TestHandleDown(t *testing.T) {
	inLab(t, func(l *lab) {
		near, far := l.pair()
		closing, _ := l.pair()
		ln := l.listen(81, ListenConfig{})
		if err := far.Send([]byte("before")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		time.Sleep(time.Second)
		closing.Send([]byte("undelivered"))
		closing.Close()

		dialled := make(chan error, 1)
		go func() {
			_, err := l.dial(82)
			dialled <- err
		}()
		blocked := make(chan error, 1)
		go func() { blocked <- near.Flush(context.Background()) }()
		synctest.Wait()
		Of(l.here).HandleDown(errLost)
		synctest.Wait()
		if _, err := l.dial(81); !errors.Is(err, errLost) {
			t.Errorf("a dial whose port was bound before: %v", err)
		}
		Of(l.here).HandleUp()
		synctest.Wait()

		if err := <-dialled; !errors.Is(err, errLost) {
			t.Errorf("a dial in the middle: %v", err)
		}
		if err := near.Send([]byte("x")); !errors.Is(err, errLost) {
			t.Errorf("sending: %v", err)
		}
		all, err := io.ReadAll(near)
		if string(all) != "before" || !errors.Is(err, errLost) {
			t.Errorf("read %q, %v", all, err)
		}
		if err := closing.CloseContext(context.Background()); !errors.Is(err, errLost) {
			t.Errorf("a closed connection: %v", err)
		}
		<-near.Done()
		<-blocked
		if err := Of(l.here).Drain(context.Background()); err != nil {
			t.Errorf("drain: %v", err)
		}

		// The node works again.
		again, err := l.dial(81)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ln.Accept(context.Background()); err != nil {
			t.Fatal(err)
		}
		again.Close()
	})
}

func TestManualDown(t *testing.T) {
	inLab(t, func(l *lab) {
		m, s, last := l.manual()
		listener := m.Socket()
		listener.SetLocal(mdpconn.Addr{Port: 90})
		if err := listener.Listen(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(m.Processing(time.Now()))) // the first packet waits for a message
		m.Processing(time.Now())
		<-m.Readable()
		for m.Recv(time.Now()) == nil {
		}
		m.Processing(time.Now())
		if !s.IsConnected() {
			t.Fatal("not connected")
		}
		m.HandleDown(errLost)
		m.HandleUp()
		<-m.Readable()
		m.Processing(time.Now())
		if *last&(msp.Closed|msp.Failed) != msp.Closed|msp.Failed {
			t.Errorf("told %v, want CLOSED and ERROR", *last)
		}
		if m.SocketCount() != 1 || !listener.IsListening() {
			t.Error("the listener is gone")
		}
		m.CloseAll(time.Now())
	})
}
