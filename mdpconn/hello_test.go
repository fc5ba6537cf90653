package mdpconn_test

import (
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
	"mesh.example/msp/mdpconn/session"
)

// A boxed is what a recorded packet has in a box of a pair.
type boxed struct {
	taped
	ports overlay.Ports
	data  string
}

// open opens the boxes in recorded packets, with the key of the pair.
func open(packets []taped, key *[32]byte) (got []boxed) {
	for _, p := range packets {
		var packet overlay.Packet
		if p.data[0] == byte(session.Compact) || packet.Parse(p.data, overlay.Context{Resolver: anySID{}}) != nil {
			continue
		}
		for pl := (overlay.Payload{}); packet.Next(&pl); {
			if pl.Flags&overlay.Ciphered == 0 {
				continue
			}
			plain, err := overlay.OpenBody(nil, key, pl.Body)
			if err != nil {
				continue
			}
			if ports, data, err := overlay.ParsePorts(plain); err == nil {
				got = append(got, boxed{p, ports, string(data)})
			}
		}
	}
	return got
}

// TestHelloOnTheWire: [MSX-9.1] a hello is an enciphered datagram like others, which who
// has no session keys does not answer; [MSX-9.2] it goes with the first datagram and
// eight times more, always the same, and again after ten minutes.
func TestHelloOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		id := identity(t)
		c := meet(t, network, mdpconn.Config{Identities: []*mdpconn.Identity{id}}, mdpconn.Config{NoSessions: true})
		key, err := id.SharedKey(c.b.Primary())
		if err != nil {
			t.Fatal(err)
		}
		tp := record(t, network)
		began := time.Now()
		hellos := func() (got []boxed) {
			t.Helper()
			for _, b := range open(tp.take(anywhere, anywhere), key) {
				if b.ports.Source != session.HelloPort && b.ports.Destination != session.HelloPort {
					continue
				}
				if b.from != c.la.LocalAddr() || b.ports.Source != b.ports.Destination || len(b.data) < 100 || len(b.data) > 1024 {
					t.Errorf("%d bytes from %v, %v", len(b.data), b.from, b.ports)
				}
				got = append(got, b)
			}
			return got
		}
		c.chat(t, 9*time.Minute)
		got := hellos()
		if len(got) != 17 {
			t.Fatalf("%d hellos, want one and sixteen repetitions", len(got))
		}
		at := time.Duration(0)
		for i, b := range got {
			// It waits for a datagram to go along with, of which there is one each 50 ms.
			if late := b.at.Sub(began) - at; late < 0 || late > 50*time.Millisecond {
				t.Errorf("hello %d after %v, want %v", i, b.at.Sub(began), at)
			}
			if b.data != got[0].data {
				t.Errorf("hello %d is another one", i)
			}
			at = b.at.Sub(began) + 100*time.Millisecond<<(i/2)
		}
		c.chat(t, 3*time.Minute)
		if again := hellos(); len(again) == 0 || again[0].data == got[0].data {
			t.Errorf("%d hellos after ten minutes, want a new one", len(again))
		} else if d := again[0].at.Sub(got[16].at); d < 10*time.Minute || d > 10*time.Minute+time.Second {
			t.Errorf("asked again after %v", d)
		}
	})
}
