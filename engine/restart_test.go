package engine

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/engine/msp"
	"mesh.example/msp/internal/mspdebug"
	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
)

// needsKeys leaves out a test that needs session keys where the environment has
// everything keep to the published protocols.
func needsKeys(t *testing.T) {
	t.Helper()
	if mspdebug.Published() {
		t.Skip("not run: MSPDEBUG=published=1 leaves no session keys")
	}
}

// restart has the far node end without a word and begin anew, with the same
// identity at the same address.
func (l *lab) restart() {
	l.t.Helper()
	id := l.there.Identity(l.there.Primary())
	addr := l.links[1].LocalAddr()
	l.net.SetImpairmentAll(memnet.Impairment{Loss: 1})
	l.there.Close()
	l.net.SetImpairmentAll(memnet.Impairment{Delay: 5 * time.Millisecond})
	var err error
	if l.links[1], err = l.net.Listen(addr); err != nil {
		l.t.Fatal(err)
	}
	l.there, err = mdpconn.NewNode(mdpconn.Config{Identities: []*mdpconn.Identity{id}, Links: []mdpconn.Link{l.links[1]}})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { l.there.Close() })
	l.there.AddHint(l.here.Primary(), l.links[0].LocalAddr())
}

// call has the far node open a connection to a listener of the near one, and say
// hello in its first packet.
func (l *lab) call(ln *Listener) (near, far *Conn) {
	l.t.Helper()
	far, err := Of(l.there).Dial(context.Background(), mdpconn.Addr{}, ln.Addr(), true)
	if err != nil {
		l.t.Fatal(err)
	}
	far.Send([]byte("hello"))
	ln.SetDeadline(time.Now().Add(time.Minute))
	if near, err = ln.Accept(context.Background()); err != nil {
		l.t.Fatal(err)
	}
	for _, c := range []*Conn{near, far} {
		c.SetReadDeadline(time.Now().Add(time.Minute))
	}
	buf := make([]byte, 10)
	if n, err := near.Read(buf); string(buf[:n]) != "hello" || err != nil {
		l.t.Fatalf("read %q, %v", buf[:n], err)
	}
	return near, far
}

// wantRestarted wants reads of a connection to have failed as the peer's restart
// makes them.
func wantRestarted(t *testing.T, c *Conn, why string) {
	t.Helper()
	synctest.Wait()
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) || !strings.Contains(err.Error(), "restarted") {
		t.Errorf("%s: %v, want that the peer was restarted", why, err)
	}
}

// TestPeerRestarts: [MSX-14.2] connections to a peer that has begun anew fail as soon as
// there are session keys with its new life, whoever opened them; what had arrived is
// read first. Those of the new life, and listeners, go on.
func TestPeerRestarts(t *testing.T) {
	needsKeys(t)
	inLab(t, func(l *lab) {
		dialled, toDialled := l.pair()
		ln, err := Of(l.here).Listen(mdpconn.Addr{Port: 90}, ListenConfig{})
		if err != nil {
			t.Fatal(err)
		}
		accepted, _ := l.call(ln)
		toDialled.Send([]byte("unread"))
		halfClosed, toHalfClosed := l.pair()
		toHalfClosed.CloseWrite()
		closing, _ := l.pair()
		time.Sleep(3 * time.Second)
		l.restart()
		closing.Send([]byte("undelivered"))
		closing.Close()
		synctest.Wait()

		began := time.Now()
		again, far := l.call(ln)
		time.Sleep(50 * time.Millisecond)
		if b, err := dialled.Read(make([]byte, 10)); b != 6 || err != nil {
			t.Errorf("read %d bytes, %v; want what had arrived", b, err)
		}
		wantRestarted(t, dialled, "a dialled connection")
		wantRestarted(t, accepted, "an accepted connection")
		if err := accepted.Send([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("sending: %v", err)
		}
		if _, err := halfClosed.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("behind the peer's end: %v, want io.EOF", err)
		}
		if err := halfClosed.Send([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("sending behind the peer's end: %v", err)
		}
		if err := closing.CloseContext(context.Background()); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("closing with data undelivered: %v", err)
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("it took %v", took)
		}

		again.Send([]byte("still here"))
		buf := make([]byte, 20)
		if n, err := far.Read(buf); string(buf[:n]) != "still here" || err != nil {
			t.Errorf("the new connection: %q, %v", buf[:n], err)
		}
		l.call(ln)
	})
}

