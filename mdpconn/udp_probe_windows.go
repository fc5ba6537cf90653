package mdpconn

import "golang.org/x/sys/windows"

// dontFragment is IP_DONTFRAGMENT and IPV6_DONTFRAG of ws2ipdef.h.
const dontFragment = 14

// WriteProbe sends a packet whole, as on other systems: while it is sent, what
// others write waits.
func (u *udpLink) WriteProbe(p Packet) error {
	c, err := u.conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = c.Write(func(fd uintptr) bool {
		failed = sendWhole(windows.Handle(fd), p, &u.zones)
		return true
	})
	if err != nil {
		return err
	}
	return failed
}

func sendWhole(fd windows.Handle, p Packet, z *zones) error {
	var to windows.Sockaddr
	level := windows.IPPROTO_IP
	if a := p.Addr.Addr(); a.Is4() {
		to = &windows.SockaddrInet4{Port: int(p.Addr.Port()), Addr: a.As4()}
	} else {
		level = windows.IPPROTO_IPV6
		to = &windows.SockaddrInet6{Port: int(p.Addr.Port()), ZoneId: z.id(a.Zone()), Addr: a.As16()}
	}
	if windows.SetsockoptInt(fd, level, dontFragment, 1) == nil {
		defer windows.SetsockoptInt(fd, level, dontFragment, 0)
	}
	return windows.Sendto(fd, p.Data, 0, to)
}
