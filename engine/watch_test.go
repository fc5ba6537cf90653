package engine

import (
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
)

// What an idle connection whose peer the node watches over has to bear
// (docs/extension.md §14).
const (
	pingInterval = 10 * time.Second
	pingSpacing  = time.Second
	peerGone     = 30 * time.Second
)

// idlePairs gives connections that were idle for so long that they have nothing due,
// both ends of each, with readers that tell how they end.
func (l *lab) idlePairs(n int) (ends []*Conn, ended <-chan endOf) {
	l.t.Helper()
	told := make(chan endOf, 2*n)
	for range n {
		near, far := l.pair()
		for _, c := range []*Conn{near, far} {
			ends = append(ends, c)
			go func() {
				_, err := c.Read(make([]byte, 1))
				told <- endOf{c, err, time.Now()}
			}()
		}
	}
	time.Sleep(time.Minute)
	return ends, told
}

// An endOf is how a connection has ended.
type endOf struct {
	c   *Conn
	err error
	at  time.Time
}

// wantNone wants no connection to have ended, and bytes to arrive on all of them.
func (l *lab) wantNone(why string, ends []*Conn, ended <-chan endOf) {
	l.t.Helper()
	synctest.Wait()
	select {
	case e := <-ended:
		l.t.Fatalf("%s: %v ended: %v", why, e.c.LocalAddr(), e.err)
	default:
	}
	for _, c := range ends {
		c.Send([]byte("x"))
	}
	time.Sleep(time.Second)
	for range ends {
		if e := <-ended; e.err != nil {
			l.t.Errorf("%s: %v, want that it goes on", why, e.err)
		}
	}
}

// TestIdleConnsShareAPing: [MSX-14.3] idle connections cost the same however many they
// are between two SIDs, and have no timer due within the hour.
func TestIdleConnsShareAPing(t *testing.T) {
	needsKeys(t)
	packets := func(conns int) (n uint64) {
		inLab(t, func(l *lab) {
			ends, ended := l.idlePairs(conns)
			time.Sleep(pingInterval)
			count := func() (sent uint64) {
				synctest.Wait()
				for _, n := range []*mdpconn.Node{l.here, l.there} {
					sent += n.Stats().Sessions.Sent
				}
				return sent
			}
			before := count()
			time.Sleep(30 * time.Minute)
			n = count() - before
			for _, e := range []*Engine{Of(l.here), Of(l.there)} {
				var next time.Time
				e.call(func(time.Time) { next = e.mux.NextTimeout() })
				if wait := time.Until(next); wait < 20*time.Minute {
					t.Errorf("%d connections: the engine wakes in %v", conns, wait)
				}
			}
			l.wantNone("idle", ends, ended)
		})
		return n
	}
	one, many := packets(1), packets(100)
	// 180 pings and pongs, and new session keys every two minutes.
	if one < 2*175 || one > 2*185+20 || one != many {
		t.Errorf("%d packets in half an hour of one connection, %d of 100", one, many)
	}
}

// TestPeerGone: [MSX-14.1] a peer that vanished ends idle connections with ETIMEDOUT,
// at both ends of the cut, once 30 s and a last ping are over.
func TestPeerGone(t *testing.T) {
	needsKeys(t)
	inLab(t, func(l *lab) {
		ends, ended := l.idlePairs(10)
		l.net.Cut(l.links[0], l.links[1])
		cut := time.Now()
		time.Sleep(time.Minute)
		if len(ended) != len(ends) {
			t.Fatalf("%d of %d ends have ended", len(ended), len(ends))
		}
		for range ends {
			e := <-ended
			// Up to an interval before the cut the peer was heard last.
			if d := e.at.Sub(cut); !errors.Is(e.err, syscall.ETIMEDOUT) || d < peerGone-pingInterval-pingSpacing || d > peerGone+pingSpacing {
				t.Errorf("%v: %v after %v", e.c.LocalAddr(), e.err, d)
			}
		}
		l.net.Connect(l.links[0], l.links[1])
		near, far := l.pair()
		near.Send([]byte("x"))
		if n, err := far.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("afterwards: read %d, %v", n, err)
		}
	})
}

