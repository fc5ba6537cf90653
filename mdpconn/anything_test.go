package mdpconn_test

import (
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/mdptest"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
)

// readAll checks all that nodes send, opening what is enciphered between the
// identities. The links do the same, but have no keys.
func readAll(t *testing.T, network *memnet.Network, ids ...*mdpconn.Identity) (opened *atomic.Int64) {
	opened = new(atomic.Int64)
	var keys []*[32]byte
	for i, a := range ids {
		for _, b := range ids[i+1:] {
			key, err := a.SharedKey(b.SID())
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key)
		}
	}
	open := func(body []byte) ([]byte, bool) {
		for _, key := range keys {
			if plain, err := overlay.OpenBody(nil, key, body); err == nil {
				opened.Add(1)
				return plain, true
			}
		}
		return nil, false
	}
	t.Cleanup(network.Tap(func(e memnet.Event) {
		if e.Injected || e.Duplicate {
			return
		}
		if err := mdptest.CheckPacket(e.Data, open); err != nil {
			t.Errorf("%v: %v", e.From, err)
		}
	}))
	return opened
}

// anyDatagram makes a datagram of any arguments, good and bad ones.
func anyDatagram(r *rand.Rand, sids []mdpconn.SID) mdpconn.Datagram {
	ports := []mdpconn.Port{0, 1, 2, 2, 4, 5, 6, 7, 7, 8, 8, 11, 1000, mdpconn.MaxPort, mdpconn.MaxPort + 1, 1<<32 - 1}
	sizes := []int{0, 1, 2, 4, 5, 40, 300, 1059, 1060, 1061, 1160, 1200, 5000}
	data := make([]byte, sizes[r.IntN(len(sizes))])
	switch r.IntN(3) {
	case 0:
		for i := range data {
			data[i] = byte(r.Uint32())
		}
	case 1: // much like link state, or a list of addresses
		for i := range data {
			data[i] = []byte{0, 1, 2, 4, 5, 0xff, 0x20, byte(len(data))}[r.IntN(8)]
		}
	}
	d := mdpconn.Datagram{
		Local:  mdpconn.Addr{SID: sids[r.IntN(len(sids))], Port: ports[r.IntN(len(ports))]},
		Remote: mdpconn.Addr{SID: sids[r.IntN(len(sids))], Port: ports[r.IntN(len(ports))]},
		Data:   data,
	}
	if r.IntN(3) == 0 {
		d.Queue, d.TTL = mdpconn.Queue(r.IntN(256)), uint8(r.IntN(256))
	}
	if r.IntN(4) > 0 {
		d.Local = mdpconn.Addr{Port: 1000}
	}
	return d
}

// Whatever Send is asked for, to neighbours and by way of relays: nothing leaves
// that would end a stock node (docs/overlay.md §11).
func TestSendAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, 3, memnet.Impairment{Delay: time.Millisecond})
		opened := readAll(t, m.network, m.ids...)
		m.connect(line(3)...)
		defer m.nodes[2].Announce()()
		from, to, at, _ := m.sockets(0, 2)
		send(t, m.nodes[0], from, to, "there")
		time.Sleep(3 * time.Second)
		send(t, m.nodes[0], from, to, "there")
		time.Sleep(time.Second)
		if len(at) == 0 {
			t.Fatal("the ends do not reach each other")
		}
		sids := []mdpconn.SID{m.ids[1].SID(), m.ids[1].SID(), m.ids[2].SID(), m.ids[2].SID(), m.ids[0].SID(), {}, {31: 1}, mdpconn.All, identity(t).SID()}
		r := rand.New(rand.NewPCG(1, 2))
		sent, refused := 0, 0
		for i := range 6000 {
			d := anyDatagram(r, sids)
			if _, err := m.nodes[0].Send([]mdpconn.Datagram{d}); err != nil {
				refused++
			} else {
				sent++
			}
			if i%50 == 0 {
				time.Sleep(50 * time.Millisecond)
				for len(at) > 0 {
					<-at
				}
			}
		}
		t.Logf("%d datagrams sent, %d refused, %d bodies opened", sent, refused, opened.Load())
		if sent < 300 || refused < 300 || int(opened.Load()) < sent/2 {
			t.Errorf("%d datagrams sent, %d refused, %d bodies opened", sent, refused, opened.Load())
		}
	})
}

// A rawPayload is a payload for somebody else, with anything in it.
type rawPayload struct {
	why   string
	flags overlay.PayloadFlags
	kind  overlay.Type // 0: data
	body  []byte
}

// packet makes a packet of the payload: from left by way of n to right.
func (p *rawPayload) packet(left *puppet, n *mdpconn.Node, right *puppet) []byte {
	from, via, to := left.id.SID(), n.Primary(), right.id.SID()
	b := append([]byte{1, 1, 32}, from[:]...)
	b = append(b, 1, byte(p.flags|overlay.SenderSame))
	if p.flags&overlay.ToBroadcast != 0 {
		var id [8]byte
		binary.NativeEndian.PutUint64(id[:], rand.Uint64())
		b = append(b, id[:]...)
	} else {
		b = append(append(b, 32), to[:]...)
		b = append(append(b, 32), via[:]...)
	}
	b = append(b, 9|3<<5)
	if p.flags&overlay.LegacyType != 0 {
		b = append(b, byte(p.kind))
	}
	b = append(b, left.nextSeq())
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.body)))
	return append(b, p.body...)
}

