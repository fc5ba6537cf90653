package mdpconn_test

import (
	"encoding/hex"
	"testing"
	"testing/synctest"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
)

// A stock is a neighbour that does what stock does and our nodes do not:
// abbreviated SIDs, repeated nonces, SINGLE packets, answers that come by
// broadcast as well (docs/overlay.md §2.3, §4, §6.3).
type stock struct {
	t       *testing.T
	network *memnet.Network
	link    *memnet.Link
	id      *mdpconn.Identity
	nonce   [24]byte
	seq     byte // of the next payload
	full    bool // it does not abbreviate its SID
}

func newStock(t *testing.T, network *memnet.Network) *stock {
	s := &stock{t: t, network: network, link: network.Link(), id: identity(t)}
	t.Cleanup(func() { s.link.Close() })
	return s
}

// abbreviated gives a SID as its first n bytes.
func abbreviated(sid mdpconn.SID, n int) overlay.Address {
	a := overlay.To(overlay.SID(sid))
	a.Code = overlay.Code(n)
	return a
}

// send sends an enciphered datagram, by unicast and by broadcast, with the same
// nonce as ever.
func (s *stock) send(to mdpconn.SID, link *memnet.Link, ports overlay.Ports, data string) {
	s.t.Helper()
	key, err := s.id.SharedKey(to)
	if err != nil {
		s.t.Fatal(err)
	}
	plain, _ := overlay.AppendPorts(nil, ports)
	body, err := overlay.SealBody(nil, key, &s.nonce, append(plain, data...))
	if err != nil {
		s.t.Fatal(err)
	}
	sender := abbreviated(s.id.SID(), 2)
	if s.full {
		sender.Code = overlay.CodeSID
	}
	s.seq++
	for _, flags := range []overlay.PacketFlags{overlay.PacketUnicast, 0} {
		var ctx overlay.Context
		b, err := overlay.AppendEnvelope(nil, &overlay.Envelope{
			Version: 1, Encapsulation: overlay.Single, Sender: sender, Flags: flags,
		}, &ctx)
		if err == nil {
			b, err = overlay.AppendPayload(b, &overlay.Payload{
				Flags:       overlay.OneHop | overlay.Ciphered | overlay.Signed | overlay.AckSoon,
				Destination: abbreviated(to, 2), Type: overlay.TypeData, Seq: s.seq, Body: body,
			}, &ctx)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		s.network.Inject(s.link.LocalAddr(), link.LocalAddr(), b)
	}
}

// read gives the payloads of the next packet that was sent to it, opened if they
// are enciphered.
func (s *stock) read() (pls []overlay.Payload, plain []string, ports []overlay.Ports) {
	s.t.Helper()
	ps := []mdpconn.Packet{{Data: make([]byte, 2000)}}
	done := make(chan error, 1)
	go func() {
		_, err := s.link.ReadPackets(ps)
		done <- err
	}()
	synctest.Wait()
	select {
	case err := <-done:
		if err != nil {
			s.t.Fatal(err)
		}
	default:
		s.link.Close()
		<-done
		s.t.Fatal("no packet for the stock node")
	}
	var sender mdpconn.SID
	sender, pls = payloads(s.t, ps[0].Data)
	for _, pl := range pls {
		if mode, _ := pl.Flags.Mode(); mode != overlay.ModeCiphered {
			continue
		}
		key, _ := s.id.SharedKey(sender)
		b, err := overlay.OpenBody(nil, key, pl.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		p, data, err := overlay.ParsePorts(b)
		if err != nil {
			s.t.Fatal(err)
		}
		plain, ports = append(plain, string(data)), append(ports, p)
	}
	return pls, plain, ports
}

func TestStockSpeaksFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		n, l := newNode(t, network, mdpconn.Config{})
		s, in := bind(t, n, mdpconn.Addr{Port: 80})
		peer := newStock(t, network)
		sid := n.Primary()

		// A node that does not announce itself is not to be found by guesses.
		peer.send(sid, l, overlay.Ports{Destination: 80, Source: 300}, "hello")
		in.want(t, "stranger with an abbreviated SID")
		if got := n.Stats(); got.Dropped.UnknownSender != 2 || got.Sent.Packets != 0 {
			t.Fatalf("a packet from an unknown abbreviation: %+v", got)
		}

		defer n.Announce()()
		if pls, _, _ := peer.read(); len(pls) != 0 {
			t.Fatalf("the first packet has %d payloads, want a tick", len(pls))
		}
		peer.send(sid, l, overlay.Ports{Destination: 80, Source: 300}, "hello")
		in.want(t, "stranger with an abbreviated SID")
		peerSID := peer.id.SID()
		for range 2 { // once for each of the two packets
			pls, _, _ := peer.read()
			want := "02" + hex.EncodeToString(peerSID[:2])
			if len(pls) != 1 || pls[0].Type != overlay.TypeExplain || hex.EncodeToString(pls[0].Body) != want {
				t.Fatalf("got %v, want a please-explain with body %s", pls, want)
			}
		}
		// The answer is an empty one; only the full SID in the envelope counts.
		network.Inject(peer.link.LocalAddr(), l.LocalAddr(), packet(t, peerSID, overlay.Payload{
			Flags: overlay.OneHop, Type: overlay.TypeExplain, Destination: overlay.To(overlay.SID(sid)),
		}))
		peer.send(sid, l, overlay.Ports{Destination: 80, Source: 300}, "hello")
		in.want(t, "stranger with a known SID", "hello", "hello")

		// The node has the new neighbour prove its address, which the peer's echo
		// service does; what is sent meanwhile goes there as well.
		pls, plain, ports := peer.read()
		if len(plain) != 1 || ports[0].Destination != 7 {
			t.Fatalf("got %v with %q, want a challenge", pls, plain)
		}
		send(t, n, s.LocalAddr(), mdpconn.Addr{SID: peerSID, Port: 300}, "welcome")
		if pls, welcome, to := peer.read(); len(welcome) != 1 || welcome[0] != "welcome" || to[0] != (overlay.Ports{Destination: 300, Source: 80}) {
			t.Fatalf("got %v with %q", pls, welcome)
		}
		if n.Path(mdpconn.Primary, peerSID).Endpoint.IsValid() {
			t.Fatal("an address that nothing proves is the endpoint")
		}
		peer.send(sid, l, overlay.Ports{Destination: ports[0].Source, Source: 7}, plain[0])
		synctest.Wait()
		if p := n.Path(mdpconn.Primary, peerSID); p.Endpoint != peer.link.LocalAddr() {
			t.Fatalf("the endpoint is not proven: %+v", p)
		}
		// Repeated nonces are never refused; repeated payloads of a neighbour are.
		for range 3 {
			peer.send(sid, l, overlay.Ports{Destination: 80, Source: 300}, "again")
			in.want(t, "repeated nonce", "again")
		}
	})
}

