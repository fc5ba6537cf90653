package mdpconn

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A message is struct mmsghdr of the kernel: what recvmmsg and sendmmsg take
// several of. It is one packet, or several that are joined (udp_offload.go).
type message struct {
	unix.Msghdr
	bytes uint32 // of data that were read or written
}

// A messageAddr has room for an address of either family.
type messageAddr = unix.RawSockaddrInet6

// parseMessageAddr reads an address that the kernel wrote.
func parseMessageAddr(a *messageAddr, z *zones) netip.AddrPort {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&a.Port))[:])
	if a.Family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(a)).Addr), port)
	}
	addr := netip.AddrFrom16(a.Addr).Unmap()
	if a.Scope_id != 0 {
		addr = addr.WithZone(z.name(a.Scope_id))
	}
	return netip.AddrPortFrom(addr, port)
}

// putMessageAddr writes an address for the kernel, and gives its length.
func putMessageAddr(a *messageAddr, addr netip.AddrPort, z *zones) uint32 {
	ip, size := addr.Addr(), uint32(unix.SizeofSockaddrInet6)
	if ip.Is4() {
		*(*unix.RawSockaddrInet4)(unsafe.Pointer(a)) = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: ip.As4()}
		size = unix.SizeofSockaddrInet4
	} else {
		*a = messageAddr{Family: unix.AF_INET6, Addr: ip.As16(), Scope_id: z.id(ip.Zone())}
	}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&a.Port))[:], addr.Port())
	return size
}

// callMessages calls recvmmsg or sendmmsg, without waiting, and gives how many
// messages were read or written.
func callMessages(call, fd uintptr, ms []message) (int, syscall.Errno) {
	for {
		n, _, err := unix.Syscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(ms))), uintptr(len(ms)), unix.MSG_DONTWAIT, 0, 0)
		if err == 0 {
			return int(n), 0
		}
		if err != unix.EINTR {
			return 0, err
		}
	}
}
