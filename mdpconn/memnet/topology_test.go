package memnet

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// hears reports whether a packet from one link reaches the other.
func hears(t *testing.T, from, to *Link) bool {
	t.Helper()
	send(t, from, to.LocalAddr(), "ping")
	return len(arrived(t, to)) == 1
}

// wantHears fails unless hearing is as wanted, in both directions.
func wantHears(t *testing.T, why string, a, b *Link, want bool) {
	t.Helper()
	if ab, ba := hears(t, a, b), hears(t, b, a); ab != want || ba != want {
		t.Errorf("%s: %v > %v %v, back %v, want %v", why, a, b, ab, ba, want)
	}
}

func TestBroadcastReachesAllButTheSender(t *testing.T) {
	n, a, b := pair(t, Config{})
	c := n.Link()
	send(t, a, Broadcast, "hello")
	wantArrived(t, "broadcast", b, "hello")
	wantArrived(t, "broadcast", c, "hello")
	wantArrived(t, "not the sender itself", a)
	if s := n.Stats(); s.Sent != 2 || s.Delivered != 2 {
		t.Errorf("Stats() = %+v, want 2 sent and delivered", s)
	}
}

func TestCutAndHeal(t *testing.T) {
	n, a, b := pair(t, Config{})
	c := n.Link()
	n.Cut(a, b)
	wantHears(t, "cut", a, b, false)
	wantHears(t, "not cut", a, c, true)
	send(t, a, Broadcast, "hello")
	wantArrived(t, "cut off from broadcasts too", b)
	wantArrived(t, "not cut", c, "hello")
	if s := n.Stats(); s.Unreachable != 2 {
		t.Errorf("Stats() = %+v, want 2 unreachable: the unicasts", s)
	}
	n.Heal()
	wantHears(t, "healed", a, b, true)
	n.Cut(a, b)
	n.Connect(a, b)
	wantHears(t, "connected again", a, b, true)
	n.CutOneWay(a, b)
	if hears(t, a, b) || !hears(t, b, a) {
		t.Error("CutOneWay did not cut one way")
	}
}

func TestPartition(t *testing.T) {
	n, a, b := pair(t, Config{})
	c, d, e := n.Link(), n.Link(), n.Link()
	n.Partition([]*Link{a, b}, []*Link{c})
	wantHears(t, "same group", a, b, true)
	wantHears(t, "different groups", a, c, false)
	wantHears(t, "in a group and in none", a, d, false)
	wantHears(t, "both in none", d, e, true)
	wantHears(t, "a new link is in none", d, n.Link(), true)
	n.Partition([]*Link{a, c})
	wantHears(t, "the new partition", a, c, true)
	wantHears(t, "the old partition is gone", b, d, true)
	n.Heal()
	wantHears(t, "healed", a, d, true)
}

func TestPacketsUnderWayPassACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Config{Impairment: Impairment{Delay: time.Second}})
		send(t, a, b.LocalAddr(), "before")
		n.Cut(a, b)
		send(t, a, b.LocalAddr(), "after")
		time.Sleep(time.Second)
		synctest.Wait()
		wantArrived(t, "sent before the cut", b, "before")
	})
}

func TestChainOfFifty(t *testing.T) {
	n := New(Config{Unguarded: true, Unconnected: true})
	defer n.Close()
	links := make([]*Link, 50)
	for i := range links {
		links[i] = n.Link()
	}
	wantHears(t, "before Chain", links[0], links[1], false)
	n.Chain(links...)
	for i, l := range links {
		send(t, l, Broadcast, fmt.Sprint(i))
	}
	wantArrived(t, "the first", links[0], "1")
	for i := 1; i < 49; i++ {
		wantArrived(t, "in the middle", links[i], fmt.Sprint(i-1), fmt.Sprint(i+1))
	}
	wantArrived(t, "the last", links[49], "48")
	wantHears(t, "two apart", links[3], links[5], false)
	n.Heal()
	wantHears(t, "healing does not connect", links[3], links[5], false)
}
