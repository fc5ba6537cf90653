package mdpconn_test

import (
	"bytes"
	"crypto/sha512"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
)

const acceptAll = mdpconn.AcceptSigned | mdpconn.AcceptPlain | mdpconn.AcceptBroadcasts

func accepting(t *testing.T, n *mdpconn.Node, port mdpconn.Port, a mdpconn.Accept) inbox {
	t.Helper()
	s, in := bind(t, n, mdpconn.Addr{Port: port})
	s.SetAccept(a)
	return in
}

func sendMode(t *testing.T, n *mdpconn.Node, mode mdpconn.Mode, to mdpconn.Addr, ttl uint8, data string) {
	t.Helper()
	d := mdpconn.Datagram{Local: mdpconn.Addr{Port: 2000}, Remote: to, Mode: mode, TTL: ttl, Data: []byte(data)}
	if _, err := n.Send([]mdpconn.Datagram{d}); err != nil {
		t.Fatal(err)
	}
}

// TestReadable: signed and plain datagrams reach sockets that accept them, next
// door and some hops away, and no others.
func TestReadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := announcedLine(t, 4)
		for _, n := range m.nodes[1:] {
			if n == m.nodes[2] {
				continue
			}
			all, none := accepting(t, n, 1000, acceptAll), accepting(t, n, 1001, 0)
			signed, single := accepting(t, n, 1002, mdpconn.AcceptSigned|mdpconn.AcceptBroadcasts), accepting(t, n, 1003, acceptAll&^mdpconn.AcceptBroadcasts)
			for _, mode := range []mdpconn.Mode{mdpconn.Signed, mdpconn.Plain} {
				for _, sid := range []mdpconn.SID{n.Primary(), mdpconn.All} {
					for port := mdpconn.Port(1000); port < 1004; port++ {
						to := mdpconn.Addr{SID: sid, Port: port}
						for range 2 { // the first may only bring the key, or the way
							sendMode(t, m.nodes[0], mode, to, 0, strings.Repeat("x", 1036))
							time.Sleep(time.Second)
						}
					}
					got := 0
					for len(all) > 0 {
						got++
						d := <-all
						if d.Mode != mode || d.Broadcast != (sid == mdpconn.All) || len(d.Data) != 1036 ||
							d.Local != (mdpconn.Addr{SID: n.Primary(), Port: 1000}) || d.Remote != (mdpconn.Addr{SID: m.nodes[0].Primary(), Port: 2000}) {
							t.Errorf("%v to %v: got %+v", mode, sid, d)
						}
						d.Release()
					}
					if got < 1 || got > 2 {
						t.Errorf("%v to %v: %d datagrams, want 1 or 2", mode, sid, got)
					}
					if mode == mdpconn.Signed == (len(signed) == 0) || sid == mdpconn.All == (len(single) > 0) {
						t.Errorf("%v to %v: signed %d, single %d", mode, sid, len(signed), len(single))
					}
					for _, in := range []inbox{signed, single} {
						for len(in) > 0 {
							<-in
						}
					}
					if len(none) > 0 {
						t.Errorf("%v to %v reached an ordinary socket", mode, sid)
					}
				}
			}
		}
	})
}

// TestBroadcastOneHop: with a TTL of 1 a broadcast stays next door; its sender's
// own sockets get it too.
func TestBroadcastOneHop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := announcedLine(t, 3)
		var in [3]inbox
		for i, n := range m.nodes {
			in[i] = accepting(t, n, 1000, acceptAll)
		}
		sendMode(t, m.nodes[0], mdpconn.Plain, mdpconn.Addr{SID: mdpconn.All, Port: 1000}, 1, "near")
		time.Sleep(time.Second)
		in[0].want(t, "the sender's own", "near")
		in[1].want(t, "next door", "near")
		in[2].want(t, "two hops away")
		sendMode(t, m.nodes[0], mdpconn.Plain, mdpconn.Addr{SID: mdpconn.All, Port: 1000}, 2, "far")
		time.Sleep(time.Second)
		in[2].want(t, "two hops away, flooded", "far")
	})
}

