package mdpconn

import (
	"encoding/binary"
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// start turns on what the kernel has.
func (u *udpLink) start() {
	conn, err := u.conn.SyscallConn()
	if err != nil {
		return
	}
	conn.Control(func(fd uintptr) {
		if _, err := callMessages(unix.SYS_SENDMMSG, fd, nil); err == 0 {
			u.raw = conn
			_, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT)
			u.offload.sends.Store(err == nil)
		}
		if _, err := callMessages(unix.SYS_RECVMMSG, fd, nil); err == 0 {
			u.reader = newMessageReader(conn, &u.zones)
			unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1)
		}
	})
}

// receiveBuffer is how many bytes the kernel has set aside for what arrives; 0 if
// it does not tell.
func (u *udpLink) receiveBuffer() (bytes int) {
	c, err := u.conn.SyscallConn()
	if err != nil {
		return 0
	}
	c.Control(func(fd uintptr) {
		if n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF); err == nil {
			bytes = n
		}
	})
	return bytes
}

// appendSegmentSize appends the control message that has the kernel cut what is
// written into packets of a size.
func appendSegmentSize(b []byte, size int) []byte {
	n := len(b)
	b = append(b, make([]byte, unix.CmsgSpace(2))...)
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[n]))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(b[n+unix.CmsgLen(0):], uint16(size))
	return b
}

// segmentSize reads the size of the packets that the kernel put together; 0 if it
// did not.
func segmentSize(control []byte) int {
	for len(control) >= unix.CmsgLen(0) {
		h, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return 0
		}
		if h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(data) >= 4 {
			return int(binary.NativeEndian.Uint32(data))
		}
		control = rest
	}
	return 0
}

// offloadEnds reports whether an error of a segmented write says that no other
// will pass: EIO from a device without checksums in hardware, and EINVAL if none
// ever passed, as of a kernel that does not know the option. Later EINVAL is of
// packets larger than their path takes, as EMSGSIZE is, which newer kernels give.
func offloadEnds(err error, worked bool) bool {
	return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EINVAL) && !worked
}
