package mdpconn

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A writtenLink notes when packets are written to it.
type writtenLink struct {
	silentLink
	mu    sync.Mutex
	times []time.Time
}

func (l *writtenLink) WritePackets(ps []Packet) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range ps {
		l.times = append(l.times, time.Now())
	}
	return len(ps), nil
}

func (l *writtenLink) written() []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.times)
}

func (l *writtenLink) Close() error { return nil }

// What is given too fast waits for its window; what cannot be sent within a
// second, or has no room, is dropped and counted.
func TestPacedLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var count counters
		inner := new(writtenLink)
		l := newPacedLink(inner, (&Interface{Type: WiFi}).timing(), &count)
		defer l.Close()
		start := time.Now()
		ps := make([]Packet, 50)
		for i := range ps {
			ps[i] = Packet{Addr: netip.MustParseAddrPort("192.0.2.1:4110"), Data: []byte{byte(i)}}
		}
		if k, err := l.WritePackets(ps); k != 50 || err != nil {
			t.Fatal(k, err)
		}
		time.Sleep(time.Second)
		for i, at := range inner.written() {
			if got, want := at.Sub(start), time.Duration(i/7)*5600*time.Microsecond; got != want {
				t.Errorf("packet %d left after %v, want %v", i, got, want)
			}
		}
		if len(inner.written()) != 50 {
			t.Errorf("%d packets left, want 50", len(inner.written()))
		}
		for range 3 {
			l.WritePackets(ps)
		}
		if k := l.waiting(); k != queueLen {
			t.Errorf("%d packets wait, want %d", k, queueLen)
		}
		time.Sleep(time.Second)
		if n := count.dropped.linkFull.Load(); n != 150-7-queueLen {
			t.Errorf("%d packets found no room, want %d", n, 150-7-queueLen)
		}
	})
}

func TestPacedLinkLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var count counters
		inner := new(writtenLink)
		l := newPacedLink(inner, timing{tick: time.Second, interval: 300 * time.Millisecond}, &count)
		defer l.Close()
		l.WritePackets(make([]Packet, 10))
		time.Sleep(5 * time.Second)
		if len(inner.written()) != 4 {
			t.Errorf("%d packets left, want the 4 of the first second", len(inner.written()))
		}
		if n := count.dropped.linkLate.Load(); n != 6 {
			t.Errorf("%d packets were too late, want 6", n)
		}
	})
}

// A probe leaves at once, by what the paced link has for probes.
func TestPacedLinkProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := new(probedLink)
		l := newPacedLink(inner, (&Interface{Type: WiFi}).timing(), new(counters))
		defer l.Close()
		at := netip.MustParseAddrPort("192.0.2.1:4110")
		l.WritePackets(slices.Repeat([]Packet{{Addr: at, Data: []byte{1}}}, 50))
		n := nodeLink{link: l}
		if err := n.writeProbe(Packet{Addr: at, Data: []byte{2}}); err != errTooLarge || inner.probes != 1 {
			t.Errorf("%d probes, %v", inner.probes, err)
		}
		// On this host it is a packet like others.
		if err := n.writeProbe(Packet{Addr: netip.MustParseAddrPort("127.0.0.1:4110"), Data: []byte{2}}); err != nil || inner.probes != 1 {
			t.Errorf("%d probes, %v", inner.probes, err)
		}
	})
}

// A probedLink takes no probe.
type probedLink struct {
	writtenLink
	probes int
}

func (l *probedLink) WriteProbe(Packet) error {
	l.probes++
	return errTooLarge
}
