package mdpconn

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// errTooLarge is the error of a packet larger than what the system sends at once.
const errTooLarge = windows.WSAEMSGSIZE

// controlUDP prepares a socket: for broadcasts, and if share for a port that
// others share as well.
func controlUDP(share bool) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, windows.SO_BROADCAST, 1)
			if share && failed == nil {
				failed = windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, windows.SO_REUSEADDR, 1)
			}
		})
		if err != nil {
			return err
		}
		return failed
	}
}
