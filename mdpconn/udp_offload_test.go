package mdpconn

import (
	"bytes"
	"net/netip"
	"testing"
)

// TestRun: what goes as one is to one address, with one codepoint, of one size, save the last.
func TestRun(t *testing.T) {
	here, there := netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("127.0.0.1:2")
	packets := func(addr netip.AddrPort, sizes ...int) (ps []Packet) {
		for _, n := range sizes {
			ps = append(ps, Packet{Addr: addr, Data: make([]byte, n)})
		}
		return ps
	}
	same := func(k, n int) []int {
		sizes := make([]int, k)
		for i := range sizes {
			sizes[i] = n
		}
		return sizes
	}
	for _, c := range []struct {
		why      string
		ps       []Packet
		n, bytes int
	}{
		{"one", packets(here, 100), 1, 100},
		{"of one size", packets(here, 100, 100, 100), 3, 300},
		{"a smaller one is the last", packets(here, 100, 100, 60, 60), 3, 260},
		{"a larger one is not taken", packets(here, 100, 101), 1, 100},
		{"another address is not", append(packets(here, 100, 100), packets(there, 100)...), 2, 200},
		{"nor another codepoint", append(packets(here, 100, 100), Packet{Addr: here, Data: make([]byte, 100), ECN: ECT0}), 2, 200},
		{"an empty one is not", packets(here, 100, 0), 1, 100},
		{"nor are several", packets(here, 0, 0), 1, 0},
		{"a packet may be larger than what is joined", packets(here, 65507, 65507), 1, 65507},
		{"64 at the most", packets(here, same(100, 50)...), 64, 3200},
		{"no more bytes than a datagram has", packets(here, same(60, 1200)...), 54, 64800},
	} {
		if n, bytes := run(c.ps); n != c.n || bytes != c.bytes {
			t.Errorf("%s: %d packets of %d bytes, want %d of %d", c.why, n, bytes, c.n, c.bytes)
		}
	}
}

// offloadPair is two UDP sockets on the loopback device.
func offloadPair(t *testing.T) (from, to *udpLink) {
	t.Helper()
	for _, u := range []**udpLink{&from, &to} {
		l, err := listenUDP(netip.MustParseAddrPort("127.0.0.1:0"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		*u = l
	}
	return from, to
}

// exchange has packets of many sizes carried.
func exchange(t *testing.T, from, to *udpLink) {
	t.Helper()
	var sizes []int
	for i := range 100 {
		size := 700
		if i%9 == 0 {
			size = 1 + 11*i
		}
		sizes = append(sizes, size)
	}
	carry(t, from, to, sizes...)
}

// carry writes packets, reads them in portions, and compares.
func carry(t *testing.T, from, to *udpLink, sizes ...int) {
	t.Helper()
	var sent []Packet
	for i, size := range sizes {
		sent = append(sent, Packet{Addr: to.LocalAddr(), Data: bytes.Repeat([]byte{byte(i)}, size)})
	}
	if n, err := from.WritePackets(sent); n != len(sent) || err != nil {
		t.Fatalf("%d packets written, %v", n, err)
	}
	for got := 0; got < len(sent); {
		ps := make([]Packet, 7)
		for i := range ps {
			ps[i].Data = make([]byte, 0, 2048)
		}
		n, err := to.ReadPackets(ps)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range ps[:n] {
			if p.Addr != from.LocalAddr() || !bytes.Equal(p.Data, sent[got].Data) {
				t.Fatalf("packet %d: %d bytes of %v, want %d", got, len(p.Data), p.Addr, len(sent[got].Data))
			}
			got++
		}
	}
}

// singly has sockets write and read packets one by one.
func singly(ls ...*udpLink) {
	for _, l := range ls {
		l.raw, l.reader = nil, nil
	}
}

// TestOffload: packets that the system takes and gives several at a time are the
// ones that were written, with and without.
func TestOffload(t *testing.T) {
	t.Run("as the system has it", func(t *testing.T) {
		from, to := offloadPair(t)
		exchange(t, from, to)
	})
	t.Run("no segmentation", func(t *testing.T) {
		from, to := offloadPair(t)
		from.offload.sends.Store(false)
		exchange(t, from, to)
	})
	t.Run("one by one", func(t *testing.T) {
		from, to := offloadPair(t)
		singly(from, to)
		exchange(t, from, to)
	})
}
