package mdpconn_test

import (
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
)

// sentIn counts the packets that all nodes send in so long.
func (m *meshNet) sentIn(d time.Duration) (packets uint64) {
	count := func() (sum uint64) {
		for _, n := range m.nodes {
			sum += n.Stats().Sent.Packets
		}
		return sum
	}
	before := count()
	time.Sleep(d)
	return count() - before
}

// TestLonePairRests: two nodes that talk to each other and hear nobody else send
// nothing when they have nothing to say, whether or not they relay; and a datagram
// then costs one packet.
func TestLonePairRests(t *testing.T) {
	for _, relay := range []mdpconn.RelayMode{mdpconn.RelayOn, mdpconn.RelayOff} {
		synctest.Test(t, func(t *testing.T) {
			network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: time.Millisecond}})
			m := &meshNet{t: t, network: network}
			for range 2 {
				n, l := newNode(t, network, mdpconn.Config{Relay: relay})
				m.nodes, m.links = append(m.nodes, n), append(m.links, l)
			}
			m.nodes[0].AddHint(m.nodes[1].Primary(), m.links[1].LocalAddr())
			from, to, at, _ := m.sockets(0, 1)
			say := func() {
				t.Helper()
				if _, err := m.nodes[0].Send([]mdpconn.Datagram{{Local: from, Remote: to, Data: []byte("x")}}); err != nil {
					t.Fatal(err)
				}
				d := <-at
				d.Release()
			}
			for range 20 { // with something to say, too, link state comes to rest
				say()
				time.Sleep(time.Second)
			}
			if n := m.sentIn(10 * time.Minute); n > 0 {
				t.Errorf("relay %v: an idle pair sent %d packets in ten minutes", relay, n)
			}
			if n := m.sentIn(0); n != 0 {
				t.Error(n)
			}
			before := m.nodes[0].Stats().Sent.Packets
			say()
			time.Sleep(time.Minute)
			if n := m.nodes[0].Stats().Sent.Packets - before; n > 2 {
				t.Errorf("relay %v: a datagram after the rest cost %d packets", relay, n)
			}
		})
	}
}

// TestRestEnds: a pair at rest is part of a mesh again as soon as somebody comes.
func TestRestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, 3, memnet.Impairment{Delay: time.Millisecond})
		m.connect([2]int{0, 1})
		m.nodes[0].AddHint(m.nodes[1].Primary(), m.links[1].LocalAddr())
		m.sockets(0, 1)
		time.Sleep(time.Minute)
		if n := m.sentIn(10 * time.Minute); n > 0 {
			t.Errorf("%d packets in ten minutes of rest", n)
		}
		m.connect([2]int{1, 2})
		defer m.nodes[2].Announce()()
		s, at := bind(t, m.nodes[2], mdpconn.Addr{Port: 3000})
		start := time.Now()
		hold(t, m.nodes[0], m.nodes[2])
		for m.nodes[0].Path(mdpconn.Primary, m.nodes[2].Primary()).Hops != 2 {
			if time.Since(start) > 10*time.Second {
				t.Fatalf("no way to the newcomer: %+v", m.nodes[0].Path(mdpconn.Primary, m.nodes[2].Primary()))
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Logf("the newcomer is reached after %v", time.Since(start))
		if _, err := m.nodes[0].Send([]mdpconn.Datagram{{Local: mdpconn.Addr{Port: 1000}, Remote: s.LocalAddr(), Data: []byte("x")}}); err != nil {
			t.Fatal(err)
		}
		d := <-at
		d.Release()
	})
}
