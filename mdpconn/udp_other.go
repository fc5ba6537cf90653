//go:build !unix && !windows

package mdpconn

import "syscall"

// controlUDP leaves a socket as the system makes it.
func controlUDP(bool) func(network, address string, c syscall.RawConn) error { return nil }
