package engine

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
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
		if !e.enter(false) { // so that the loop cannot
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
		if !e.enter(false) {
			t.Fatal("somebody has the turn")
		}
		if e.enter(false) {
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
		synctest.Wait()
		if !e.enter(false) || e.leave(false) {
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
		if !e.enter(false) {
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

// TestWriteAsksNobody: a Write does not run Allow, which may want a lock that the writer holds.
func TestWriteAsksNobody(t *testing.T) {
	inLab(t, func(l *lab) {
		near, far := l.pair()
		var held sync.Mutex
		l.listen(81, ListenConfig{Allow: func(mdpconn.SID) bool {
			if !held.TryLock() {
				t.Error("asked in the midst of a Write")
				return true
			}
			held.Unlock()
			return true
		}})
		if err := far.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		e := Of(l.there)
		if !e.enter(false) {
			t.Fatal("somebody has the turn")
		}
		dialled := make(chan error)
		go func() {
			_, err := l.dial(81)
			dialled <- err
		}()
		time.Sleep(10 * time.Millisecond) // the call waits for a turn
		e.leave(false)
		held.Lock()
		if err := far.Send([]byte("x")); err != nil {
			t.Error(err)
		}
		held.Unlock()
		e.signal()
		if err := <-dialled; err != nil {
			t.Error(err)
		}
		if _, err := near.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
	})
}

// A slowLink takes long for what it is given.
type slowLink struct {
	mdpconn.Link
	pause time.Duration
}

func (l *slowLink) WritePackets(ps []mdpconn.Packet) (int, error) {
	time.Sleep(l.pause)
	return l.Link.WritePackets(ps)
}

// TestSlowLink: where a link holds senders up, at most one Write waits for it, and the others
// leave it to the loop.
func TestSlowLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		defer network.Close()
		slow := &slowLink{Link: network.Link()}
		there := network.Link()
		var nodes []*mdpconn.Node
		for _, link := range []mdpconn.Link{slow, there} {
			n, err := mdpconn.NewNode(mdpconn.Config{Links: []mdpconn.Link{link}})
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			nodes = append(nodes, n)
		}
		nodes[0].AddHint(nodes[1].Primary(), there.LocalAddr())
		if _, err := Of(nodes[1]).Listen(mdpconn.Addr{Port: 80}, ListenConfig{}); err != nil {
			t.Fatal(err)
		}
		c, err := Of(nodes[0]).Dial(context.Background(), mdpconn.Addr{}, mdpconn.Addr{SID: nodes[1].Primary(), Port: 80}, false)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		slow.pause = 100 * time.Millisecond
		for i := range 10 {
			if err := c.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if err := c.Send([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); i > 0 && took > 0 {
				t.Errorf("Send %d took %v", i, took)
			}
		}
	})
}
