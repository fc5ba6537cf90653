//go:build linux || darwin || freebsd

package mdpconn

import "golang.org/x/sys/unix"

// WriteProbe sends a packet whole. The option is the socket's, and other packets
// are not to have it, as those that stock knows go over narrow links in fragments.
// So it is on while the probe is sent, and what others write waits so long.
func (u *udpLink) WriteProbe(p Packet) error {
	c, err := u.conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = c.Write(func(fd uintptr) bool {
		failed = sendWhole(int(fd), p, &u.zones)
		return failed != unix.EAGAIN
	})
	if err != nil {
		return err
	}
	return failed
}

func sendWhole(fd int, p Packet, z *zones) error {
	var to unix.Sockaddr
	level, option := unix.IPPROTO_IP, wholeOption4
	if a := p.Addr.Addr(); a.Is4() {
		to = &unix.SockaddrInet4{Port: int(p.Addr.Port()), Addr: a.As4()}
	} else {
		level, option = unix.IPPROTO_IPV6, wholeOption6
		to = &unix.SockaddrInet6{Port: int(p.Addr.Port()), ZoneId: z.id(a.Zone()), Addr: a.As16()}
	}
	// A system without the option sends the probe as it sends all else.
	if usual, err := unix.GetsockoptInt(fd, level, option); err == nil {
		if unix.SetsockoptInt(fd, level, option, whole) == nil {
			defer unix.SetsockoptInt(fd, level, option, usual)
		}
	}
	return unix.Sendto(fd, p.Data, 0, to)
}