// TestReadableAttacks: forged signatures, repeated floods and plain answers about
// keys are of no use.
func TestReadableAttacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		n, l := newNode(t, network, mdpconn.Config{})
		in := accepting(t, n, 1000, acceptAll)
		liar := newPuppet(t, network, network.Link(), identity(t), n.Primary())
		sid := overlay.SID(n.Primary())
		for _, p := range plainPayloads(t, n.Primary()) {
			if p.Flags&overlay.Signed != 0 {
				liar.say(l.LocalAddr(), p) // by a key that is not the liar's
			}
		}
		time.Sleep(time.Second)
		in.want(t, "a forged signature")
		if s := n.Stats().Dropped; s.SignKeyUnknown != 1 {
			t.Errorf("dropped %+v", s)
		}
		asked := 0
		for _, h := range liar.take() {
			if m, _ := h.payload.Flags.Mode(); m == overlay.ModeCiphered {
				asked++
			}
		}
		if asked == 0 {
			t.Error("nobody asked for the key")
		}

		// A key in a plain answer, though it holds, is not learnt.
		id := liar.id
		answer := keyOf(id)
		body, _ := overlay.AppendPorts(nil, overlay.Ports{Destination: 1, Source: 1})
		liar.say(l.LocalAddr(), overlay.Payload{
			Flags: overlay.OneHop, Destination: overlay.To(sid), Type: overlay.TypeData, Body: overlay.AppendKeyMap(body, &answer),
		})
		seed := bytes.Clone(signedBy(t, id, overlay.Ports{Destination: 1000, Source: 2000}, "true"))
		say := func(flags overlay.PayloadFlags) {
			liar.say(l.LocalAddr(), overlay.Payload{
				Flags: overlay.OneHop | overlay.Signed | flags, Destination: overlay.To(sid), Type: overlay.TypeData, Body: seed,
			})
			time.Sleep(200 * time.Millisecond)
		}
		say(0)
		in.want(t, "signed, with the key from a plain answer")

		// Enciphered it is, once it was asked for.
		liar.tellKey(l.LocalAddr(), n.Primary())
		time.Sleep(time.Second)
		say(0)
		in.want(t, "signed, with a proven key", "true")
		seed[len(seed)-1] ^= 1
		say(0)
		in.want(t, "a signature that fails")
		if c := n.Stats().Dropped.Crypto; c != 1 {
			t.Errorf("%d failed, want 1", c)
		}

		// A flood is heard once.
		plain, _ := overlay.AppendPorts(nil, overlay.Ports{Destination: 1000, Source: 2000})
		for range 3 {
			liar.say(l.LocalAddr(), overlay.Payload{
				Flags: overlay.ToBroadcast, BroadcastID: [8]byte{1}, TTL: 5, Type: overlay.TypeData, Body: append(plain, "flood"...),
			})
		}
		time.Sleep(time.Second)
		in.want(t, "a repeated flood", "flood")
	})
}

// keyOf makes the answer to a question for a sign key.
func keyOf(id *mdpconn.Identity) overlay.KeyMap {
	m := overlay.KeyMap{Response: true, SignKey: [32]byte(id.SignKey())}
	sid := id.SID()
	copy(m.Signature[:], id.Sign(sid[:]))
	return m
}

// tellKey tells a node the puppet's sign key, enciphered.
func (p *puppet) tellKey(at netip.AddrPort, to mdpconn.SID) {
	key, err := p.id.SharedKey(to)
	if err != nil {
		p.t.Error(err)
		return
	}
	answer := keyOf(p.id)
	p.say(at, sealed(p.t, key, to, overlay.Ports{Destination: 1, Source: 1}, string(overlay.AppendKeyMap(nil, &answer))))
}

// signedBy makes the body of a signed datagram.
func signedBy(t *testing.T, id *mdpconn.Identity, ports overlay.Ports, data string) []byte {
	t.Helper()
	plain, err := overlay.AppendPorts(nil, ports)
	if err != nil {
		t.Fatal(err)
	}
	plain = append(plain, data...)
	sum := sha512.Sum512(plain)
	return append(plain, id.Sign(sum[:])...)
}

// TestReadableRefused: what cannot be sent is told, through either door.
func TestReadableRefused(t *testing.T) {
	n, err := mdpconn.NewNode(mdpconn.Config{NoUDP: true})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	at := func(sid mdpconn.SID) mdpconn.Addr { return mdpconn.Addr{SID: sid, Port: 1000} }
	for want, d := range map[string]mdpconn.Datagram{
		"enciphered broadcast":              {Remote: at(mdpconn.All), Data: []byte("x")},
		"mode(3)":                           {Remote: at(n.Primary()), Mode: 3, Data: []byte("x")},
		"signed datagram of 1037 bytes":     {Remote: at(n.Primary()), Mode: mdpconn.Signed, Data: make([]byte, 1037)},
		"datagram without data":             {Remote: at(mdpconn.All), Mode: mdpconn.Plain},
		"datagram of 1061 bytes, expected ": {Remote: at(mdpconn.All), Mode: mdpconn.Plain, Data: make([]byte, 1061)},
	} {
		d.Local = mdpconn.Addr{Port: 2000}
		if _, err := n.Send([]mdpconn.Datagram{d}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestServaldReadable: the same modes through a daemon.
func TestServaldReadable(t *testing.T) {
	d := onServald(t, 1, 1)
	a, b := servaldNode(t, d[0], ""), servaldNode(t, d[1], "")
	sa, _ := bind(t, a, mdpconn.Addr{Port: 2000})
	all, none := accepting(t, b, 1000, acceptAll), accepting(t, b, 1001, 0)
	for _, mode := range []mdpconn.Mode{mdpconn.Signed, mdpconn.Plain} {
		for _, sid := range []mdpconn.SID{b.Primary(), mdpconn.All} {
			sendMode(t, a, mode, mdpconn.Addr{SID: sid, Port: 1001}, 0, "to an ordinary socket")
			sendMode(t, a, mode, mdpconn.Addr{SID: sid, Port: 1000}, 0, "x")
			got := take(t, mode.String(), all)
			if got.Mode != mode || got.Broadcast != (sid == mdpconn.All) || got.Remote != sa.LocalAddr() || got.Local.SID != b.Primary() {
				t.Errorf("%v to %v: got %+v", mode, sid, got)
			}
			got.Release()
		}
	}
	if len(none) > 0 {
		t.Error("an ordinary socket got something")
	}
	_, err := a.Send([]mdpconn.Datagram{{Local: sa.LocalAddr(), Remote: mdpconn.Addr{SID: mdpconn.All, Port: 1000}, Data: []byte("x")}})
	if err == nil || !strings.Contains(err.Error(), "enciphered broadcast") {
		t.Errorf("%v", err)
	}
}