// TestPeerBackInTime: nothing ends in a partition that is over before the peer counts
// as gone, wherever in it the pings were due.
func TestPeerBackInTime(t *testing.T) {
	needsKeys(t)
	for _, idle := range []time.Duration{0, 5 * time.Second, 9 * time.Second} {
		for _, d := range []time.Duration{5 * time.Second, 14 * time.Second, 18 * time.Second} {
			inLab(t, func(l *lab) {
				ends, ended := l.idlePairs(5)
				time.Sleep(idle)
				l.net.Cut(l.links[0], l.links[1])
				time.Sleep(d)
				l.net.Connect(l.links[0], l.links[1])
				time.Sleep(2 * time.Minute)
				l.wantNone(d.String(), ends, ended)
			})
		}
	}
}

// TestGivenUpInPartition: [MSX-14.5] one end has words under way when the partition
// begins and gives its connection up; the other end, that has nothing to say, learns of
// it when the peer is heard again, and the rest of the connections go on.
func TestGivenUpInPartition(t *testing.T) {
	needsKeys(t)
	inLab(t, func(l *lab) {
		ends, ended := l.idlePairs(5)
		l.net.Cut(l.links[0], l.links[1])
		ends[1].Send([]byte("lost"))
		time.Sleep(15 * time.Second)
		if e := <-ended; e.c != ends[1] || !errors.Is(e.err, syscall.ETIMEDOUT) {
			t.Fatalf("%v: %v", e.c.LocalAddr(), e.err)
		}
		l.net.Connect(l.links[0], l.links[1])
		back := time.Now()
		if e := <-ended; e.c != ends[0] || !errors.Is(e.err, syscall.ECONNRESET) || e.at.Sub(back) > 5*time.Second {
			t.Fatalf("%v: %v after %v", e.c.LocalAddr(), e.err, e.at.Sub(back))
		}
		time.Sleep(2 * time.Minute)
		l.wantNone("the others", ends[2:], ended)
	})
}

// TestSilentRestart: [MSX-14.2] a peer that has begun anew and does not say a word is
// found out by the next ping, and all connections to its former life end.
func TestSilentRestart(t *testing.T) {
	needsKeys(t)
	inLab(t, func(l *lab) {
		ends, ended := l.idlePairs(10)
		var near []*Conn
		for i := 0; i < len(ends); i += 2 {
			near = append(near, ends[i])
		}
		l.restart()
		for range near { // of the far ends, which were closed
			<-ended
		}
		began := time.Now()
		for range near {
			e := <-ended
			if d := e.at.Sub(began); e.err != errRestarted || d > pingInterval+2*pingSpacing {
				t.Errorf("%v: %v after %v", e.c.LocalAddr(), e.err, d)
			}
		}
	})
}

// TestWatchNeedsKeys: connections to a peer without session keys see to themselves, as
// do those in the published format.
func TestWatchNeedsKeys(t *testing.T) {
	inLab(t, func(l *lab) {
		link := l.net.Link()
		l.there.Close()
		var err error
		if l.there, err = mdpconn.NewNode(mdpconn.Config{Links: []mdpconn.Link{link}, NoSessions: true}); err != nil {
			t.Fatal(err)
		}
		l.t.Cleanup(func() { l.there.Close() })
		l.links[1] = link
		l.here.AddHint(l.there.Primary(), link.LocalAddr())
		ends, ended := l.idlePairs(3)
		time.Sleep(5 * time.Minute)
		if n := l.here.Stats().Sessions.Pings; n != 0 {
			t.Errorf("%d pings", n)
		}
		l.net.SetImpairmentAll(memnet.Impairment{Loss: 1})
		time.Sleep(peerGone)
		for range ends {
			select {
			case e := <-ended:
				if !errors.Is(e.err, syscall.ETIMEDOUT) {
					t.Errorf("%v: %v", e.c.LocalAddr(), e.err)
				}
			default:
				t.Fatal("connections to a peer that vanished are open")
			}
		}
	})
}
