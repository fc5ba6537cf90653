package mdpconn_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
)

// between makes a node with two puppets at its sides, which it knows as
// neighbours.
func between(t *testing.T, config mdpconn.Config) (n *mdpconn.Node, l *memnet.Link, left, right *puppet) {
	network := memnet.New(memnet.Config{Unconnected: true})
	rules := watch(t, network)
	n, l = newRelay(t, network, config)
	ids := []*mdpconn.Identity{identity(t), identity(t)}
	var ps []*puppet
	for _, id := range ids {
		p := newPuppet(t, network, network.Link(), id, n.Primary(), ids[0].SID(), ids[1].SID())
		rules.excuse(p.link)
		network.Connect(l, p.link)
		p.say(l.LocalAddr())
		ps = append(ps, p)
	}
	time.Sleep(100 * time.Millisecond)
	for _, p := range ps {
		p.neighbourly(n, l, time.Millisecond)
	}
	for _, p := range ps {
		p.take()
	}
	return n, l, ps[0], ps[1]
}

// transit makes a payload that right is to get by way of n.
func transit(n *mdpconn.Node, right *puppet, size int) overlay.Payload {
	return overlay.Payload{
		Flags:       overlay.Ciphered | overlay.Signed,
		Destination: overlay.To(overlay.SID(right.id.SID())), NextHop: overlay.To(overlay.SID(n.Primary())),
		TTL: 9, Queue: 3, Type: overlay.TypeData, Body: make([]byte, size),
	}
}

// got gives the payloads with a body of this size.
func (p *puppet) got(size int) (pls []overlay.Payload) {
	synctest.Wait()
	for _, h := range p.take() {
		if len(h.payload.Body) == size {
			pls = append(pls, h.payload)
		}
	}
	return pls
}

func TestForwarding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l, left, right := between(t, mdpconn.Config{Announce: mdpconn.AnnounceAlways})
		for _, size := range []int{100, 1110} {
			left.say(l.LocalAddr(), transit(n, right, size))
			got := right.got(size)
			if len(got) != 1 || mdpconn.SID(got[0].Source.SID) != left.id.SID() || got[0].Flags&overlay.OneHop == 0 {
				t.Fatalf("%d bytes: passed on as %v", size, got)
			}
		}
		refuse := func(why string, pl overlay.Payload, count func(mdpconn.RelayStats) uint64) {
			t.Helper()
			before := n.Stats().Relayed
			left.say(l.LocalAddr(), pl)
			if got := right.got(len(pl.Body)); len(got) != 0 {
				t.Errorf("%s: passed on as %v", why, got)
			}
			if after := n.Stats().Relayed; count(after) != count(before)+1 || after.Payloads != before.Payloads {
				t.Errorf("%s: %+v became %+v", why, before, after)
			}
		}
		pl := transit(n, right, 99)
		pl.TTL = 1
		refuse("the last hop", pl, func(s mdpconn.RelayStats) uint64 { return s.Expired })
		pl = transit(n, right, 99)
		pl.Destination = overlay.To(overlay.SID(identity(t).SID()))
		refuse("to nobody known", pl, func(s mdpconn.RelayStats) uint64 { return s.NoRoute })
		pl = transit(n, left, 99)
		refuse("back to where it came from", pl, func(s mdpconn.RelayStats) uint64 { return s.NoRoute })

		// What ends a stock node is not made by overlay, so the bytes are changed.
		right.take()
		big := packet(t, left.id.SID(), transit(n, right, 1199))
		big = append(big, 0)
		big[len(big)-1200-2], big[len(big)-1200-1] = 1200>>8, 1200&0xff
		left.link.WritePackets([]mdpconn.Packet{{Addr: l.LocalAddr(), Data: big}})
		synctest.Wait()
		if s := n.Stats().Relayed; s.Refused != 1 || len(right.got(1200)) != 0 {
			t.Errorf("a body of 1200 bytes: %+v", s)
		}
	})
}

