//go:build unix

package mdpconn

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// errTooLarge is the error of a packet larger than what the system sends at once.
const errTooLarge = unix.EMSGSIZE

// controlUDP prepares a socket: for broadcasts, and if share for a port that
// others share as well. On Linux SO_REUSEADDR lets several sockets receive the
// same broadcast; the BSDs want SO_REUSEPORT too.
func controlUDP(share bool) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			set := func(option int) {
				if err := unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, 1); err != nil && failed == nil {
					failed = err
				}
			}
			set(unix.SO_BROADCAST)
			if share {
				set(unix.SO_REUSEADDR)
				if runtime.GOOS != "linux" && runtime.GOOS != "android" && runtime.GOOS != "solaris" && runtime.GOOS != "illumos" {
					set(unix.SO_REUSEPORT)
				}
			}
		})
		if err != nil {
			return err
		}
		return failed
	}
}
