package mdpconn_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
)

// TestDropReasons gives a node packets that are of no use to it, and looks at
// what they are counted as.
func TestDropReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		a, b := c.a.Primary(), c.b.Primary()
		flipped := b
		flipped[31] ^= 0x80
		data := func(flags overlay.PayloadFlags, addresses string, body string) []byte {
			p := append([]byte{1, 1, 32}, b[:]...)
			p = append(p, 0, byte(flags))
			p = append(p, addresses...)
			p = append(p, 0)
			p = binary.BigEndian.AppendUint16(p, uint16(len(body)))
			return append(p, body...)
		}
		full := func(sid mdpconn.SID) string { return "\x20" + string(sid[:]) }
		const same, oneHop, toAll = overlay.SenderSame, overlay.OneHop, overlay.ToBroadcast
		const both = overlay.Ciphered | overlay.Signed
		plain := "\x05x" // from port 2 to port 2
		for _, test := range []struct {
			reason string
			packet []byte
			count  func(d *mdpconn.DroppedStats) *uint64
		}{
			{"nothing", nil, func(d *mdpconn.DroppedStats) *uint64 { return &d.Malformed }},
			{"version 2", []byte{2, 1, 255, 0}, func(d *mdpconn.DroppedStats) *uint64 { return &d.Malformed }},
			{"address code 0", []byte{1, 1, 0, 0}, func(d *mdpconn.DroppedStats) *uint64 { return &d.Malformed }},
			{"body too short", data(same|oneHop, full(a), plain)[:74], func(d *mdpconn.DroppedStats) *uint64 { return &d.Malformed }},
			{"CIPHERED alone", data(same|oneHop|overlay.Ciphered, full(a), plain), func(d *mdpconn.DroppedStats) *uint64 { return &d.Malformed }},
			{"ciphered broadcast", data(same|oneHop|toAll|both, "", plain), func(d *mdpconn.DroppedStats) *uint64 { return &d.Malformed }},
			{"plain without ports", data(same|oneHop, full(a), "\x80"), func(d *mdpconn.DroppedStats) *uint64 { return &d.Malformed }},
			{"own tick", tickOf(a), func(d *mdpconn.DroppedStats) *uint64 { return &d.OwnPacket }},
			{"own source", data(oneHop, full(a)+full(b), plain), func(d *mdpconn.DroppedStats) *uint64 { return &d.OwnPacket }},
			{"unknown sender", []byte{0, 1, 2, ^b[0], b[1], 0}, func(d *mdpconn.DroppedStats) *uint64 { return &d.UnknownSender }},
			{"unknown source", data(oneHop, "\x03"+string([]byte{^b[0], b[1], b[2]})+full(a), plain), func(d *mdpconn.DroppedStats) *uint64 { return &d.UnknownSID }},
			{"bad sender", tickOf(flipped), func(d *mdpconn.DroppedStats) *uint64 { return &d.BadSID }},
			{"bad source", data(oneHop, full(flipped)+full(a), plain), func(d *mdpconn.DroppedStats) *uint64 { return &d.BadSID }},
			{"for another", data(same|oneHop, full(identity(t).SID()), plain), func(d *mdpconn.DroppedStats) *uint64 { return &d.NotOurs }},
			{"link state that is none", data(same|oneHop|toAll, "", plain), func(d *mdpconn.DroppedStats) *uint64 { return &d.Malformed }},
			{"plain broadcast", data(same|oneHop|toAll, "", "\x19?"), func(d *mdpconn.DroppedStats) *uint64 { return &d.Plain }},
			{"type 0x50", data(same|oneHop|toAll|overlay.LegacyType, "\x50", plain), func(d *mdpconn.DroppedStats) *uint64 { return &d.UnknownType }},
			{"does not open", data(same|oneHop|both, full(a), string(make([]byte, 60))), func(d *mdpconn.DroppedStats) *uint64 { return &d.Crypto }},
			{"too short to open", data(same|oneHop|both, full(a), plain), func(d *mdpconn.DroppedStats) *uint64 { return &d.Crypto }},
		} {
			before := c.a.Stats().Dropped
			c.network.Inject(c.lb.LocalAddr(), c.la.LocalAddr(), test.packet)
			synctest.Wait()
			*test.count(&before)++
			if after := c.a.Stats().Dropped; after != before {
				t.Errorf("%s:\n got %+v\nwant %+v", test.reason, after, before)
			}
		}
		c.ia.want(t, "packets of no use")
		c.talk(t, "after all that")
	})
}