// A connection that is lingering, and one whose opening the former life has not
// answered, are not of the former life.
func TestPeerRestartsDuringOpeningAndLinger(t *testing.T) {
	needsKeys(t)
	inLab(t, func(l *lab) {
		near, far := l.pair()
		near.Send([]byte("all of it"))
		near.Close()
		if b, err := io.ReadAll(far); string(b) != "all of it" || err != nil {
			t.Fatalf("%q, %v", b, err)
		}
		if err := far.CloseContext(context.Background()); err != nil {
			t.Fatal(err)
		}
		l.net.SetImpairmentAll(memnet.Impairment{Loss: 1})
		opening, err := Of(l.here).Dial(context.Background(), mdpconn.Addr{}, l.far(81), true)
		if err != nil {
			t.Fatal(err)
		}
		opening.Send([]byte("to whoever is there"))
		time.Sleep(time.Second)
		l.restart()
		ln := l.listen(81, ListenConfig{})
		ln.SetDeadline(time.Now().Add(time.Minute))
		l.net.SetImpairmentAll(memnet.Impairment{Delay: 5 * time.Millisecond})
		got, err := ln.Accept(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if s := l.here.Stats().Sessions; s.Restarts != 1 {
			t.Errorf("%d restarts heard of, want 1", s.Restarts)
		}
		buf := make([]byte, 20)
		if n, err := got.Read(buf); string(buf[:n]) != "to whoever is there" || err != nil {
			t.Errorf("%q, %v", buf[:n], err)
		}
		if err := opening.Flush(context.Background()); err != nil {
			t.Errorf("the connection that was opening: %v", err)
		}
		if err := near.CloseContext(context.Background()); err != nil {
			t.Errorf("the finished connection: %v", err)
		}
	})
}

// Recordings of all that the former life has said end nothing: not even an offer
// that never arrived, and so is no repetition.
func TestRecordedRestart(t *testing.T) {
	needsKeys(t)
	inLab(t, func(l *lab) {
		type taped struct {
			memnet.Event
			data []byte
		}
		var tape []taped
		stop := l.net.Tap(func(e memnet.Event) {
			if !e.Injected {
				tape = append(tape, taped{e, append([]byte(nil), e.Data...)})
			}
		})
		l.net.SetImpairmentAll(memnet.Impairment{Loss: 1})
		lost, err := Of(l.there).Dial(context.Background(), mdpconn.Addr{}, mdpconn.Addr{SID: l.here.Primary(), Port: 99}, false)
		if err == nil {
			t.Fatalf("connected to %v", lost.RemoteAddr())
		}
		l.net.SetImpairmentAll(memnet.Impairment{Delay: 5 * time.Millisecond})
		l.pair()
		time.Sleep(3 * time.Second)
		l.restart()
		near, far := l.pair()
		far.SetReadDeadline(time.Now().Add(time.Hour))
		time.Sleep(3 * time.Second)
		stop()
		restarts := l.here.Stats().Sessions.Restarts
		if restarts != 1 {
			t.Fatalf("%d restarts heard of, want 1", restarts)
		}
		for _, p := range tape {
			l.net.Inject(p.From, p.To, p.data)
			l.net.Inject(p.To, p.From, p.data)
			time.Sleep(time.Millisecond)
		}
		for _, wait := range []time.Duration{0, 11 * time.Minute} { // when all is in use, and when sessions are forgotten
			time.Sleep(wait)
			for _, p := range tape {
				l.net.Inject(p.From, p.To, p.data)
			}
			time.Sleep(time.Second)
			near.Send([]byte("x"))
			if n, err := far.Read(make([]byte, 1)); n != 1 || err != nil {
				t.Fatalf("read %d, %v", n, err)
			}
		}
		if s := l.here.Stats().Sessions; s.Restarts != restarts {
			t.Errorf("%d restarts heard of, were %d", s.Restarts, restarts)
		}
	})
}

func TestManualPeerRestarts(t *testing.T) {
	needsKeys(t)
	inLab(t, func(l *lab) {
		m, s, last := l.manual()
		s.Send([]byte("x"))
		until := time.Now().Add(3 * time.Second)
		drive(func() bool { return time.Now().After(until) }, m)
		if !s.IsConnected() {
			t.Fatal("not connected")
		}
		l.restart()
		Of(l.there).Dial(context.Background(), mdpconn.Addr{}, mdpconn.Addr{SID: l.here.Primary(), Port: 99}, true)
		until = time.Now().Add(time.Second)
		drive(func() bool { return s.IsClosed() || time.Now().After(until) }, m)
		if *last&(msp.Closed|msp.Failed) != msp.Closed|msp.Failed {
			t.Errorf("told %v, want CLOSED and ERROR", *last)
		}
		m.CloseAll(time.Now())
	})
}
