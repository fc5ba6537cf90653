package mdpconn

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// ecnPair is two UDP sockets at an address of which the kernel takes and tells
// codepoints.
func ecnPair(t *testing.T, address string) (from, to *udpLink) {
	t.Helper()
	links := sockets(t, address, 2)
	if !links[0].ECN() || !links[1].ECN() {
		t.Fatal("this kernel has no codepoints: Linux was expected to have them")
	}
	return links[0], links[1]
}

// TestECN: each packet arrives with the codepoint with which it was written, alone
// and among others, whether or not the kernel joins those that have the same.
func TestECN(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		for _, join := range []bool{true, false} {
			from, to := ecnPair(t, address)
			if !join {
				from.offload.sends.Store(false)
			}
			codes := slices.Concat([]ECN{CE}, slices.Repeat([]ECN{ECT0}, 20), slices.Repeat([]ECN{NotECT}, 20), []ECN{ECT0, CE, ECT1, NotECT, ECT0, CE, CE})
			var all []Packet
			for i, ecn := range codes {
				all = append(all, Packet{Addr: to.local, Data: bytes.Repeat([]byte{byte(i)}, 500), ECN: ecn})
			}
			write := func(ps []Packet) {
				if k, err := from.WritePackets(ps); k != len(ps) || err != nil {
					t.Fatalf("%d written, %v", k, err)
				}
			}
			write(all)
			for i := range all[:4] {
				write(all[i : i+1])
			}
			all = append(all, all[:4]...)
			for i, got := range read(t, to, len(all)) {
				if got.ECN != all[i].ECN || !bytes.Equal(got.Data, all[i].Data) {
					t.Errorf("%s, joined %v: packet %d is %v with %d bytes, want %v", address, join, i, got.ECN, len(got.Data), all[i].ECN)
				}
			}
			if !from.ecn.worked.Load() {
				t.Error("that it worked was not noted")
			}
		}
	}
}

// TestECNReadBack: what leaves with a codepoint is seen by a socket that is not ours.
func TestECNReadBack(t *testing.T) {
	other, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	c, err := other.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVTOS, 1) })
	if err != nil {
		t.Fatal(err)
	}
	from, _ := ecnPair(t, "127.0.0.1:0")
	addr := other.LocalAddr().(*net.UDPAddr).AddrPort()
	for _, ecn := range []ECN{ECT0, NotECT, CE} {
		if _, err := from.WritePackets([]Packet{{Addr: addr, Data: []byte("x"), ECN: ecn}}); err != nil {
			t.Fatal(err)
		}
		oob := make([]byte, 100)
		_, n, _, _, err := other.ReadMsgUDPAddrPort(make([]byte, 10), oob)
		if err != nil {
			t.Fatal(err)
		}
		ms, err := unix.ParseSocketControlMessage(oob[:n])
		if err != nil || len(ms) != 1 || ms[0].Header.Type != unix.IP_TOS || ms[0].Data[0] != byte(ecn) {
			t.Errorf("%v: it reads %+v, %v", ecn, ms, err)
		}
	}
}

// A refusingConn is a socket whose kernel refuses what is written with a codepoint,
// or all that is written.
type refusingConn struct {
	syscall.RawConn
	link    *udpLink
	err     syscall.Errno
	all     bool
	refused int
}

func (c *refusingConn) Write(f func(uintptr) bool) error {
	if c.all || c.link.ecn.sends.Load() {
		c.refused++
		return os.NewSyscallError("sendmsg", c.err)
	}
	return c.RawConn.Write(f)
}

// TestECNRefused: a kernel that refuses codepoints gets the same packets without at
// once, and is asked for none any more.
func TestECNRefused(t *testing.T) {
	for _, packets := range []int{1, 20} {
		from, to := ecnPair(t, "127.0.0.1:0")
		raw := &refusingConn{RawConn: from.raw, link: from, err: unix.EINVAL}
		from.raw = raw
		for range 2 {
			var all []Packet
			for i := range packets {
				all = append(all, Packet{Addr: to.local, Data: bytes.Repeat([]byte{byte(i)}, 300), ECN: ECT0})
			}
			if k, err := from.WritePackets(all); k != packets || err != nil {
				t.Fatalf("%d written, %v", k, err)
			}
			for i, got := range read(t, to, packets) {
				if got.ECN != NotECT || !bytes.Equal(got.Data, all[i].Data) {
					t.Errorf("packet %d of %d: %v, %d bytes", i, packets, got.ECN, len(got.Data))
				}
			}
		}
		if from.ECN() || !from.offload.sends.Load() || raw.refused != 1 {
			t.Errorf("codepoints are on: %v, segmentation is: %v, %d refused", from.ECN(), from.offload.sends.Load(), raw.refused)
		}
	}
}

