package mdpconn

import (
	"errors"
	"syscall"

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
			u.ecn.reads = tellECN(int(fd), u.local.Addr().Is4())
			u.ecn.sends.Store(u.raw != nil)
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

// offloadEnds reports whether an error of a segmented write says that no other
// will pass: EIO from a device without checksums in hardware, and EINVAL if none
// ever passed, as of a kernel that does not know the option. Later EINVAL is of
// packets larger than their path takes, as EMSGSIZE is, which newer kernels give.
func offloadEnds(err error, worked bool) bool {
	return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EINVAL) && !worked
}
