//go:build !unix && !windows

package mdpconn

import (
	"errors"
	"syscall"
)

// errTooLarge is given by nothing here.
var errTooLarge = errors.New("packet too large")

// controlUDP leaves a socket as the system makes it.
func controlUDP(bool) func(network, address string, c syscall.RawConn) error { return nil }
