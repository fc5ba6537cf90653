package mdpconn_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
	"mesh.example/msp/mdpconn/session"
)

// keyedNode makes a node on a link of its own, as its config says about session
// keys.
func keyedNode(t *testing.T, network *memnet.Network, config mdpconn.Config) (*mdpconn.Node, *memnet.Link) {
	t.Helper()
	l := network.Link()
	return keyedNodeOn(t, l, config), l
}

func keyedNodeOn(t *testing.T, l *memnet.Link, config mdpconn.Config) *mdpconn.Node {
	t.Helper()
	config.Relay = mdpconn.RelayOff
	config.Links = []mdpconn.Link{l}
	n, err := mdpconn.NewNode(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// meet makes two nodes on a network that hold each other, of which the first has
// a hint for the other.
func meet(t *testing.T, network *memnet.Network, ca, cb mdpconn.Config) *connected {
	t.Helper()
	c := &connected{network: network}
	c.a, c.la = keyedNode(t, network, ca)
	c.b, c.lb = keyedNode(t, network, cb)
	c.sa, c.ia = bind(t, c.a, mdpconn.Addr{Port: 1000})
	c.sb, c.ib = bind(t, c.b, mdpconn.Addr{Port: 2000})
	hold(t, c.a, c.b)
	hold(t, c.b, c.a)
	c.a.AddHint(c.b.Primary(), c.lb.LocalAddr())
	return c
}

// forms counts recorded packets: those in compact form, and enciphered payloads in
// the others.
func forms(packets []taped) (compact, boxes int) {
	for _, taped := range packets {
		if taped.data[0] == byte(session.Compact) {
			compact++
			continue
		}
		var p overlay.Packet
		if p.Parse(taped.data, overlay.Context{}) != nil {
			continue
		}
		for pl := (overlay.Payload{}); p.Next(&pl); {
			if pl.Flags&overlay.Ciphered != 0 {
				boxes++
			}
		}
	}
	return compact, boxes
}

// wantKeyed wants the packets recorded to be under session keys only.
func (tp *tape) wantKeyed(t *testing.T, why string) {
	t.Helper()
	if compact, boxes := forms(tp.take(anywhere, anywhere)); compact == 0 || boxes > 0 {
		t.Errorf("%s: %d packets in compact form, %d boxes, want none of these", why, compact, boxes)
	}
}

func TestHelloThenCompact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		c := meet(t, network, mdpconn.Config{}, mdpconn.Config{})
		tp := record(t, network)
		send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), "first")
		time.Sleep(5 * time.Millisecond)
		shared := false
		for _, p := range tp.take(anywhere, anywhere) { // one more may be a challenge
			_, boxes := forms([]taped{p})
			shared = shared || boxes >= 2
		}
		if !shared {
			t.Error("datagram and hello are not in one packet")
		}
		time.Sleep(10 * time.Millisecond)
		d := c.ib.want(t, "b", "first")
		if !d[0].Early {
			t.Error("the first datagram is not early")
		}
		time.Sleep(100 * time.Millisecond)
		for _, n := range []*mdpconn.Node{c.a, c.b} {
			if s := n.Stats().Sessions; s.Begun != 1 || s.Refused != 0 {
				t.Errorf("sessions: %+v", s)
			}
		}
		tp.take(anywhere, anywhere)
		for i := range 20 {
			from, sa, sb, in := c.a, c.sa, c.sb, c.ib
			if i%2 == 1 {
				from, sa, sb, in = c.b, c.sb, c.sa, c.ia
			}
			send(t, from, sa.LocalAddr(), sb.LocalAddr(), fmt.Sprint(i))
			time.Sleep(20 * time.Millisecond)
			if d := in.want(t, "under keys", fmt.Sprint(i)); d[0].Early {
				t.Error("a datagram under session keys is early")
			}
		}
		tp.wantKeyed(t, "after the hello")
	})
}

func TestOffersThatCross(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		c := meet(t, network, mdpconn.Config{}, mdpconn.Config{})
		c.b.AddHint(c.a.Primary(), c.la.LocalAddr())
		send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), "to b")
		send(t, c.b, c.sb.LocalAddr(), c.sa.LocalAddr(), "to a")
		time.Sleep(time.Second)
		c.ia.want(t, "a", "to a")
		c.ib.want(t, "b", "to b")
		for _, n := range []*mdpconn.Node{c.a, c.b} {
			if s := n.Stats().Sessions; s.Begun != 1 {
				t.Errorf("sessions: %+v", s)
			}
		}
	})
}

