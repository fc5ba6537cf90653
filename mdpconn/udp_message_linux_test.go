package mdpconn

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sockets opens UDP sockets at an address.
func sockets(t *testing.T, address string, n int) []*udpLink {
	t.Helper()
	links := make([]*udpLink, n)
	for i := range links {
		l, err := listenUDP(netip.MustParseAddrPort(address))
		if err != nil {
			t.Skipf("this host cannot bind %s: %v", address, err)
		}
		t.Cleanup(func() { l.Close() })
		links[i] = l
	}
	return links
}

// read reads packets until there are so many.
func read(t *testing.T, l *udpLink, want int) (got []Packet) {
	t.Helper()
	for len(got) < want {
		ps := make([]Packet, readPackets)
		for i := range ps {
			ps[i].Data = make([]byte, bufferSize)
		}
		k, err := l.ReadPackets(ps)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ps[:k]...)
	}
	return got
}

// TestReadSeveral: packets of many senders are read, each with whence it came,
// empty ones too.
func TestReadSeveral(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			const several = readMessages + 9
			links := sockets(t, address, several+1)
			to, senders := links[several], links[:several]
			var want []Packet
			for i, l := range senders {
				data := bytes.Repeat([]byte{byte(i)}, 40*i) // the first is empty
				want = append(want, Packet{Addr: l.local, Data: data})
				if _, err := l.WritePackets([]Packet{{Addr: to.local, Data: data}}); err != nil {
					t.Fatal(err)
				}
			}
			for i, got := range read(t, to, several) {
				if got.Addr != want[i].Addr || !bytes.Equal(got.Data, want[i].Data) {
					t.Errorf("packet %d: %d bytes of %v, want %d of %v", i, len(got.Data), got.Addr, len(want[i].Data), want[i].Addr)
				}
			}
		})
	}
}

// A readConn is a socket from which can be read at once.
type readConn struct{ syscall.RawConn }

func (readConn) Read(f func(uintptr) bool) error {
	if !f(0) {
		return errors.New("it waits")
	}
	return nil
}

// TestReadApart: what one call gave is taken apart, and the kernel is called again
// only when all of it was handed on.
func TestReadApart(t *testing.T) {
	r := newMessageReader(readConn{}, new(zones))
	for r.room < 5 {
		r.grow()
	}
	calls := 0
	r.call = func(uintptr) bool {
		calls++
		for i, message := range []struct{ bytes, size int }{{100, 0}, {0, 0}, {250, 100}, {300, 100}, {65000, 1300}} {
			m := &r.messages[i]
			if m.Namelen < unix.SizeofSockaddrInet6 || int(m.Controllen) < unix.CmsgSpace(4) {
				t.Errorf("call %d, message %d: room of %d bytes for the address, %d for control", calls, i, m.Namelen, m.Controllen)
			}
			m.Namelen = putMessageAddr(&r.addrs[i], netip.AddrPortFrom(netip.IPv6Loopback(), uint16(i)), r.zones)
			m.bytes = uint32(message.bytes)
			m.SetControllen(0)
			if message.size > 0 {
				h := (*unix.Cmsghdr)(unsafe.Pointer(&r.controls[i]))
				h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_GRO
				h.SetLen(unix.CmsgLen(4))
				binary.NativeEndian.PutUint32(r.controls[i][unix.CmsgLen(0):], uint32(message.size))
				m.SetControllen(unix.CmsgSpace(4))
			}
		}
		r.n = 5
		return true
	}
	want := slices.Concat([]int{100, 0, 100, 100, 50, 100, 100, 100}, slices.Repeat([]int{1300}, 50))
	ports := slices.Concat([]uint16{0, 1, 2, 2, 2, 3, 3, 3}, slices.Repeat([]uint16{4}, 50))
	for range 2 {
		for done := 0; done < len(want); {
			ps := make([]Packet, 7)
			for i := range ps {
				ps[i].Data = make([]byte, bufferSize)
			}
			k, err := r.readPackets(ps)
			if err != nil || k != min(7, len(want)-done) {
				t.Fatalf("after %d packets: %d, %v", done, k, err)
			}
			for _, p := range ps[:k] {
				if len(p.Data) != want[done] || p.Addr.Port() != ports[done] {
					t.Errorf("packet %d: %d bytes of port %d, want %d of %d", done, len(p.Data), p.Addr.Port(), want[done], ports[done])
				}
				done++
			}
		}
	}
	if calls != 2 {
		t.Errorf("%d calls, want 2", calls)
	}
}

// TestReadGrows: there is room for few messages until as many came at once, and never
// for more than are read with one call.
func TestReadGrows(t *testing.T) {
	r := newMessageReader(readConn{}, new(zones))
	come := 0
	r.call = func(uintptr) bool {
		for i := range come {
			r.messages[i].Namelen = putMessageAddr(&r.addrs[i], netip.AddrPortFrom(netip.IPv6Loopback(), 1), r.zones)
			r.messages[i].bytes = 1
			r.messages[i].SetControllen(0)
		}
		r.n = come
		return true
	}
	ps := make([]Packet, readMessages)
	for i, step := range []struct{ come, room int }{{1, 2}, {2, 2}, {1, 4}, {4, 4}, {8, 8}, {15, 16}, {16, 16}, {16, 16}, {1, 16}} {
		come = step.come
		for i := range ps {
			ps[i].Data = make([]byte, 1)
		}
		if k, err := r.readPackets(ps); k != step.come || err != nil {
			t.Fatalf("step %d: %d packets, %v, want %d", i, k, err, step.come)
		}
		if r.room != step.room {
			t.Errorf("step %d: room for %d messages, want %d", i, r.room, step.room)
		}
	}
}

