package memnet

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestAddresses(t *testing.T) {
	n, a, b := pair(t, Config{})
	if a.LocalAddr().String() != "10.0.0.1:4110" || b.String() != "10.0.0.2:4110" {
		t.Errorf("first links have %v and %v", a, b)
	}
	taken := netip.MustParseAddrPort("10.0.0.3:4110")
	c, err := n.Listen(taken)
	if err != nil || c.LocalAddr() != taken {
		t.Fatalf("Listen(%v) = %v, %v", taken, c, err)
	}
	if d := n.Link(); d.String() != "10.0.0.4:4110" {
		t.Errorf("the next link has %v, want the next free address 10.0.0.4:4110", d)
	}
	for _, addr := range []netip.AddrPort{taken, Broadcast} {
		if l, err := n.Listen(addr); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("Listen(%v) = %v, %v, want EADDRINUSE", addr, l, err)
		}
	}
	if l, err := n.Listen(netip.AddrPort{}); err != nil || l.String() != "10.0.0.5:4110" {
		t.Errorf("Listen of the zero address = %v, %v, want 10.0.0.5:4110", l, err)
	}
	v6, err := n.Listen(netip.MustParseAddrPort("[2001:db8::1]:0"))
	if err != nil || v6.String() != "[2001:db8::1]:4110" {
		t.Errorf("Listen of an IPv6 address = %v, %v, want port 4110", v6, err)
	}
	if !hears(t, a, v6) {
		t.Error("10.0.0.1 does not reach the IPv6 link")
	}
	c.Close()
	if _, err := n.Listen(taken); err != nil {
		t.Errorf("Listen on an address given up: %v", err)
	}
}

func TestMappedAddressIsTheSame(t *testing.T) {
	_, a, b := pair(t, Config{})
	send(t, a, netip.MustParseAddrPort("[::ffff:10.0.0.2]:4110"), "x")
	wantArrived(t, "IPv4 in IPv6", b, "x")
}

func TestManyAddresses(t *testing.T) {
	n := New(Config{Unguarded: true})
	defer n.Close()
	n.lastHost = 0xfffffd
	n.Link()
	if l := n.Link(); l.String() == Broadcast.String() || l.String() != "10.0.0.0:4110" {
		t.Errorf("after 10.255.255.254 comes %v", l)
	}
}

func TestInjectPassesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Config{Impairment: Impairment{Loss: 1}})
		n.Cut(a, b)
		n.SetDrop(func(Event) bool { return true })
		n.Inject(a.LocalAddr(), b.LocalAddr(), []byte("forged"))
		n.Inject(netip.MustParseAddrPort("6.6.6.6:666"), Broadcast, []byte("to all"))
		n.Inject(a.LocalAddr(), Broadcast, []byte("to others"))
		n.Inject(a.LocalAddr(), netip.MustParseAddrPort("10.0.0.9:1"), []byte("to nobody"))
		wantArrived(t, "injected", b, "forged", "to all", "to others")
		wantArrived(t, "injected", a, "to all")
		if got, want := n.Stats(), (Stats{Injected: 5, Delivered: 4, Unreachable: 1}); got != want {
			t.Errorf("Stats() = %+v, want %+v", got, want)
		}
	})
}

func TestClosedNetwork(t *testing.T) {
	n, a, _ := pair(t, Config{})
	n.Close()
	if n.Close() != nil {
		t.Error("the second Close gives an error")
	}
	for _, l := range []*Link{a, n.Link()} {
		if _, err := l.ReadPackets(room(1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("ReadPackets: %v, want net.ErrClosed", err)
		}
		if _, err := l.WritePackets(room(1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("WritePackets: %v, want net.ErrClosed", err)
		}
	}
	if _, err := n.Listen(netip.AddrPort{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Listen: %v, want net.ErrClosed", err)
	}
}

func TestCountsAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		im := everything
		im.Rate, im.QueueBytes = 3e5, 2000
		n := New(Config{Unguarded: true, Seed: 12, Impairment: im, QueuePackets: 50})
		defer n.Close()
		links := []*Link{n.Link(), n.Link(), n.Link(), n.Link()}
		n.Cut(links[0], links[1])
		for i := range 4000 {
			from, to := links[i%4], links[i/4%4]
			switch {
			case i%50 == 0:
				send(t, from, Broadcast, "to all")
			case i%77 == 0:
				send(t, from, netip.MustParseAddrPort("1.2.3.4:5"), "to nobody")
			case i%501 == 0:
				to.Rebind()
			case i%91 == 0:
				n.Inject(from.LocalAddr(), to.LocalAddr(), []byte("injected"))
			default:
				send(t, from, to.LocalAddr(), string(make([]byte, i%700)))
			}
			if i%10 == 0 {
				time.Sleep(5 * time.Millisecond)
				arrived(t, links[i/10%3]) // the last link is never read
			}
		}
		sendMany(t, links[2], links[3], 10, 10)
		links[3].Close() // with packets under way
		time.Sleep(time.Minute)
		synctest.Wait()
		s := n.Stats()
		in := s.Sent + s.Injected + s.Duplicated
		out := s.Delivered + s.Lost + s.QueueDropped + s.Overflowed + s.Unreachable
		if in != out {
			t.Errorf("%d packets went in, %d came out: %+v", in, out, s)
		}
		for what, count := range map[string]uint64{
			"Sent": s.Sent, "Injected": s.Injected, "Duplicated": s.Duplicated, "Reordered": s.Reordered,
			"Delivered": s.Delivered, "Lost": s.Lost, "QueueDropped": s.QueueDropped,
			"Overflowed": s.Overflowed, "Unreachable": s.Unreachable,
		} {
			if count == 0 {
				t.Errorf("%s is 0: the test tests less than it should", what)
			}
		}
	})
}
