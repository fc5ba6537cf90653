package conformance

import (
	"crypto/ed25519"
	"crypto/rand"
	"testing"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
)

// TestAttackedStream: a stream goes on, whole and to the same addresses, while
// somebody who sees every packet reflects it, replays it from an address of his
// own, forges announcements of both ends there, and floods both with packets of
// SIDs that nobody knows. He gets no data, unless what he sends is faster than
// the link, so that the true packets come late and look like the replay.
func TestAttackedStream(t *testing.T) {
	t.Run("behind the true packets", func(t *testing.T) { attackedStream(t, false) })
	t.Run("before the true packets", func(t *testing.T) { attackedStream(t, true) })
}

func attackedStream(t *testing.T, ahead bool) {
	bubble(t, func(t *testing.T, w *world) {
		c, s := w.connect(t)
		pass(time.Second) // each end has proven where the other is
		eve := w.net.Link()
		eveAddr := eve.LocalAddr() // a tap must not ask
		packets := make(chan memnet.Event, 10_000)
		largest := 0 // of what was sent to Eve; in the tap's calls
		remove := w.net.Tap(func(e memnet.Event) {
			switch {
			case e.Injected:
			case e.To == eveAddr:
				largest = max(largest, len(e.Data))
			default:
				e.Data = append([]byte(nil), e.Data...)
				packets <- e
			}
		})
		over := make(chan struct{})
		attacked := async(func() error {
			for n := 0; ; n++ {
				select {
				case <-over:
					return nil
				case e := <-packets:
					if !ahead {
						time.Sleep(time.Until(e.Arrival) + time.Millisecond)
					}
					w.net.Inject(e.To, e.From, e.Data)                // reflected
					w.net.Inject(e.From, e.To, e.Data)                // repeated
					w.net.Inject(eve.LocalAddr(), e.To, e.Data)       // replayed
					w.net.Inject(eve.LocalAddr(), e.To, tick(e.Data)) // announced from elsewhere
					if n%10 == 0 {
						w.net.Inject(eve.LocalAddr(), e.To, tick(strangerPacket(t)))
						w.net.Inject(eve.LocalAddr(), e.To, overlayData(t, stranger(t), mdpconn.SID(w.server.Primary()), overlay.Signed, 4110, "\x04\xff\xff"))
					}
				}
			}
		})
		up, down := random(300_000), random(200_000)
		go trickle(t, c, up)
		go trickle(t, s, down)
		got := async(func() error { wantAll(t, "the server", s, up); return nil })
		wantAll(t, "the client", c, down)
		<-got
		close(over)
		<-attacked
		remove()
		if largest > 500 && !ahead {
			t.Errorf("the attacker was sent a packet of %d bytes: more than a challenge", largest)
		}
		for what, p := range map[string]mdpconn.Path{
			"client": w.client.Path(w.client.Primary(), w.server.Primary()),
			"server": w.server.Path(w.server.Primary(), w.client.Primary()),
		} {
			if p.Endpoint == eve.LocalAddr() {
				t.Errorf("the %s's endpoint is the attacker's", what)
			}
		}
		eve.Close()
	})
}

// TestPlainPacketsReachNobody: an opening, and a STOP for a live connection,
// that are plain or merely signed, to the SID or to all ([MSP-1.2]).
func TestPlainPacketsReachNobody(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		l := w.listen(t)
		c := w.dial(t)
		s := accept(t, l)
		pass(2 * roundTrip) // the opening is over
		id := stranger(t)
		for _, flags := range []overlay.PayloadFlags{0, overlay.Signed, overlay.ToBroadcast, overlay.ToBroadcast | overlay.Signed} {
			for _, body := range []string{"\x04\xff\xff", "\x04\xff\xff\x00\x00hello", "\x08"} {
				w.net.Inject(w.clientLink.LocalAddr(), w.serverLink.LocalAddr(), overlayData(t, id, w.server.Primary(), flags, port, body))
			}
		}
		received := s.Stats().PacketsReceived
		pass(100 * time.Millisecond)
		if n := w.stats().MSP.Accepted; n != 1 {
			t.Errorf("%d connections accepted, want 1", n)
		}
		if n := s.Stats().PacketsReceived; n != received {
			t.Errorf("%d packets reached the live connection", n-received)
		}
		if d := w.stats().MDP.Dropped.Plain; d == 0 {
			t.Error("no packet was dropped as plain: did they arrive?")
		}
		write(t, c, []byte("alive"))
		wantRead(t, "the live connection", s, []byte("alive"))
	})
}

