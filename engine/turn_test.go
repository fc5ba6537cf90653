package engine

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestLoneWriteLeavesAtOnce: what is written while nothing is on its way is sent when Write
// returns, without another goroutine; what follows waits for the loop, and shares packets.
func TestLoneWriteLeavesAtOnce(t *testing.T) {
	inLab(t, func(l *lab) {
		near, _ := l.pair()
		if err := near.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		e := Of(l.here)
		sent := func() uint64 { return l.here.Stats().Sent.Datagrams }
		before := sent()
		if err := near.Send([]byte("request")); err != nil {
			t.Fatal(err)
		}
		if n := sent() - before; n != 1 {
			t.Errorf("%d datagrams sent when the first Send returned, want 1", n)
		}
		if !e.enter() { // so that the loop cannot
			t.Fatal("somebody has the turn")
		}
		for range 10 {
			if err := near.Send([]byte("more")); err != nil {
				t.Fatal(err)
			}
		}
		if n := sent() - before; n != 1 {
			t.Errorf("%d datagrams sent while the turn was taken, want still 1", n)
		}
		if !e.leave(false) {
			t.Error("leave does not tell that something came up")
		}
		e.signal()
		if err := near.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestTurnTakenByOthers: the loop takes no turn while somebody else has it, also if its timer
// fires then, and what came up meanwhile is seen afterwards.
func TestTurnTakenByOthers(t *testing.T) {
	inLab(t, func(l *lab) {
		near, _ := l.pair()
		synctest.Wait()
		e := Of(l.here)
		if !e.enter() {
			t.Fatal("somebody has the turn")
		}
		if e.enter() {
			t.Fatal("two have the turn")
		}
		ran := make(chan struct{})
		go func() {
			near.Stats() // runs in a turn
			close(ran)
		}()
		e.timer.Reset(0)
		synctest.Wait()
		select {
		case <-ran:
			t.Fatal("a turn was taken while somebody had it")
		default:
		}
		if !e.leave(false) {
			t.Fatal("leave does not tell that something came up")
		}
		e.signal()
		<-ran
		if e.enter() && e.leave(false) {
			t.Error("something came up, and nothing did")
		}
	})
}

// TestAcceptedIsAnsweredFirst: a connection that is aborted as soon as it is accepted has
// been connected, to the caller; it was not refused.
func TestAcceptedIsAnsweredFirst(t *testing.T) {
	inLab(t, func(l *lab) {
		ln := l.listen(80, ListenConfig{})
		synctest.Wait()
		e := Of(l.there)
		if !e.enter() {
			t.Fatal("somebody has the turn")
		}
		type result struct {
			*Conn
			err error
		}
		dialled := make(chan result)
		go func() {
			c, err := l.dial(80)
			dialled <- result{c, err}
		}()
		time.Sleep(10 * time.Millisecond) // the call waits for the turn
		now := time.Now()
		e.takeWork(now)
		m := e.mux.NextEvent()
		if m == nil {
			t.Fatal("nobody called")
		}
		e.event(now, m)
		c, err := ln.Accept(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Abort(); err != nil {
			t.Fatal(err)
		}
		e.event(now, m) // the machine may have more to tell
		e.act(now)
		e.leave(false)
		e.signal()
		d := <-dialled
		if d.err != nil {
			t.Fatalf("Dial: %v", d.err)
		}
		if _, err := d.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Read: %v, want a reset", err)
		}
	})
}