// The samples of the key map and echo services, from a peer like stock.
func TestServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		id := identity(t)
		n, l := newNode(t, network, mdpconn.Config{Identities: []*mdpconn.Identity{id}})
		peer := newStock(t, network)
		sid := n.Primary()
		peer.full = true

		ask := func(port uint32, data string) {
			peer.send(sid, l, overlay.Ports{Destination: port, Source: 999}, data)
		}
		ask(overlay.PortEcho, "marco")
		for range 2 {
			if _, plain, ports := peer.read(); len(plain) != 1 || plain[0] != "marco" || ports[0] != (overlay.Ports{Destination: 999, Source: 7}) {
				t.Fatalf("echo gave %q at %v", plain, ports)
			}
		}
		ask(overlay.PortKeyMap, "\x02")
		for range 2 {
			_, plain, ports := peer.read()
			if len(plain) != 1 || ports[0] != (overlay.Ports{Destination: 999, Source: 1}) {
				t.Fatalf("key map gave %q at %v", plain, ports)
			}
			m, err := overlay.ParseKeyMap([]byte(plain[0]))
			if err != nil || !m.Verify(overlay.SID(sid)) || string(m.SignKey[:]) != string(id.SignKey()) {
				t.Fatalf("key map gave %v, %v", m, err)
			}
		}
		before := n.Stats().Sent.Packets
		key, _ := peer.id.SharedKey(sid)
		for _, quiet := range []overlay.Payload{
			sealed(t, key, sid, overlay.Ports{Destination: 7, Source: 7}, "a loop"),
			sealed(t, key, sid, overlay.Ports{Destination: 7, Source: 1}, string(make([]byte, mdpconn.MaxData+1))),
			sealed(t, key, sid, overlay.Ports{Destination: 1, Source: 1}, "\xf0"),
			sealed(t, key, sid, overlay.Ports{Destination: 2, Source: 2}, "\x00"),
			emptied(t, key, sid, overlay.Ports{Destination: 7, Source: 1}),
			emptied(t, key, sid, overlay.Ports{Destination: 80, Source: 1}),
			{Flags: overlay.OneHop, Destination: overlay.To(overlay.SID(sid)), Type: overlay.TypeData, Body: []byte("\x03\x02")}, // a plain request for the key
		} {
			network.Inject(peer.link.LocalAddr(), l.LocalAddr(), rawPacket(peer.id.SID(), quiet))
		}
		synctest.Wait()
		got := n.Stats()
		if got.Sent.Echoes != 2 || got.Sent.KeyMaps != 2 || got.Sent.Packets > before {
			t.Errorf("something was answered: %+v", got.Sent)
		}
		if d := got.Dropped; d.Empty != 2 || d.TooLong != 1 || d.Plain != 1 || d.Ignored != 3 || d.Malformed != 0 {
			t.Errorf("dropped: %+v", d)
		}
	})
}