func TestHelloUnderLoss(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := memnet.New(memnet.Config{Seed: seed, Impairment: memnet.Impairment{Delay: 10 * time.Millisecond, Loss: 0.3}})
				c := meet(t, network, mdpconn.Config{}, mdpconn.Config{})
				c.chat(t, 10*time.Second)
				a, b := c.a.Stats().Sessions, c.b.Stats().Sessions
				if a.Begun == 0 || b.Begun == 0 || a.Sent == 0 || b.Sent == 0 {
					t.Errorf("after ten seconds: %+v, %+v", a, b)
				}
			})
		})
	}
}

// A peer that begins anew is told by the notice of its other life's session.
func TestRestart(t *testing.T) {
	orders(t, func(t *testing.T, ida, idb *mdpconn.Identity) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		c := meet(t, network, mdpconn.Config{Identities: []*mdpconn.Identity{ida}}, mdpconn.Config{Identities: []*mdpconn.Identity{idb}})
		c.chat(t, time.Second)
		for _, speaks := range []string{"the one that stayed", "the one that began anew"} {
			// The other life ends without a word, and the next has its address.
			addr := c.lb.LocalAddr()
			c.b.Close()
			link, err := network.Listen(addr)
			if err != nil {
				t.Fatal(err)
			}
			c.lb = link
			c.b = keyedNodeOn(t, link, mdpconn.Config{Identities: []*mdpconn.Identity{idb}})
			c.sb, c.ib = bind(t, c.b, mdpconn.Addr{Port: 2000})
			hold(t, c.b, c.a)
			tp := record(t, network)
			if speaks == "the one that stayed" {
				send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), "who are you?")
			} else {
				c.b.AddHint(c.a.Primary(), c.la.LocalAddr())
				send(t, c.b, c.sb.LocalAddr(), c.sa.LocalAddr(), "it is me")
			}
			time.Sleep(100 * time.Millisecond)
			c.drain()
			s := c.a.Stats().Sessions
			if s.Restarts == 0 {
				t.Errorf("%s speaks: %+v", speaks, s)
			}
			tp.take(anywhere, anywhere)
			c.chat(t, 100*time.Millisecond)
			tp.wantKeyed(t, speaks)
		}
	})
}

// A toldInbox is an inbox that is told of restarts.
type toldInbox struct {
	inbox
	told chan mdpconn.SID
}

func (b toldInbox) HandleRestart(_, remote mdpconn.SID, _ int64) { b.told <- remote }

func TestRestartIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		idb := identity(t)
		c := meet(t, network, mdpconn.Config{}, mdpconn.Config{Identities: []*mdpconn.Identity{idb}})
		in := toldInbox{newInbox(), make(chan mdpconn.SID, 10)}
		for port := range mdpconn.Port(3) {
			if _, err := c.a.Bind(mdpconn.Addr{Port: 5000 + port}, in); err != nil {
				t.Fatal(err)
			}
		}
		c.chat(t, 3*time.Minute)
		if len(in.told) > 0 {
			t.Error("a replaced session is told as a restart")
		}
		addr := c.lb.LocalAddr()
		c.b.Close()
		link, err := network.Listen(addr)
		if err != nil {
			t.Fatal(err)
		}
		keyedNodeOn(t, link, mdpconn.Config{Identities: []*mdpconn.Identity{idb}})
		send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), "are you the one I knew?")
		time.Sleep(100 * time.Millisecond)
		if len(in.told) != 1 || <-in.told != idb.SID() {
			t.Errorf("told %d times of the restart, want once", len(in.told))
		}
	})
}

// Either end may move; the session stays.
func TestSessionFollowsAMove(t *testing.T) {
	orders(t, func(t *testing.T, ida, idb *mdpconn.Identity) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		c := meet(t, network, mdpconn.Config{Identities: []*mdpconn.Identity{ida}}, mdpconn.Config{Identities: []*mdpconn.Identity{idb}})
		c.chat(t, time.Second)
		for i := range 4 {
			moved := c.lb
			if i%2 == 1 {
				moved = c.la
			}
			moved.Rebind()
			quietA, quietB := c.chat(t, 3*time.Second)
			if quietA > 200*time.Millisecond || quietB > 200*time.Millisecond {
				t.Errorf("quiet for %v at a, %v at b", quietA, quietB)
			}
			c.wantEndpoints(t, "after the move")
		}
		for _, n := range []*mdpconn.Node{c.a, c.b} {
			if s := n.Stats(); s.Sessions.Begun != 1 || s.Sessions.Unknown+s.Dropped.Crypto > 0 {
				t.Errorf("sessions: %+v", s.Sessions)
			}
		}
	})
}