// TestReadAlone: a packet that comes alone is not kept back for others.
func TestReadAlone(t *testing.T) {
	links := sockets(t, "127.0.0.1:0", 2)
	for i := range 3 {
		if _, err := links[0].WritePackets([]Packet{{Addr: links[1].local, Data: []byte{byte(i)}}}); err != nil {
			t.Fatal(err)
		}
		if got := read(t, links[1], 1); len(got) != 1 || got[0].Data[0] != byte(i) {
			t.Errorf("packet %d: got %d", i, len(got))
		}
	}
}

// TestWriteSeveral: packets of many sizes to many addresses each get to theirs, in
// order.
func TestWriteSeveral(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			links := sockets(t, address, 6)
			from, receivers := links[5], links[:5]
			want := make([][]Packet, len(receivers))
			var all []Packet
			for i := range 150 {
				to := i / 4 % len(receivers) // four in a row may go as one
				data := bytes.Repeat([]byte{byte(i)}, 300+i/12%3*100)
				all = append(all, Packet{Addr: receivers[to].local, Data: data})
				want[to] = append(want[to], Packet{Addr: from.local, Data: data})
			}
			if k, err := from.WritePackets(all); k != len(all) || err != nil {
				t.Fatalf("%d written, %v", k, err)
			}
			for i, l := range receivers {
				got := read(t, l, len(want[i]))
				if !slices.EqualFunc(got, want[i], func(a, b Packet) bool { return a.Addr == b.Addr && bytes.Equal(a.Data, b.Data) }) {
					t.Errorf("receiver %d got others", i)
				}
			}
		})
	}
}

// TestWriteLargest: packets too large to be joined even with themselves go alone.
// The run of them was of none.
func TestWriteLargest(t *testing.T) {
	links := sockets(t, "127.0.0.1:0", 2)
	data := make([]byte, 65507)
	if k, err := links[0].WritePackets([]Packet{{Addr: links[1].local, Data: data}, {Addr: links[1].local, Data: data}}); k != 2 || err != nil {
		t.Fatalf("%d written, %v", k, err)
	}
	for range 2 {
		ps := []Packet{{Data: make([]byte, largeSize)}}
		if _, err := links[1].ReadPackets(ps); err != nil || len(ps[0].Data) != len(data) {
			t.Errorf("%d bytes arrive, %v", len(ps[0].Data), err)
		}
	}
}

// TestWriteStops: an error stops the writing where it belongs, whether what came
// before went with the same call or not.
func TestWriteStops(t *testing.T) {
	links := sockets(t, "127.0.0.1:0", 2)
	from, to := links[0], links[1]
	good, far := Packet{Addr: to.local, Data: make([]byte, 100)}, Packet{Addr: netip.MustParseAddrPort("[2001:db8::1]:9"), Data: make([]byte, 100)}
	for _, ps := range [][]Packet{{far, good}, {good, far}, {good, good, good, far, good}, slices.Concat(slices.Repeat([]Packet{good}, 100), []Packet{far})} {
		want := slices.IndexFunc(ps, func(p Packet) bool { return p.Addr == far.Addr })
		k, err := from.WritePackets(ps)
		if k != want || err == nil {
			t.Errorf("%d written, %v; want %d and an error", k, err, want)
		}
		if want > 0 {
			read(t, to, want)
		}
	}
	from.Close()
	if k, err := from.WritePackets([]Packet{good, good}); k != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("%d written to a closed socket, %v", k, err)
	}
	if k, err := from.ReadPackets(make([]Packet, 1)); k != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("%d read from a closed socket, %v", k, err)
	}
}

// TestUDPAllocates: nothing, however many packets are written and read.
func TestUDPAllocates(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		links := sockets(t, address, 3)
		from := links[0]
		var out []Packet
		for i := range 30 {
			out = append(out, Packet{Addr: links[1+i/5%2].local, Data: make([]byte, 300)})
		}
		in := make([]Packet, readPackets)
		for i := range in {
			in[i].Data = make([]byte, bufferSize)
		}
		var failed error
		allocs := testing.AllocsPerRun(100, func() {
			if _, err := from.WritePackets(out); err != nil {
				failed = err
			}
			for _, l := range links[1:] {
				for got := 0; got < len(out)/2 && failed == nil; {
					k, err := l.ReadPackets(in)
					if err != nil {
						failed = err
					}
					got += k
				}
			}
		})
		if allocs != 0 || failed != nil {
			t.Errorf("%s: %v allocations for %d packets, %v", address, allocs, len(out), failed)
		}
	}
}

// TestZones: interfaces by name and by number, and those that are not there.
func TestZones(t *testing.T) {
	var z zones
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skip("not run: ", err)
	}
	if id, name := z.id("lo"), z.name(uint32(lo.Index)); id != uint32(lo.Index) || name != "lo" {
		t.Errorf("lo is %d, %d is %q", id, lo.Index, name)
	}
	if z.id("") != 0 || z.id("77777") != 77777 || z.id("no such") != 0 || z.name(77777) != "77777" {
		t.Errorf("%d, %d, %d, %q", z.id(""), z.id("77777"), z.id("no such"), z.name(77777))
	}
	// As the kernel has an address, and back.
	var a messageAddr
	for _, s := range []string{"[fe80::1%lo]:4110", "[2001:db8::1]:1", "192.0.2.1:65535"} {
		addr := netip.MustParseAddrPort(s)
		putMessageAddr(&a, addr, &z)
		if got := parseMessageAddr(&a, &z); got != addr {
			t.Errorf("%v comes back as %v", addr, got)
		}
	}
}
