package mdpconn_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
)

func TestFloodOfUnknownSIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := identity(t)
		c := connect(t, mdpconn.Config{Identities: []*mdpconn.Identity{id}, MaxPeers: 64}, mdpconn.Config{})
		junk := sealed(t, new([32]byte), id.SID(), overlay.Ports{Destination: 1000, Source: 1}, "junk")
		sid := identity(t).SID()
		const flood = 3000
		begin := c.a.Stats()
		for i := range flood {
			sid[0], sid[1], sid[2] = byte(i), byte(i>>8), 77
			c.network.Inject(eve(1), c.la.LocalAddr(), packet(t, sid, junk))
			synctest.Wait() // memory links have room for so many packets only
		}
		end := c.a.Stats()
		if got := end.Dropped.KeyLimit - begin.Dropped.KeyLimit; got < flood-600 {
			t.Errorf("keys were computed for %d of %d strangers at once", flood-got, flood)
		}
		if tb := end.Tables; tb.Strangers > tb.StrangerLimit || tb.Peers > 1 || tb.Held != 1 {
			t.Errorf("tables after a flood: %+v", tb)
		}
		c.talk(t, "after the flood")
		c.wantEndpoints(t, "after the flood")
		// A newcomer has to wait a moment, no more.
		time.Sleep(time.Second)
		n, _ := newNode(t, c.network, mdpconn.Config{})
		n.AddHint(id.SID(), c.la.LocalAddr())
		s, _ := bind(t, n, mdpconn.Addr{})
		send(t, n, s.LocalAddr(), c.sa.LocalAddr(), "newcomer")
		c.ia.want(t, "newcomer", "newcomer")
	})
}

func TestFloodOfProvenStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := identity(t)
		c := connect(t, mdpconn.Config{Identities: []*mdpconn.Identity{id}, MaxPeers: 16}, mdpconn.Config{})
		for range 100 { // with identities of their own, so that all is authentic
			other := identity(t)
			key, err := other.SharedKey(id.SID())
			if err != nil {
				t.Fatal(err)
			}
			p := sealed(t, key, id.SID(), overlay.Ports{Destination: 1000, Source: 1}, "hello")
			c.network.Inject(eve(1), c.la.LocalAddr(), packet(t, other.SID(), p))
			c.ia.want(t, "stranger", "hello")
		}
		if tb := c.a.Stats().Tables; tb.Peers != 16 || tb.Strangers != 0 || tb.Held != 1 {
			t.Errorf("tables after 100 strangers: %+v", tb)
		}
		if p := c.a.Path(mdpconn.Primary, c.b.Primary()); p.Endpoint != c.lb.LocalAddr() {
			t.Errorf("the held peer's endpoint is %v, want %v", p.Endpoint, c.lb.LocalAddr())
		}
		c.talk(t, "after the flood")
	})
}

// A searched peer's address is found although somebody forges announcements of
// it, and neither a hint nor an address with authentic packets makes room.
func TestForgedTicksDoNotDisplace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		a, la := newNode(t, network, mdpconn.Config{})
		sa, _ := bind(t, a, mdpconn.Addr{})
		id := identity(t)
		lb := network.Link() // the peer is not there yet
		defer func() { lb.Close() }()
		hint := lb.LocalAddr()
		a.AddHint(id.SID(), hint)
		release, err := a.Hold(mdpconn.Primary, id.SID())
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		for i := range 300 {
			network.Inject(eve(byte(i)), la.LocalAddr(), tickOf(id.SID()))
			send(t, a, sa.LocalAddr(), mdpconn.Addr{SID: id.SID(), Port: 9}, "anybody?")
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			p := a.Path(mdpconn.Primary, id.SID())
			if p.Endpoint.IsValid() || len(p.Candidates) > 4 || p.Candidates[0] != hint {
				t.Fatalf("after %d forged ticks: %+v", i+1, p)
			}
		}
		sent := network.Stats().Sent
		if sent > 300*(4+4)+1000 {
			t.Errorf("%d packets sent because of 300 forged ticks", sent)
		}
		b, err := mdpconn.NewNode(mdpconn.Config{Identities: []*mdpconn.Identity{id}, Links: []mdpconn.Link{lb}})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		for i := range 10 {
			network.Inject(eve(byte(i)), la.LocalAddr(), tickOf(id.SID()))
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if p := a.Path(mdpconn.Primary, id.SID()); p.Endpoint != hint {
			t.Errorf("the peer was not found: %+v", p)
		}
	})
}

// Without a hint, and with forged announcements all the time, the true answers
// still find their way.
func TestSearchAmongForgedTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 20 * time.Millisecond}})
		a, la := newNode(t, network, mdpconn.Config{})
		b, lb := newNode(t, network, mdpconn.Config{})
		hold(t, a, b)
		found := time.Duration(0)
		begin := time.Now()
		for i := 0; found == 0 && i < 5000; i++ {
			network.Inject(eve(byte(i)), la.LocalAddr(), tickOf(b.Primary()))
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			if a.Path(mdpconn.Primary, b.Primary()).Endpoint == lb.LocalAddr() {
				found = time.Since(begin)
			}
		}
		t.Logf("found after %v", found)
		if found == 0 {
			t.Error("the peer was not found among 500 forged ticks a second")
		}
	})
}

// The peer moves while authentic packets of it are replayed from elsewhere.
func TestReplaysDoNotHideAMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		tp := record(t, c.network)
		c.lb.Rebind()
		deadline := time.Now().Add(3 * time.Second)
		for i := 0; c.a.Path(mdpconn.Primary, c.b.Primary()).Endpoint != c.lb.LocalAddr(); i++ {
			if time.Now().After(deadline) {
				t.Fatalf("the move was not followed: %+v", c.a.Path(mdpconn.Primary, c.b.Primary()))
			}
			send(t, c.b, c.sb.LocalAddr(), c.sa.LocalAddr(), "here")
			send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), "there")
			for k, p := range tp.take(c.lb.LocalAddr(), c.la.LocalAddr()) {
				c.network.Inject(eve(byte(i+k)), c.la.LocalAddr(), p.data)
			}
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		for len(c.ia) > 0 {
			<-c.ia
		}
		for len(c.ib) > 0 {
			<-c.ib
		}
		c.talk(t, "after the move")
	})
}

// Sign keys in the place of SIDs cost much to work out: a flood of them is
// dropped, and others are served meanwhile.
func TestFloodOfSignKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		r := rand.NewChaCha8([32]byte{3})
		const packets, keys = 300, 31
		sender := c.b.Primary()
		before := c.a.Stats().Dropped
		for i := range packets {
			b := append([]byte{1, 1, 32}, sender[:]...)
			b = append(b, 0)
			for range keys {
				key := make([]byte, 32)
				r.Read(key)
				b = append(append(b, 0x06, 0xfb), key...)
				b = append(b, 0, 0, 1, 'x')
			}
			c.network.Inject(eve(byte(i)), c.la.LocalAddr(), b)
			if i%100 == 99 {
				c.talk(t, "in the flood")
				time.Sleep(100 * time.Millisecond)
			}
		}
		s := c.a.Stats()
		if got := s.Dropped.SignKeyLimit - before.SignKeyLimit; got < packets*keys-300 {
			t.Errorf("of %d sign keys %d were not worked out", packets*keys, got)
		}
		if s.Tables.SignKeys > s.Tables.SignKeysLimit {
			t.Errorf("%+v", s.Tables)
		}
	})
}