// Whoever has no session keys is talked to as stock is.
func TestOneWithoutSessionKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		c := meet(t, network, mdpconn.Config{}, mdpconn.Config{NoSessions: true})
		tp := record(t, network)
		quietA, quietB := c.chat(t, 2*time.Minute)
		if quietA > 200*time.Millisecond || quietB > 200*time.Millisecond {
			t.Errorf("quiet for %v at a, %v at b", quietA, quietB)
		}
		if compact, boxes := forms(tp.take(anywhere, anywhere)); compact > 0 || boxes < 4000 {
			t.Errorf("%d packets in compact form, %d boxes", compact, boxes)
		}
		if s := c.a.Stats().Sessions; s.Offers != 17 || s.Downgrades > 0 {
			t.Errorf("%+v, want 17 offers", s)
		}
		time.Sleep(10 * time.Minute)
		c.chat(t, time.Second)
		if s := c.a.Stats().Sessions; s.Offers < 19 {
			t.Errorf("%+v, want more offers after ten minutes", s)
		}
	})
}

// TestSessionAttacks: copies, echoes, changed and cut packets of a session do nothing
// but be counted; [MSX-10.11] nothing goes in the box for them.
func TestSessionAttacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		c := meet(t, network, mdpconn.Config{}, mdpconn.Config{})
		tp := record(t, network)
		c.chat(t, 2*time.Second)
		packets := tp.take(anywhere, anywhere)
		c.drain()
		dropped := c.a.Stats().Dropped.Crypto
		before := c.a.Path(c.a.Primary(), c.b.Primary())
		sessions := c.a.Stats().Sessions.Begun + c.b.Stats().Sessions.Begun
		elsewhere := network.Link()
		for _, p := range packets {
			network.Inject(p.from, p.to, p.data)                 // again
			network.Inject(elsewhere.LocalAddr(), p.to, p.data)  // from elsewhere
			network.Inject(p.to, p.from, p.data)                 // back
			network.Inject(p.from, p.to, p.data[:len(p.data)/2]) // cut
			network.Inject(p.from, p.to, p.data[:min(5, len(p.data))])
			for i := 0; i < len(p.data); i += 7 {
				changed := append([]byte(nil), p.data...)
				changed[i] ^= 1 << (i % 8)
				network.Inject(p.from, p.to, changed)
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		c.ia.want(t, "a")
		c.ib.want(t, "b")
		if after := c.a.Path(c.a.Primary(), c.b.Primary()); after.Endpoint != before.Endpoint {
			t.Errorf("endpoint %v, was %v", after.Endpoint, before.Endpoint)
		}
		if now := c.a.Stats().Sessions.Begun + c.b.Stats().Sessions.Begun; now != sessions {
			t.Errorf("%d sessions more", now-sessions)
		}
		if now := c.a.Stats().Dropped.Crypto; now < dropped+100 {
			t.Errorf("%d packets counted that did not open", now-dropped)
		}
		time.Sleep(2 * time.Second)
		tp.take(anywhere, anywhere)
		c.chat(t, time.Second)
		tp.wantKeyed(t, "after the attack")
	})
}

// TestRequireSessionKeys: [MSX-10.9] with RequireSessionKeys the first datagram waits
// for the keys, and none goes or comes in the box.
func TestRequireSessionKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		require := mdpconn.Config{RequireSessionKeys: true}
		c := meet(t, network, require, require)
		began := time.Now()
		send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), "first")
		d := <-c.ib
		if took := time.Since(began); d.Early || string(d.Data) != "first" || took > 50*time.Millisecond {
			t.Errorf("%q after %v, early %v; want it after 30 ms", d.Data, took, d.Early)
		}
		send(t, c.b, c.sb.LocalAddr(), c.sa.LocalAddr(), "back")
		time.Sleep(20 * time.Millisecond)
		c.ia.want(t, "a", "back")
		network.SetImpairmentAll(memnet.Impairment{Loss: 1})
		time.Sleep(15 * time.Minute) // the session is forgotten
		network.SetImpairmentAll(memnet.Impairment{Delay: 10 * time.Millisecond})
		send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), "later")
		time.Sleep(time.Second)
		c.ib.want(t, "b", "later")
	})
}