// TestStopFishing: at ports that nobody bound only an opening is answered, and
// only so often; a node that is told to be silent says nothing ([MSP-10.3],
// [MSP-10.4]).
func TestStopFishing(t *testing.T) {
	fish := func(t *testing.T, w *world, body string, n int) (answers int) {
		t.Helper()
		sock, err := w.client.ListenPacket(mdpconn.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		defer sock.Close()
		counted := make(chan int, 1)
		go func() {
			k := 0
			listenTo(sock, func(from mdpconn.Addr, data []byte) {
				if k++; string(data) != "\x08" {
					t.Errorf("answered by %x", data)
				}
			})
			counted <- k
		}()
		for i := range n {
			if _, err := sock.WriteTo([]byte(body), mdpconn.Addr{SID: w.server.Primary(), Port: mdpconn.Port(5000 + i)}); err != nil {
				t.Fatal(err)
			}
		}
		pass(500 * time.Millisecond)
		sock.Close()
		return <-counted
	}
	bubble(t, func(t *testing.T, w *world) {
		w.listen(t) // on another port; MSP is at home here
		for what, body := range map[string]string{
			"STOP": "\x08", "ack": "\x02\x00\x00", "message": "\x00\xff\xff\x00\x00x", "flags": "\x04", "opening with ACK": "\x06\x00\x00",
			"opening with STOP": "\x0c\xff\xff", "opening that acknowledges": "\x04\x00\x00", "something else": "GET / HTTP/1.1\r\n\r\n",
		} {
			if n := fish(t, w, body, 10); n != 0 {
				t.Errorf("%s: %d answers, want none", what, n)
			}
		}
		pass(2 * time.Second)
		if n := fish(t, w, "\x04\xff\xff", 1); n != 1 {
			t.Errorf("opening: %d answers, want 1", n)
		}
		pass(2 * time.Second)
		if n := fish(t, w, "\x04\xff\xff", 200); n == 0 || n > 50 {
			t.Errorf("200 openings: %d answers, want some, and a limit", n)
		}
	})
}

// stranger makes an identity that nobody knows, of a seed that this file knows.
func stranger(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed)
	return ed25519.NewKeyFromSeed(seed)
}

func sidOf(t *testing.T, key ed25519.PrivateKey) overlay.SID {
	t.Helper()
	id, err := mdpconn.IdentityFromSeed(key.Seed())
	if err != nil {
		t.Fatal(err)
	}
	return overlay.SID(id.SID())
}

// overlayData makes a packet of key's with one datagram that is not enciphered,
// to a SID or, with ToBroadcast, to all.
func overlayData(t *testing.T, key ed25519.PrivateKey, to mdpconn.SID, flags overlay.PayloadFlags, port uint32, data string) []byte {
	t.Helper()
	body, err := overlay.AppendPorts(nil, overlay.Ports{Destination: port, Source: 9999})
	if err != nil {
		t.Fatal(err)
	}
	body = append(body, data...)
	if flags&overlay.Signed != 0 {
		if body, err = overlay.SignBody(nil, key, body); err != nil {
			t.Fatal(err)
		}
	}
	p := overlay.Payload{Flags: flags | overlay.SenderSame | overlay.OneHop, Type: overlay.TypeData, Body: body}
	if flags&overlay.ToBroadcast == 0 {
		p.Destination = overlay.To(overlay.SID(to))
	}
	var ctx overlay.Context
	b, err := overlay.AppendEnvelope(nil, &overlay.Envelope{Version: 1, Sender: overlay.To(sidOf(t, key))}, &ctx)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = overlay.AppendPayload(b, &p, &ctx); err != nil {
		t.Fatal(err)
	}
	return b
}

// strangerPacket is a packet of a stranger, without anything in it.
func strangerPacket(t *testing.T) []byte {
	t.Helper()
	var ctx overlay.Context
	b, err := overlay.AppendEnvelope(nil, &overlay.Envelope{Version: 0, Sender: overlay.To(sidOf(t, stranger(t)))}, &ctx)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tick makes an announcement of whoever sent a packet. It is nothing if the
// packet does not name its sender in full.
func tick(packet []byte) []byte {
	var ctx overlay.Context
	e, _, err := overlay.ParseEnvelope(packet, &ctx)
	if err != nil || !e.Sender.Resolved() {
		return nil
	}
	ctx = overlay.Context{}
	b, err := overlay.AppendEnvelope(nil, &overlay.Envelope{Sender: overlay.To(e.Sender.SID)}, &ctx)
	if err != nil {
		return nil
	}
	return b
}