// TestECNAndFirewall: that a firewall refuses the first packets to somebody is no
// reason to send others without codepoints.
func TestECNAndFirewall(t *testing.T) {
	for _, packets := range []int{1, 20} {
		from, to := ecnPair(t, "127.0.0.1:0")
		raw := from.raw
		from.raw = &refusingConn{RawConn: raw, link: from, err: unix.EPERM, all: true}
		var all []Packet
		for i := range packets {
			all = append(all, Packet{Addr: to.local, Data: bytes.Repeat([]byte{byte(i)}, 300), ECN: ECT0})
		}
		if k, err := from.WritePackets(all); k != 0 || !errors.Is(err, unix.EPERM) {
			t.Fatalf("%d of %d written, %v; want none, %v", k, packets, err, unix.EPERM)
		}
		from.raw = raw
		if k, err := from.WritePackets(all); k != packets || err != nil {
			t.Fatalf("%d of %d written, %v", k, packets, err)
		}
		for i, got := range read(t, to, packets) {
			if got.ECN != ECT0 {
				t.Errorf("packet %d of %d: %v, want %v", i, packets, got.ECN, ECT0)
			}
		}
	}
}

// TestECNStays: other errors, and any once codepoints have passed, are no reason to
// give them up.
func TestECNStays(t *testing.T) {
	for _, c := range []struct {
		err    syscall.Errno
		worked bool
		ends   bool
	}{
		{unix.EINVAL, false, true},
		{unix.EPERM, false, true},
		{unix.EOPNOTSUPP, false, true},
		{unix.EINVAL, true, false},
		{unix.EPERM, true, false},
		{unix.ENETUNREACH, false, false},
		{unix.EMSGSIZE, false, false},
		{unix.ENOBUFS, false, false},
	} {
		from, to := ecnPair(t, "127.0.0.1:0")
		from.raw = &refusingConn{RawConn: from.raw, link: from, err: c.err}
		from.ecn.worked.Store(c.worked)
		k, err := from.WritePackets([]Packet{{Addr: to.local, Data: []byte("x"), ECN: ECT0}})
		if from.ECN() == c.ends || c.ends != (err == nil) || !c.ends && !errors.Is(err, c.err) {
			t.Errorf("%v, after others passed: %v: %d written, %v; codepoints are on: %v", c.err, c.worked, k, err, from.ECN())
		}
	}
}

// TestECNNotTold: a socket of which the kernel does not tell codepoints, or that has
// no call for several packets, has none.
func TestECNNotTold(t *testing.T) {
	from, to := ecnPair(t, "127.0.0.1:0")
	to.ecn.reads = false
	if to.ECN() {
		t.Error("codepoints are on that are not told")
	}
	singly(from, to)
	if k, err := from.WritePackets([]Packet{{Addr: to.local, Data: []byte("x"), ECN: ECT0}}); k != 1 || err != nil {
		t.Errorf("%d written, %v", k, err)
	}
	if got := read(t, to, 1); got[0].ECN != NotECT {
		t.Errorf("%v arrived", got[0].ECN)
	}
}

// FuzzControl: no control messages make the parser panic, or give what cannot be.
func FuzzControl(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(appendECN(nil, CE, true))
	f.Add(appendECN(appendSegmentSize(nil, 1200), ECT0, false))
	f.Add(appendECN(nil, CE, true)[:17])
	empty, _ := appendControl(nil, unix.IPPROTO_IP, unix.IP_TOS, 0)
	f.Add(empty)
	size, data := appendControl(nil, unix.IPPROTO_UDP, unix.UDP_GRO, 4)
	data[0], data[3] = 0xff, 0xff
	f.Add(size)
	f.Fuzz(func(t *testing.T, b []byte) {
		if segment, ecn := parseControl(b); segment < 0 || ecn > CE {
			t.Errorf("% x: size %d, codepoint %d", b, segment, ecn)
		}
	})
}

// TestControl: what is written for the kernel is what it reads, and what it tells is
// read, whatever else it tells.
func TestControl(t *testing.T) {
	other, data := appendControl(nil, unix.SOL_SOCKET, unix.SO_TIMESTAMP, 16)
	clear(data)
	size, data := appendControl(nil, unix.IPPROTO_UDP, unix.UDP_GRO, 4)
	data[0], data[1], data[2], data[3] = 0, 5, 5, 0 // either byte order
	for _, is4 := range []bool{true, false} {
		for ecn := range CE + 1 {
			b := slices.Concat(other, size, appendECN(nil, ecn, is4))
			if is4 { // the kernel tells one byte
				one, data := appendControl(nil, unix.IPPROTO_IP, unix.IP_TOS, 1)
				data[0] = byte(ecn) | 0xb8 // the other six bits are somebody else's
				b = slices.Concat(other, one, size)
			}
			if segment, got := parseControl(b); segment != 0x0505<<8 || got != ecn {
				t.Errorf("%v: size %#x, %v", ecn, segment, got)
			}
			if len(b)-len(other) > controlRoom {
				t.Errorf("%d bytes, there is room for %d", len(b)-len(other), controlRoom)
			}
		}
	}
}

// TestECNOfAll: a socket that is bound to all addresses has codepoints too.
func TestECNOfAll(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", "[::]:0"} {
		l, err := listenUDP(netip.MustParseAddrPort(address))
		if err != nil {
			t.Skipf("this host cannot bind %s: %v", address, err)
		}
		defer l.Close()
		if !l.ECN() {
			t.Errorf("%s: no codepoints", address)
		}
	}
}