func TestRequireSessionKeysRefusesTheBox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		c := meet(t, network, mdpconn.Config{RequireSessionKeys: true}, mdpconn.Config{NoSessions: true})
		tp := record(t, network)
		c.b.AddHint(c.a.Primary(), c.la.LocalAddr())
		for range 100 {
			send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), "secret")
			send(t, c.b, c.sb.LocalAddr(), c.sa.LocalAddr(), "in the box")
			time.Sleep(20 * time.Millisecond)
		}
		c.ia.want(t, "a")
		c.ib.want(t, "b")
		if early := c.a.Stats().Sessions.Early; early == 0 {
			t.Error("nothing was refused")
		}
		if _, boxes := forms(tp.take(c.la.LocalAddr(), anywhere)); boxes == 0 || boxes > 50 {
			t.Errorf("%d boxes of the node that requires session keys, want hellos and challenges only", boxes)
		}
	})
}

// TestDowngrade: [MSX-10.10] a recorded box is worth nothing once there are session
// keys, and a peer that had them cannot be talked down to the box by dropping hellos.
func TestDowngrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		c := meet(t, network, mdpconn.Config{}, mdpconn.Config{})
		tp := record(t, network)
		send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), "early")
		time.Sleep(5 * time.Millisecond)
		recorded := tp.take(anywhere, anywhere)
		held := append([]taped(nil), recorded...)
		time.Sleep(20 * time.Millisecond)
		c.ib.want(t, "b", "early")
		for range 3 { // before and after the session stands, and when it is old
			for _, p := range held {
				network.Inject(p.from, p.to, p.data)
			}
			time.Sleep(time.Second)
			c.chat(t, time.Second)
			c.drain()
			for _, p := range held {
				network.Inject(p.from, p.to, p.data)
			}
			time.Sleep(20 * time.Millisecond)
			c.ib.want(t, "b")
			time.Sleep(11 * time.Minute)
		}
		if s := c.b.Stats(); s.Sessions.Downgrades == 0 {
			t.Errorf("no downgrade was noticed: %+v", s.Sessions)
		}
	})
}

// A session is replaced after two minutes of use, and nothing is lost by it.
func TestRekeyUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		c := meet(t, network, mdpconn.Config{}, mdpconn.Config{})
		c.chat(t, time.Second)
		sent, heard := 0, 0
		count := func() {
			synctest.Wait()
			for len(c.ib) > 0 {
				d := <-c.ib
				d.Release()
				heard++
			}
		}
		count()
		heard = 0
		for range 5 * 60 * 100 {
			send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), "load")
			sent++
			time.Sleep(10 * time.Millisecond)
			count()
		}
		time.Sleep(time.Second)
		count()
		if heard != sent {
			t.Errorf("%d of %d arrived", heard, sent)
		}
		for _, n := range []*mdpconn.Node{c.a, c.b} {
			if s := n.Stats(); s.Sessions.Begun != 3 || s.Sessions.Restarts > 0 || s.Sessions.Unknown > 0 {
				t.Errorf("%+v, want three sessions in five minutes", s.Sessions)
			}
		}
	})
}

// Offers of strangers are answered at a bounded rate, and what they leave behind
// is bounded.
func TestFloodOfHellos(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		n, l := keyedNode(t, network, mdpconn.Config{MaxPeers: 64})
		to := mdpconn.Addr{SID: n.Primary(), Port: session.HelloPort}
		for range 300 {
			stranger, _ := keyedNode(t, network, mdpconn.Config{})
			stranger.AddHint(n.Primary(), l.LocalAddr())
			send(t, stranger, mdpconn.Addr{Port: 1}, mdpconn.Addr{SID: to.SID, Port: 99}, "hello with that")
		}
		synctest.Wait()
		s := n.Stats()
		if s.Sessions.Answers > 60 || s.Sessions.Answers < 40 || s.Dropped.KeyLimit == 0 {
			t.Errorf("%d answers, %d beyond the limit", s.Sessions.Answers, s.Dropped.KeyLimit)
		}
	})
}
