package mdpconn

import "golang.org/x/sys/unix"

// The socket options under which packets leave whole, whatever size was found to
// pass before.
const (
	wholeOption4 = unix.IP_MTU_DISCOVER
	wholeOption6 = unix.IPV6_MTU_DISCOVER
	whole        = unix.IP_PMTUDISC_PROBE // that of IPv6 has the same number
)
