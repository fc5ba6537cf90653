package mdpconn_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
)

func TestSendRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		good := mdpconn.Datagram{Local: c.sa.LocalAddr(), Remote: c.sb.LocalAddr(), Data: []byte("x")}
		for _, bad := range []struct {
			want  string // in the error
			spoil func(d *mdpconn.Datagram)
		}{
			{"without data", func(d *mdpconn.Datagram) { d.Data = nil }},
			{"1061 bytes, expected at most 1060", func(d *mdpconn.Datagram) { d.Data = make([]byte, 1061) }},
			{"remote port 0", func(d *mdpconn.Datagram) { d.Remote.Port = 0 }},
			{"remote port 2147483648", func(d *mdpconn.Datagram) { d.Remote.Port = 1 << 31 }},
			{"local port 0", func(d *mdpconn.Datagram) { d.Local.Port = 0 }},
			{"local port 2147483648", func(d *mdpconn.Datagram) { d.Local.Port = 1 << 31 }},
			{"TTL 32", func(d *mdpconn.Datagram) { d.TTL = 32 }},
			{"queue 5", func(d *mdpconn.Datagram) { d.Queue = 5 }},
			{"is no identity", func(d *mdpconn.Datagram) { d.Local.SID = c.b.Primary() }},
			{"reserved", func(d *mdpconn.Datagram) { d.Remote.SID = mdpconn.Primary }},
			{"enciphered broadcast", func(d *mdpconn.Datagram) { d.Remote.SID = mdpconn.All }},
		} {
			batch := []mdpconn.Datagram{good, good, good}
			bad.spoil(&batch[1])
			k, err := c.a.Send(batch)
			if k != 1 || err == nil || !strings.Contains(err.Error(), bad.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%d, %v, want 1 and an error with %q", k, err, bad.want)
			}
			c.ib.want(t, "what came before "+bad.want, "x")
		}
		if k, err := c.a.Send(nil); k != 0 || err != nil {
			t.Errorf("nothing to send: %d, %v", k, err)
		}
	})
}

// Datagrams of one batch share packets, of up to 1200 bytes.
func TestDatagramsSharePackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		tp := record(t, c.network)
		for _, test := range []struct{ datagrams, size, packets int }{
			{1, 1, 1}, {1, mdpconn.MaxData, 1}, {2, mdpconn.MaxData, 2}, {10, 50, 1}, {40, 1060, 40}, {100, 10, 6},
		} {
			var data []string
			for i := range test.datagrams {
				data = append(data, fmt.Sprintf("%0*d", test.size, i%10))
			}
			send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), data...)
			c.ib.want(t, fmt.Sprint(test), data...)
			got := tp.take(c.la.LocalAddr(), c.lb.LocalAddr())
			if len(got) != test.packets {
				t.Errorf("%d datagrams of %d bytes in %d packets, want %d", test.datagrams, test.size, len(got), test.packets)
			}
			for _, p := range got {
				if len(p.data) > 1200 {
					t.Errorf("packet of %d bytes", len(p.data))
				}
			}
		}
	})
}

// Datagrams to several SIDs and from several identities in one batch.
func TestMixedBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		one, two := identity(t), identity(t)
		a, _ := newNode(t, network, mdpconn.Config{Identities: []*mdpconn.Identity{one, two}})
		var batch []mdpconn.Datagram
		var boxes []inbox
		for i := range 5 {
			n, l := newNode(t, network, mdpconn.Config{})
			s, in := bind(t, n, mdpconn.Addr{})
			boxes = append(boxes, in)
			if i%2 == 0 { // the others are found by asking
				a.AddHint(n.Primary(), l.LocalAddr())
			}
			for _, id := range []*mdpconn.Identity{one, two, one} {
				batch = append(batch, mdpconn.Datagram{
					Local: mdpconn.Addr{SID: id.SID(), Port: 5}, Remote: s.LocalAddr(), Data: []byte{byte('0' + i)},
				})
			}
		}
		s, in := bind(t, a, mdpconn.Addr{SID: two.SID(), Port: 6})
		batch = append(batch, mdpconn.Datagram{Local: mdpconn.Addr{Port: 5}, Remote: s.LocalAddr(), Data: []byte("own")})
		if k, err := a.Send(batch); k != len(batch) || err != nil {
			t.Fatal(k, err)
		}
		in.want(t, "own identity", "own")
		for i, in := range boxes {
			d := fmt.Sprint(i)
			got := in.want(t, "node "+d, d, d, d)
			from := map[mdpconn.SID]int{}
			for _, g := range got {
				from[g.Remote.SID]++
			}
			if from[one.SID()] != 2 || from[two.SID()] != 1 {
				t.Errorf("node %d got datagrams from %v", i, from)
			}
		}
		if s := a.Stats(); s.Sent.Local != 1 || s.Tables.Peers+s.Tables.Neighbours != 10 || s.Tables.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Datagrams without an address wait for one, a few and for a second.
func TestWaitingDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		a, _ := newNode(t, network, mdpconn.Config{})
		sa, _ := bind(t, a, mdpconn.Addr{})
		id := identity(t)
		to := mdpconn.Addr{SID: id.SID(), Port: 9}
		send(t, a, sa.LocalAddr(), to, "too early")
		time.Sleep(1100 * time.Millisecond)
		for i := range 20 {
			send(t, a, sa.LocalAddr(), to, fmt.Sprint(i))
		}
		synctest.Wait()
		if got := a.Stats(); got.Tables.Waiting != 16 || got.Dropped.NoRoute != 5 {
			t.Errorf("%d wait and %d were dropped, want 16 and 5", got.Tables.Waiting, got.Dropped.NoRoute)
		}
		b, _ := newNode(t, network, mdpconn.Config{Identities: []*mdpconn.Identity{id}})
		_, ib := bind(t, b, mdpconn.Addr{Port: 9})
		time.Sleep(700 * time.Millisecond) // the next question, 1.75 s after the first
		ib.want(t, "b", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19")
		if got := a.Stats().Tables.Waiting; got != 0 {
			t.Errorf("%d still wait", got)
		}
	})
}

// A node that only sends into the void has bounded memory and packets.
func TestUnreachableIsSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		a, _ := newNode(t, network, mdpconn.Config{})
		for i := range 200 {
			sid := identity(t).SID()
			for range 20 {
				send(t, a, mdpconn.Addr{Port: 1}, mdpconn.Addr{SID: sid, Port: 1}, "void")
			}
			_ = i
		}
		if got := a.Stats().Tables; got.Waiting > got.WaitingLimit {
			t.Errorf("%d wait, limit %d", got.Waiting, got.WaitingLimit)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		s := a.Stats()
		if s.Tables.Waiting != 0 || s.Dropped.NoRoute != 4000 || s.Sent.Datagrams != 0 {
			t.Errorf("%+v", s)
		}
		if s.Discovery.AsksSent > 200*6 {
			t.Errorf("%d questions for 200 SIDs that were wanted for 2 s", s.Discovery.AsksSent)
		}
		if w := a.NextWake(); !w.IsZero() {
			t.Errorf("the node wakes at %v though nothing is wanted", w)
		}
	})
}

// Too many datagrams to an unproven address are dropped, and counted.
func TestUnprovenAddressGetsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		a, _ := newNode(t, network, mdpconn.Config{})
		victim := network.Link() // somebody named in a hint, who knows nothing of it
		defer victim.Close()
		tp := record(t, network)
		sid := identity(t).SID()
		a.AddHint(sid, victim.LocalAddr())
		for range 10 {
			for range 1000 {
				send(t, a, mdpconn.Addr{Port: 1}, mdpconn.Addr{SID: sid, Port: 1}, "flood")
			}
			time.Sleep(time.Second)
		}
		if got := len(tp.take(anywhere, victim.LocalAddr())); got > 10*300+300 {
			t.Errorf("%d packets in 10 s to an unproven address", got)
		}
		if d := a.Stats().Dropped.Budget; d < 5000 {
			t.Errorf("%d left out, want most of 10000", d)
		}
	})
}

func TestSendAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		c.a.Close()
		d := []mdpconn.Datagram{{Local: c.sa.LocalAddr(), Remote: c.sb.LocalAddr(), Data: []byte("x")}}
		if _, err := c.a.Send(d); !errors.Is(err, net.ErrClosed) {
			t.Errorf("to another node: %v", err)
		}
		d[0].Remote = c.sa.LocalAddr()
		if _, err := c.a.Send(d); !errors.Is(err, net.ErrClosed) {
			t.Errorf("to itself: %v", err)
		}
		if _, err := c.a.Bind(mdpconn.Addr{}, c.ia); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Bind: %v", err)
		}
	})
}

func TestEchoOfOwnNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := newNode(t, memnet.New(memnet.Config{}), mdpconn.Config{})
		s, in := bind(t, n, mdpconn.Addr{})
		send(t, n, s.LocalAddr(), mdpconn.Addr{SID: n.Primary(), Port: 7}, "hello me")
		got := in.want(t, "echo", "hello me")
		if got[0].Remote.Port != 7 {
			t.Errorf("echo from port %d", got[0].Remote.Port)
		}
	})
}