// Bodies under session keys pass as they are, the shortest and the largest; others
// with the top bit of a nonce do not (MSX-12.1, MSX-12.2).
func TestForwardingOfKeyedBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l, left, right := between(t, mdpconn.Config{Announce: mdpconn.AnnounceAlways})
		for _, tc := range []struct {
			size   int
			first  byte
			passes bool
		}{{24, 0x80, true}, {23, 0x80, false}, {1110, 0x80, true}, {100, 0x81, false}, {100, 0xff, false}} {
			pl := transit(n, right, tc.size)
			for i := range pl.Body {
				pl.Body[i] = byte(i)
			}
			pl.Body[0] = tc.first
			data := packet(t, left.id.SID(), transit(n, right, max(tc.size, 42)))
			data = data[:len(data)-max(tc.size, 42)]
			data = append(data, pl.Body...) // overlay would not make all of them
			data[len(data)-tc.size-2], data[len(data)-tc.size-1] = byte(tc.size>>8), byte(tc.size)
			right.take()
			left.link.WritePackets([]mdpconn.Packet{{Addr: l.LocalAddr(), Data: data}})
			got := right.got(tc.size)
			if (len(got) == 1 && bytes.Equal(got[0].Body, pl.Body)) != tc.passes || len(got) > 1 {
				t.Errorf("%d bytes from %#02x on: passed on as %v, want that to be %v", tc.size, tc.first, got, tc.passes)
			}
		}
	})
}

// What is passed on is bounded for all, and a neighbour gets no more than half.
func TestForwardingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l, left, right := between(t, mdpconn.Config{Announce: mdpconn.AnnounceAlways, RelayRate: 100})
		for range 500 {
			left.say(l.LocalAddr(), transit(n, right, 50))
		}
		if got := len(right.got(50)); got != 50 || n.Stats().Relayed.Limited != 450 {
			t.Errorf("of 500 at once %d were passed on: %+v", got, n.Stats().Relayed)
		}
		right.say(l.LocalAddr(), transit(n, left, 50))
		if got := len(left.got(50)); got != 1 {
			t.Errorf("nothing is left for others")
		}
	})
}

func TestRelayOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l, left, right := between(t, mdpconn.Config{Announce: mdpconn.AnnounceAlways, Relay: mdpconn.RelayOff})
		left.say(l.LocalAddr(), transit(n, right, 50))
		if got := right.got(50); len(got) != 0 || n.Stats().Relayed.Off != 1 {
			t.Errorf("a node that does not relay: %v, %+v", got, n.Stats().Relayed)
		}
		time.Sleep(time.Second)
		for _, h := range right.take() { // nor does it say that it could
			ports, data, err := overlay.ParsePorts(h.payload.Body)
			if err != nil || ports.Destination != overlay.PortLinkState {
				continue
			}
			ls := overlay.NewLinkState(data, overlay.BodyContext(overlay.SID(n.Primary()), right.known))
			for rec := (overlay.LinkRecord{}); ls.Next(&rec); {
				if mdpconn.SID(rec.Receiver.SID) == left.id.SID() {
					t.Errorf("it tells of %v", rec)
				}
			}
		}
	})
}

// Broadcasts are passed on once, those of a neighbour that has no use for this
// node not at all (docs/overlay.md §8.8).
func TestFlooding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l, left, right := between(t, mdpconn.Config{Announce: mdpconn.AnnounceAlways})
		plain, _ := overlay.AppendPorts(nil, overlay.Ports{Destination: 11, Source: 300})
		flood := overlay.Payload{
			Flags: overlay.ToBroadcast, BroadcastID: [8]byte{1}, TTL: 31, Queue: 3, Type: overlay.TypeData,
			Body: append(plain, make([]byte, 77)...),
		}
		size := len(flood.Body)
		for range 3 {
			left.say(l.LocalAddr(), flood)
		}
		got := right.got(size)
		if len(got) != 1 || got[0].TTL != 30 || got[0].BroadcastID != flood.BroadcastID || mdpconn.SID(got[0].Source.SID) != left.id.SID() {
			t.Fatalf("a flood that came three times was passed on as %v", got)
		}
		if len(left.got(size)) != 0 {
			t.Error("it was sent back")
		}
		try := func(why string, want int, change func(*overlay.Payload)) {
			t.Helper()
			flood.BroadcastID[1]++
			pl := flood
			change(&pl)
			left.say(l.LocalAddr(), pl)
			if got := right.got(size); len(got) != want {
				t.Errorf("%s: passed on %d times, want %d", why, len(got), want)
			}
		}
		try("the last hop", 0, func(p *overlay.Payload) { p.TTL = 1 })
		try("an own one", 0, func(p *overlay.Payload) { p.Source = overlay.To(overlay.SID(n.Primary())) })
		left.neighbourly(n, l, time.Millisecond, reached(n.Primary(), left.id.SID()))
		try("of a neighbour that reaches nobody through the node", 0, func(*overlay.Payload) {})
		left.neighbourly(n, l, time.Millisecond, reached(identity(t).SID(), n.Primary()))
		right.neighbourly(n, l, time.Millisecond)
		try("of one that does", 1, func(*overlay.Payload) {})
	})
}
