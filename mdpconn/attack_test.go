package mdpconn_test

import (
	"crypto/rand"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/nacl/box"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/overlay"
)

// The attacks that the security rules are about (docs/architecture.md). The
// attacker hears everything and sends from every address, but has no keys.

func eve(host byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 66, 0, host}), 4110)
}

func TestReflectedPacketIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := identity(t)
		c := connect(t, mdpconn.Config{Identities: []*mdpconn.Identity{id}}, mdpconn.Config{})
		everything := newInbox()
		c.a.HandleUnbound(everything)
		tp := record(t, c.network)
		send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), "mine")
		sent := tp.take(c.la.LocalAddr(), c.lb.LocalAddr())
		if len(sent) != 1 {
			t.Fatalf("%d packets, want 1", len(sent))
		}
		_, pls := payloads(t, sent[0].data)
		pls[0].Source = overlay.Address{} // as the packet: b
		pls[0].Destination = overlay.To(overlay.SID(c.a.Primary()))
		back := packet(t, c.b.Primary(), pls[0])

		c.network.Inject(c.lb.LocalAddr(), c.la.LocalAddr(), back)
		everything.want(t, "reflected packet")
		c.ia.want(t, "reflected packet")
		if d := c.a.Stats().Dropped; d.Reflected != 1 {
			t.Errorf("%d reflected, want 1: %+v", d.Reflected, d)
		}

		// A node that has started anew with the same identity knows its own too.
		c.a.Close()
		again, l := newNode(t, c.network, mdpconn.Config{Identities: []*mdpconn.Identity{id}})
		again.HandleUnbound(everything)
		c.network.Inject(c.lb.LocalAddr(), l.LocalAddr(), back)
		everything.want(t, "reflected packet after a restart")
		if d := again.Stats().Dropped; d.Reflected != 1 {
			t.Errorf("%d reflected after a restart, want 1: %+v", d.Reflected, d)
		}

		// Had it been the other's it would have opened: it is not dropped for
		// another reason.
		key, err := id.SharedKey(c.b.Primary())
		if err != nil {
			t.Fatal(err)
		}
		honest := sealed(t, key, id.SID(), overlay.Ports{Destination: 55, Source: 6}, "honest")
		c.network.Inject(c.lb.LocalAddr(), l.LocalAddr(), packet(t, c.b.Primary(), honest))
		everything.want(t, "honest packet", "honest")
	})
}

func TestSIDWithTopBitFlippedIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		everything := newInbox()
		c.b.HandleUnbound(everything)
		flipped := c.a.Primary()
		flipped[31] ^= 0x80
		before := c.b.Stats()

		tp := record(t, c.network)
		send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), "from another")
		c.ib.want(t, "the packet itself", "from another")
		data := tp.take(c.la.LocalAddr(), anywhere)[0].data
		copy(data[3:], flipped[:]) // the sender, in the envelope
		c.network.Inject(c.la.LocalAddr(), c.lb.LocalAddr(), data)
		c.ib.want(t, "packet in the name of a flipped SID")

		everything.want(t, "packet in the name of a flipped SID")
		after := c.b.Stats()
		if after.Dropped.BadSID != before.Dropped.BadSID+1 {
			t.Errorf("bad SIDs went from %d to %d", before.Dropped.BadSID, after.Dropped.BadSID)
		}
		if after.Tables != before.Tables {
			t.Errorf("tables changed: %+v, %+v", before.Tables, after.Tables)
		}
		wantRefusedEverywhere(t, c.a, flipped)
	})
}

// wantRefusedEverywhere gives a bad SID to every call that takes one.
func wantRefusedEverywhere(t *testing.T, n *mdpconn.Node, bad mdpconn.SID) {
	t.Helper()
	before := n.Stats().Tables
	if _, err := n.Hold(mdpconn.Primary, bad); err == nil {
		t.Errorf("Hold took %v", bad)
	}
	k, err := n.Send([]mdpconn.Datagram{{
		Local: mdpconn.Addr{Port: 1000}, Remote: mdpconn.Addr{SID: bad, Port: 1000}, Data: []byte("x"),
	}})
	if k != 0 || err == nil {
		t.Errorf("Send took %v", bad)
	}
	n.AddHint(bad, eve(1))
	if after := n.Stats().Tables; after != before {
		t.Errorf("%v changed the tables: %+v, %+v", bad, before, after)
	}
}

func TestLowOrderSIDIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		low := mdpconn.SID{ // of order 8
			0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
			0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
		}
		// The key it shares with anybody.
		var key, secret [32]byte
		rand.Read(secret[:])
		box.Precompute(&key, (*[32]byte)(&low), &secret)
		p := sealed(t, &key, c.a.Primary(), overlay.Ports{Destination: 1000, Source: 1000}, "from nobody")
		data := packet(t, c.b.Primary(), p)
		copy(data[3:], low[:])
		c.network.Inject(c.lb.LocalAddr(), c.la.LocalAddr(), data)
		c.ia.want(t, "packet of a low-order SID")
		if d := c.a.Stats().Dropped; d.BadSID != 1 {
			t.Errorf("%d bad SIDs, want 1: %+v", d.BadSID, d)
		}
		wantRefusedEverywhere(t, c.a, low)
		wantRefusedEverywhere(t, c.a, mdpconn.SID{31: 1})
		wantRefusedEverywhere(t, c.a, mdpconn.All)
	})
}

func TestReplayFromAnotherAddressMovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		spy, err := c.network.Listen(eve(1)) // an attacker who also listens there
		if err != nil {
			t.Fatal(err)
		}
		defer spy.Close()
		tp := record(t, c.network)
		for i := range 50 {
			send(t, c.b, c.sb.LocalAddr(), c.sa.LocalAddr(), "again")
			for _, p := range tp.take(c.lb.LocalAddr(), c.la.LocalAddr()) {
				c.network.Inject(eve(1), c.la.LocalAddr(), p.data)
			}
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			for len(c.ia) > 0 {
				<-c.ia
			}
			c.wantEndpoints(t, "while packets are replayed")
			// What a sends still arrives, and once only.
			send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), "on")
			c.ib.want(t, "b while packets are replayed", "on")
			_ = i
		}
	})
}

func TestReplayedStockPacketOnlyBringsAChallenge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The nonces of stock say nothing, so that a replay looks fresh.
		id, stock := identity(t), identity(t)
		c := connect(t, mdpconn.Config{Identities: []*mdpconn.Identity{id}}, mdpconn.Config{Identities: []*mdpconn.Identity{stock}})
		key, err := stock.SharedKey(id.SID())
		if err != nil {
			t.Fatal(err)
		}
		p := sealed(t, key, id.SID(), overlay.Ports{Destination: 1000, Source: 2000}, "old")
		data := packet(t, stock.SID(), p)
		tp := record(t, c.network)
		time.Sleep(time.Second)
		c.network.Inject(eve(1), c.la.LocalAddr(), data)
		c.ia.want(t, "the replay itself", "old")
		challenges := 0
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			c.talk(t, "while packets are replayed")
			c.wantEndpoints(t, "while packets are replayed")
			c.network.Inject(eve(1), c.la.LocalAddr(), data)
			c.ia.want(t, "the replay itself", "old")
			challenges += len(tp.take(c.la.LocalAddr(), eve(1)))
		}
		if challenges == 0 || challenges > 40 {
			t.Errorf("%d packets to the attacker's address in 10 s, want a few challenges", challenges)
		}
	})
}

func TestChallengeAnsweredFromTheWrongAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id, peer := identity(t), identity(t)
		c := connect(t, mdpconn.Config{Identities: []*mdpconn.Identity{id}}, mdpconn.Config{Identities: []*mdpconn.Identity{peer}})
		key, err := peer.SharedKey(id.SID())
		if err != nil {
			t.Fatal(err)
		}
		tp := record(t, c.network)
		time.Sleep(2 * time.Second)
		c.network.Inject(eve(1), c.la.LocalAddr(), packet(t, peer.SID(),
			sealed(t, key, id.SID(), overlay.Ports{Destination: 1000, Source: 2000}, "bait")))
		challenges := tp.take(c.la.LocalAddr(), eve(1))
		if len(challenges) != 1 {
			t.Fatalf("%d challenges to the attacker's address, want 1", len(challenges))
		}
		before := c.a.Stats().Discovery
		// The attacker hands the challenge to the true peer, who answers it.
		c.network.Inject(c.la.LocalAddr(), c.lb.LocalAddr(), challenges[0].data)
		c.wantEndpoints(t, "after an answer from the wrong address")
		after := c.a.Stats().Discovery
		if after.ChallengesRefused != before.ChallengesRefused+1 || after.ChallengesPassed != before.ChallengesPassed {
			t.Errorf("the answer was taken: %+v, then %+v", before, after)
		}
	})
}

func TestLateAnswerProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		tp := record(t, c.network)
		old := c.lb.LocalAddr()
		c.lb.Rebind()
		send(t, c.b, c.sb.LocalAddr(), c.sa.LocalAddr(), "moved")
		var answers []taped
		for range 20 { // until a has moved with b
			time.Sleep(100 * time.Millisecond)
			send(t, c.b, c.sb.LocalAddr(), c.sa.LocalAddr(), "moved")
			answers = append(answers, tp.take(c.lb.LocalAddr(), c.la.LocalAddr())...)
		}
		c.wantEndpoints(t, "after the move")
		time.Sleep(10 * time.Second)
		// All that b ever sent, from the old address and from the new one.
		before := c.a.Stats().Discovery.ChallengesPassed
		for _, p := range answers {
			c.network.Inject(old, c.la.LocalAddr(), p.data)
			c.network.Inject(c.lb.LocalAddr(), c.la.LocalAddr(), p.data)
		}
		c.wantEndpoints(t, "after old answers")
		if after := c.a.Stats().Discovery.ChallengesPassed; after != before {
			t.Errorf("%d old answers were taken", after-before)
		}
	})
}

func TestForgedTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		time.Sleep(time.Second) // for the two to become neighbours
		tp := record(t, c.network)
		before := c.a.Stats()
		for i := range 200 {
			c.network.Inject(eve(byte(i)), c.la.LocalAddr(), tickOf(c.b.Primary())) // a live peer
			c.network.Inject(eve(byte(i)), c.la.LocalAddr(), tickOf(identity(t).SID()))
		}
		time.Sleep(time.Second)
		after := c.a.Stats()
		if after.Tables != before.Tables || after.Discovery != before.Discovery {
			t.Errorf("forged ticks changed\n%+v %+v to\n%+v %+v", before.Tables, before.Discovery, after.Tables, after.Discovery)
		}
		if p := c.a.Path(c.a.Primary(), c.b.Primary()); len(p.Candidates) != 0 {
			t.Errorf("forged ticks gave candidates %v", p.Candidates)
		}
		for _, p := range tp.take(c.la.LocalAddr(), anywhere) {
			if p.to != c.lb.LocalAddr() { // who gets link state
				t.Errorf("forged ticks were answered, to %v", p.to)
			}
		}
		c.talk(t, "after forged ticks")
		c.wantEndpoints(t, "after forged ticks")
	})
}
