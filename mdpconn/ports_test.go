package mdpconn_test

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"

	"syscall"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
)

func TestBind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		first, second := identity(t), identity(t)
		n, _ := newNode(t, network, mdpconn.Config{Identities: []*mdpconn.Identity{first, second}})
		h := newInbox()
		s, err := n.Bind(mdpconn.Addr{Port: 80}, h)
		if err != nil {
			t.Fatal(err)
		}
		if want := (mdpconn.Addr{SID: first.SID(), Port: 80}); s.LocalAddr() != want {
			t.Errorf("bound %v, want %v", s.LocalAddr(), want)
		}
		for _, c := range []struct {
			why  string
			addr mdpconn.Addr
			want error
		}{
			{"the same address", mdpconn.Addr{SID: first.SID(), Port: 80}, syscall.EADDRINUSE},
			{"the same address as the primary's", mdpconn.Addr{Port: 80}, syscall.EADDRINUSE},
			{"key map", mdpconn.Addr{Port: 1}, syscall.EADDRINUSE},
			{"echo for all", mdpconn.Addr{SID: mdpconn.All, Port: 7}, syscall.EADDRINUSE},
			{"the node's challenges", mdpconn.Addr{Port: n.ChallengePort()}, syscall.EADDRINUSE},
			{"another's SID", mdpconn.Addr{SID: identity(t).SID(), Port: 81}, syscall.EADDRNOTAVAIL},
		} {
			_, err := n.Bind(c.addr, h)
			var op *net.OpError
			if !errors.Is(err, c.want) || !errors.As(err, &op) {
				t.Errorf("%s: %v, want a *net.OpError of %v", c.why, err, c.want)
			}
		}
		if _, err := n.Bind(mdpconn.Addr{Port: mdpconn.MaxPort + 1}, h); err == nil {
			t.Error("bound a port beyond the last one")
		}
		if _, err := n.Bind(mdpconn.Addr{Port: 3}, nil); err == nil {
			t.Error("bound without a handler")
		}
		for _, a := range []mdpconn.Addr{{SID: second.SID(), Port: 80}, {SID: mdpconn.All, Port: 80}} {
			if _, err := n.Bind(a, h); err != nil {
				t.Errorf("%v: %v", a, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
		if _, err := n.Bind(mdpconn.Addr{Port: 80}, h); err != nil {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestRandomPorts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := newNode(t, memnet.New(memnet.Config{}), mdpconn.Config{})
		seen := make(map[mdpconn.Port]bool)
		low, high := false, false
		for range 1000 {
			s, _ := bind(t, n, mdpconn.Addr{})
			p := s.LocalAddr().Port
			if p < 1<<16 || p >= 1<<20 || seen[p] {
				t.Fatalf("port %d given out", p)
			}
			if n := (overlay.Ports{Destination: uint32(p), Source: 1}).Len() + (overlay.Ports{Destination: 1, Source: uint32(p)}).Len(); n != 8 {
				t.Fatalf("port %d: %d bytes as destination and as source, with 1 for the other; want 8", p, n)
			}
			seen[p] = true
			low, high = low || p < 1<<18, high || p >= 1<<20-1<<18
		}
		if !low || !high {
			t.Errorf("1000 random ports: below 2^18 %v, in the highest quarter %v", low, high)
		}
	})
}

// TestWhoGetsIt: an exact binding wins over one for all, and that over the
// handler of unbound ports, on the wire and within the node.
func TestWhoGetsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		one, two := identity(t), identity(t)
		n, l := newNode(t, network, mdpconn.Config{Identities: []*mdpconn.Identity{one, two}})
		exact, ie := bind(t, n, mdpconn.Addr{SID: two.SID(), Port: 80})
		every, ia := bind(t, n, mdpconn.Addr{SID: mdpconn.All, Port: 80})
		iu := newInbox()
		other, _ := newNode(t, network, mdpconn.Config{})
		for _, id := range []*mdpconn.Identity{one, two} {
			other.AddHint(id.SID(), l.LocalAddr())
		}
		for name, from := range map[string]*mdpconn.Node{"wire": other, "local": n} {
			try := func(sid mdpconn.SID, port mdpconn.Port, in inbox, why string) {
				t.Helper()
				send(t, from, mdpconn.Addr{Port: 1234}, mdpconn.Addr{SID: sid, Port: port}, why)
				if in == nil {
					for _, none := range []inbox{ie, ia, iu} {
						none.want(t, name+": "+why)
					}
					return
				}
				got := in.want(t, name+": "+why, why)
				if want := (mdpconn.Addr{SID: sid, Port: port}); got[0].Local != want {
					t.Errorf("%s: %s: local address %v, want %v", name, why, got[0].Local, want)
				}
				if want := (mdpconn.Addr{SID: from.Primary(), Port: 1234}); got[0].Remote != want {
					t.Errorf("%s: %s: remote address %v, want %v", name, why, got[0].Remote, want)
				}
			}
			n.HandleUnbound(nil)
			try(two.SID(), 80, ie, "exact")
			try(one.SID(), 80, ia, "all")
			try(one.SID(), 81, nil, "nobody")
			n.HandleUnbound(iu)
			try(one.SID(), 81, iu, "unbound")
		}
		if d := n.Stats().Dropped.Unbound; d != 2 {
			t.Errorf("%d datagrams for unbound ports dropped, want 2", d)
		}
		exact.Close()
		send(t, other, mdpconn.Addr{Port: 1}, mdpconn.Addr{SID: two.SID(), Port: 80}, "closed")
		ia.want(t, "after the exact one was closed", "closed")
		every.Close()
		send(t, other, mdpconn.Addr{Port: 1}, mdpconn.Addr{SID: two.SID(), Port: 80}, "both closed")
		iu.want(t, "after both were closed", "both closed")

		third := identity(t)
		if err := n.AddIdentity(third); err != nil {
			t.Fatal(err)
		}
		_, ia = bind(t, n, mdpconn.Addr{SID: mdpconn.All, Port: 80})
		other.AddHint(third.SID(), l.LocalAddr())
		send(t, other, mdpconn.Addr{Port: 1}, mdpconn.Addr{SID: third.SID(), Port: 80}, "late")
		ia.want(t, "identity added later", "late")
	})
}

func TestSilentNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{Silent: true}, mdpconn.Config{})
		iu := newInbox()
		c.a.HandleUnbound(iu)
		send(t, c.b, c.sb.LocalAddr(), mdpconn.Addr{SID: c.a.Primary(), Port: 99}, "anybody?")
		iu.want(t, "unbound port of a silent node")
		if d := c.a.Stats().Dropped.Unbound; d != 1 {
			t.Errorf("%d dropped, want 1", d)
		}
	})
}

func TestSocketOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := newNode(t, memnet.New(memnet.Config{}), mdpconn.Config{})
		s, _ := bind(t, n, mdpconn.Addr{})
		for _, hops := range []int{0, -1, 32} {
			if s.SetTTL(hops) == nil {
				t.Errorf("took TTL %d", hops)
			}
		}
		if s.SetQueue(5) == nil {
			t.Error("took queue 5")
		}
		if err := errors.Join(s.SetTTL(1), s.SetTTL(31), s.SetQueue(mdpconn.QueueVideo), s.SetQueue(mdpconn.QueueDefault)); err != nil {
			t.Error(err)
		}
	})
}
