//go:build darwin || freebsd

package mdpconn

import "golang.org/x/sys/unix"

// The socket options under which packets leave whole.
const (
	wholeOption4 = unix.IP_DONTFRAG
	wholeOption6 = unix.IPV6_DONTFRAG
	whole        = 1
)