// Both versions, both encapsulations and several payloads in a packet are read.
func TestFormsOfPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id, peer := identity(t), identity(t)
		network := memnet.New(memnet.Config{})
		n, l := newNode(t, network, mdpconn.Config{Identities: []*mdpconn.Identity{id}})
		_, in := bind(t, n, mdpconn.Addr{Port: 55})
		key, err := peer.SharedKey(id.SID())
		if err != nil {
			t.Fatal(err)
		}
		for version := range byte(2) {
			for _, e := range []overlay.Encapsulation{overlay.Overlay, overlay.Single} {
				var ctx overlay.Context
				b, err := overlay.AppendEnvelope(nil, &overlay.Envelope{
					Version: version, Encapsulation: e, Sender: overlay.To(overlay.SID(peer.SID())),
					Flags: overlay.PacketSeq, Seq: 9, Interface: 3,
				}, &ctx)
				if err != nil {
					t.Fatal(err)
				}
				want := []string{"0"}
				if e == overlay.Overlay {
					want = []string{"0", "1", "2"}
				}
				for _, text := range want {
					p := sealed(t, key, id.SID(), overlay.Ports{Destination: 55, Source: 6}, text)
					if b, err = overlay.AppendPayload(b, &p, &ctx); err != nil {
						t.Fatal(err)
					}
				}
				network.Inject(eve(1), l.LocalAddr(), b)
				in.want(t, fmt.Sprintf("version %d, %v", version, e), want...)
			}
		}
	})
}

// A relayed payload is delivered, but says nothing about addresses.
func TestRelayedPayload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id, peer := identity(t), identity(t)
		network := memnet.New(memnet.Config{})
		n, l := newNode(t, network, mdpconn.Config{Identities: []*mdpconn.Identity{id}})
		_, in := bind(t, n, mdpconn.Addr{Port: 55})
		key, err := peer.SharedKey(id.SID())
		if err != nil {
			t.Fatal(err)
		}
		p := sealed(t, key, id.SID(), overlay.Ports{Destination: 55, Source: 6}, "from afar")
		p.Source = overlay.To(overlay.SID(peer.SID()))
		network.Inject(eve(1), l.LocalAddr(), packet(t, identity(t).SID(), p))
		in.want(t, "relayed, last hop", "from afar")

		p.Flags &^= overlay.OneHop
		p.NextHop, p.TTL, p.Queue = overlay.To(overlay.SID(id.SID())), 9, 3
		network.Inject(eve(1), l.LocalAddr(), packet(t, identity(t).SID(), p))
		got := in.want(t, "relayed, to be forwarded", "from afar")
		if got[0].TTL != 8 || got[0].Queue != 3 {
			t.Errorf("TTL %d, queue %d, want 8 and 3", got[0].TTL, got[0].Queue)
		}
		if path := n.Path(mdpconn.Primary, peer.SID()); path.Received != 2 || len(path.Candidates) != 0 {
			t.Errorf("path %+v", path)
		}
		// Nor is a relayed echo answered to the relay.
		p = sealed(t, key, id.SID(), overlay.Ports{Destination: 7, Source: 6}, "from afar")
		p.Source = overlay.To(overlay.SID(peer.SID()))
		network.Inject(eve(1), l.LocalAddr(), packet(t, identity(t).SID(), p))
		synctest.Wait()
		if s := n.Stats().Sent.Packets; s != 0 {
			t.Errorf("%d packets sent", s)
		}
	})
}

// Hints and overheard SIDs are bounded, whoever gives them.
func TestSmallTablesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		n, l := newNode(t, network, mdpconn.Config{Announce: mdpconn.AnnounceAlways})
		sid := identity(t).SID()
		last := sid
		for i := range 2000 {
			last[0], last[1] = byte(i), byte(i>>8)
			for port := range uint16(6) {
				n.AddHint(last, netip.AddrPortFrom(eve(1).Addr(), port)) // port 0 counts for nothing
			}
			network.Inject(eve(1), l.LocalAddr(), tickOf(last))
			synctest.Wait()
		}
		tb := n.Stats().Tables
		if tb.Hints != tb.HintsLimit || tb.Heard != tb.HeardLimit || tb.Peers != 0 || tb.Strangers > tb.StrangerLimit ||
			tb.Unproven != tb.UnprovenLimit || tb.Neighbours != tb.Unproven {
			t.Errorf("%+v", tb)
		}
		release, err := n.Hold(mdpconn.Primary, last)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if p := n.Path(mdpconn.Primary, last); len(p.Candidates) != 3 || p.Candidates[2].Port() != 5 {
			t.Errorf("candidates of the last SID: %v, want ports 3 … 5", p.Candidates)
		}
	})
}

func TestIdentitiesOfANode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := identity(t), identity(t)
		n, _ := newNode(t, memnet.New(memnet.Config{}), mdpconn.Config{Identities: []*mdpconn.Identity{one}})
		for range 2 {
			if err := n.AddIdentity(two); err != nil {
				t.Fatal(err)
			}
		}
		if got := n.SIDs(); len(got) != 2 || got[0] != one.SID() || got[1] != two.SID() || n.Primary() != one.SID() {
			t.Errorf("SIDs %v", got)
		}
		if n.Identity(two.SID()) != two || n.Identity(mdpconn.Primary) != one || n.Identity(identity(t).SID()) != nil {
			t.Error("Identity gives another one")
		}
		if n.AddIdentity(nil) == nil {
			t.Error("no identity was added")
		}
	})
}
