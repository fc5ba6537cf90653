package memnet

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"mesh.example/msp/mdpconn"
)

// pair makes a network with two links, closed at the end of the test.
func pair(t testing.TB, c Config) (n *Network, a, b *Link) {
	t.Helper()
	c.Unguarded = true // the tests send anything
	n = New(c)
	t.Cleanup(func() { n.Close() })
	return n, n.Link(), n.Link()
}

// send sends one packet.
func send(t testing.TB, from *Link, to netip.AddrPort, data string) {
	t.Helper()
	k, err := from.WritePackets([]mdpconn.Packet{{Addr: to, Data: []byte(data)}})
	if k != 1 || err != nil {
		t.Fatalf("WritePackets to %v = %d, %v; want 1, nil", to, k, err)
	}
}

// sendMany sends count packets of the given size at once; their first bytes are
// their numbers in four digits.
func sendMany(t testing.TB, from, to *Link, count, size int) {
	t.Helper()
	for i := range count {
		b := make([]byte, max(size, 4))
		copy(b, fmt.Sprintf("%04d", i))
		send(t, from, to.LocalAddr(), string(b))
	}
}

// arrived gives what is at the link to be read now.
func arrived(t testing.TB, l *Link) []string {
	t.Helper()
	var all []string
	ps := make([]mdpconn.Packet, 16)
	for {
		for i := range ps {
			ps[i].Data = make([]byte, 0, 2048)
		}
		k, err := l.read(ps)
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		if k == 0 {
			return all
		}
		for _, p := range ps[:k] {
			all = append(all, string(p.Data))
		}
	}
}

// wantArrived fails unless exactly these packets are at the link.
func wantArrived(t testing.TB, why string, l *Link, want ...string) {
	t.Helper()
	got := arrived(t, l)
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Fatalf("%s: arrived at %v: %q, want %q", why, l, got, want)
	}
}

// arrival is one packet read, and when.
type arrival struct {
	number int
	at     time.Duration
}

// arrivalsOf sends count packets of the given size, one every gap, and gives
// their arrivals in the order of reading; times are since each packet's sending.
// To be used in a bubble.
func arrivalsOf(t *testing.T, from, to *Link, count, size int, gap time.Duration) []arrival {
	t.Helper()
	sent := make([]time.Time, count)
	var got []arrival
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		ps := []mdpconn.Packet{{Data: make([]byte, 0, 2048)}}
		for {
			if _, err := to.ReadPackets(ps); err != nil {
				return
			}
			var i int
			fmt.Sscanf(string(ps[0].Data[:4]), "%d", &i)
			got = append(got, arrival{i, time.Since(sent[i])})
		}
	}()
	for i := range count {
		b := make([]byte, max(size, 4))
		copy(b, fmt.Sprintf("%04d", i))
		sent[i] = time.Now()
		send(t, from, to.LocalAddr(), string(b))
		time.Sleep(gap)
	}
	time.Sleep(time.Hour) // everything under way has arrived
	to.Close()
	<-stopped
	return got
}

// wantBetween fails unless min <= got <= max.
func wantBetween[T int | uint64 | float64 | time.Duration](t testing.TB, what string, got, min, max T) {
	t.Helper()
	if got < min || got > max {
		t.Errorf("%s: %v, want %v … %v", what, got, min, max)
	}
}
