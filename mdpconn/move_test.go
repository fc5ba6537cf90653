package mdpconn_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
)

// orders runs a test with either of the two nodes having the greater SID, as
// they follow a move differently.
func orders(t *testing.T, test func(t *testing.T, a, b *mdpconn.Identity)) {
	for _, greater := range []string{"a", "b"} {
		t.Run("greater "+greater, func(t *testing.T) {
			a, b := identity(t), identity(t)
			as, bs := a.SID(), b.SID()
			if (string(as[:]) > string(bs[:])) != (greater == "a") {
				a, b = b, a
			}
			synctest.Test(t, func(t *testing.T) { test(t, a, b) })
		})
	}
}

// chat has both ends send every 50 ms for a time, and gives the longest time
// that nothing arrived at each.
func (c *connected) chat(t *testing.T, d time.Duration) (quietA, quietB time.Duration) {
	t.Helper()
	lastA, lastB := time.Now(), time.Now()
	for end := time.Now().Add(d); time.Now().Before(end); {
		send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), "chat")
		send(t, c.b, c.sb.LocalAddr(), c.sa.LocalAddr(), "chat")
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		now := time.Now()
		for ; len(c.ia) > 0; lastA = now {
			d := <-c.ia
			d.Release()
		}
		for ; len(c.ib) > 0; lastB = now {
			d := <-c.ib
			d.Release()
		}
		quietA, quietB = max(quietA, now.Sub(lastA)), max(quietB, now.Sub(lastB))
	}
	return quietA, quietB
}

func (c *connected) drain() {
	synctest.Wait()
	for len(c.ia) > 0 {
		<-c.ia
	}
	for len(c.ib) > 0 {
		<-c.ib
	}
}

func TestAddressChangeIsFollowed(t *testing.T) {
	orders(t, func(t *testing.T, a, b *mdpconn.Identity) {
		c := connect(t, mdpconn.Config{Identities: []*mdpconn.Identity{a}}, mdpconn.Config{Identities: []*mdpconn.Identity{b}})
		c.chat(t, 2*time.Second)
		for range 3 {
			c.lb.Rebind()
			quietA, quietB := c.chat(t, 3*time.Second)
			// Both ends hear each other all the time: what is sent to a while
			// the move is being proven goes both ways.
			if quietA > 200*time.Millisecond || quietB > 200*time.Millisecond {
				t.Errorf("quiet for %v at a, %v at b", quietA, quietB)
			}
			c.wantEndpoints(t, "after the move of b")
		}
		c.drain()
		c.talk(t, "at the end")
	})
}

func TestBothEndsMoveAtOnce(t *testing.T) {
	orders(t, func(t *testing.T, a, b *mdpconn.Identity) {
		c := connect(t, mdpconn.Config{Identities: []*mdpconn.Identity{a}}, mdpconn.Config{Identities: []*mdpconn.Identity{b}})
		c.chat(t, time.Second)
		c.la.Rebind()
		c.lb.Rebind()
		// Neither knows where the other is: after three seconds of silence they ask.
		quietA, quietB := c.chat(t, 8*time.Second)
		if limit := 5 * time.Second; quietA > limit || quietB > limit {
			t.Errorf("quiet for %v at a, %v at b", quietA, quietB)
		}
		c.wantEndpoints(t, "after both moved")
	})
}

// A node whose datagrams are never answered, as those of a one-way protocol,
// keeps its endpoint without asking all neighbours: the peer answers challenges.
func TestOneWayTrafficKeepsItsEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		asks := c.a.Stats().Discovery.AsksSent
		for i := range 600 {
			send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), fmt.Sprint(i))
			c.ib.want(t, "b", fmt.Sprint(i))
			time.Sleep(100 * time.Millisecond)
		}
		c.wantEndpoints(t, "at the end")
		if d := c.a.Stats().Discovery; d.AsksSent != asks || d.ChallengesSent > 30 {
			t.Errorf("in a minute: %+v", d)
		}
	})
}

// Two ways between the same two nodes must not make them change for ever.
func TestTwoWaysSettle(t *testing.T) {
	orders(t, func(t *testing.T, ida, idb *mdpconn.Identity) {
		n1 := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: time.Millisecond}})
		n2 := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: time.Millisecond}})
		node := func(id *mdpconn.Identity) *mdpconn.Node {
			n, err := mdpconn.NewNode(mdpconn.Config{
				Identities: []*mdpconn.Identity{id}, Links: []mdpconn.Link{n1.Link(), n2.Link()},
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { n.Close() })
			return n
		}
		c := &connected{a: node(ida), b: node(idb)}
		c.sa, c.ia = bind(t, c.a, mdpconn.Addr{})
		c.sb, c.ib = bind(t, c.b, mdpconn.Addr{})
		hold(t, c.a, c.b)
		hold(t, c.b, c.a)
		c.chat(t, 10*time.Second)
		before := c.a.Stats().Discovery.EndpointChanges + c.b.Stats().Discovery.EndpointChanges
		quietA, quietB := c.chat(t, time.Minute)
		after := c.a.Stats().Discovery.EndpointChanges + c.b.Stats().Discovery.EndpointChanges
		if before > 8 || after != before {
			t.Errorf("%d changes of endpoint to begin with, %d more in a minute", before, after-before)
		}
		if quietA > 100*time.Millisecond || quietB > 100*time.Millisecond {
			t.Errorf("quiet for %v, %v", quietA, quietB)
		}
	})
}

// Replays from the address that the peer had do not make it seem alive.
func TestReplaysDoNotKeepADeadEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		tp := record(t, c.network)
		c.talk(t, "for the record")
		taped := tp.take(c.lb.LocalAddr(), c.la.LocalAddr())
		old := c.lb.LocalAddr()
		c.lb.Rebind() // and it sends nothing from there
		for range 60 {
			send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), "are you there?")
			for _, p := range taped {
				c.network.Inject(old, c.la.LocalAddr(), p.data)
			}
			time.Sleep(100 * time.Millisecond)
		}
		c.wantEndpoints(t, "after six seconds")
	})
}