// What would end a stock node is not passed on, whoever asks for it.
func TestForwardAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l, left, right := between(t, mdpconn.Config{Announce: mdpconn.AnnounceAlways})
		const sealed = overlay.Ciphered | overlay.Signed
		overrun := []byte{5, 0x0d, 0x19, 0xff, 1, 1, 0x62, 0, 4, 0, 0, 0, 7}
		for _, p := range []rawPayload{
			{"a please-explain with code 0", overlay.LegacyType, overlay.TypeExplain, []byte{0}},
			{"the same, flooded", overlay.LegacyType | overlay.ToBroadcast, overlay.TypeExplain, []byte{2, 1, 2, 0}},
			{"a record that runs past the end", 0, 0, overrun},
			{"the same, flooded", overlay.ToBroadcast, 0, overrun},
			{"the same, signed", overlay.Signed, 0, append(overrun, make([]byte, 64)...)},
			{"a record of interface 16", 0, 0, []byte{5, 0x0c, 0x19, 0xff, 1, 1, 0x62, 16, 4, 0, 0, 0, 7}},
			{"a trace with code 0", 0, 0, []byte{0x11, 1, 1, 0}},
			{"STUN with code 0", 0, 0, []byte{0x0b, 0, 1, 2, 3, 4, 5, 6}},
			{"no data", 0, 0, []byte{0x0e, 9}},
			{"no data, signed", overlay.Signed, 0, append([]byte{0x0e, 9}, make([]byte, 64)...)},
			{"no data, flooded", overlay.ToBroadcast, 0, []byte{0x0e, 9}},
			{"no data, enciphered", sealed, 0, make([]byte, 41)},
			{"an enciphered broadcast", sealed | overlay.ToBroadcast, 0, make([]byte, 60)},
			{"CIPHERED alone", overlay.Ciphered, 0, make([]byte, 60)},
			{"1200 bytes", sealed, 0, make([]byte, 1200)},
			{"1200 bytes, flooded", overlay.ToBroadcast, 0, append([]byte{0x0e, 9}, make([]byte, 1198)...)},
			{"an echo whose answer is too long", 0, 0, append([]byte{0x0e, 9}, make([]byte, 1158)...)},
		} {
			right.take()
			before := n.Stats()
			left.link.WritePackets([]mdpconn.Packet{{Addr: l.LocalAddr(), Data: p.packet(left, n, right)}})
			synctest.Wait()
			for _, h := range right.take() {
				if len(h.payload.Body) == len(p.body) {
					t.Errorf("%s was passed on: %v", p.why, h.payload)
				}
			}
			if s := n.Stats(); s.Relayed.Refused+s.Dropped.Malformed != before.Relayed.Refused+before.Dropped.Malformed+1 {
				t.Errorf("%s: counted %+v, %+v", p.why, s.Relayed, s.Dropped)
			}
			time.Sleep(100 * time.Millisecond)
		}
		fine := rawPayload{"", overlay.LegacyType, overlay.TypeExplain, []byte{2, 1, 2}}
		left.link.WritePackets([]mdpconn.Packet{{Addr: l.LocalAddr(), Data: fine.packet(left, n, right)}})
		if got := right.got(3); len(got) != 1 {
			t.Errorf("a harmless payload was not passed on: %v", got)
		}
	})
}

// Answers of the node's own services hold nothing either that would end who gets
// them: a peer that asks for an echo to its port 2 gets none.
func TestEchoOfLinkState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		id := identity(t)
		key, _ := id.SharedKey(c.a.Primary())
		before := c.a.Stats()
		defer c.network.Tap(func(e memnet.Event) {
			if err := mdptest.CheckPacket(e.Data, func(body []byte) ([]byte, bool) {
				plain, err := overlay.OpenBody(nil, key, body)
				return plain, err == nil
			}); err != nil && !e.Injected {
				t.Error(err)
			}
		})()
		for _, request := range []struct {
			from uint32
			data string
		}{{2, "\x0d\x19\xff\x01"}, {8, "\x00"}, {4, "\x00123456"}, {99, "fine"}} {
			pl := sealed(t, key, c.a.Primary(), overlay.Ports{Destination: 7, Source: request.from}, request.data)
			c.network.Inject(eve(1), c.la.LocalAddr(), packet(t, id.SID(), pl))
			synctest.Wait()
		}
		s := c.a.Stats()
		if in, out := s.Received.Echoes-before.Received.Echoes, s.Sent.Echoes-before.Sent.Echoes; in != 4 || out != 1 {
			t.Errorf("%d echo requests, %d answers, want 4 and 1", in, out)
		}
	})
}
