package mdpconn

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestOffloadRefused: a kernel that offers segmentation and then refuses it gets
// the same packets one by one, and none of them twice. Without checksums it
// cannot segment.
func TestOffloadRefused(t *testing.T) {
	from, to := offloadPair(t)
	if !from.offload.sends.Load() {
		t.Fatal("this kernel offers no segmentation: Linux 4.18 or later was expected")
	}
	c, err := from.conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1) })
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, from, to)
	if from.offload.sends.Load() {
		t.Error("segmentation is still asked for")
	}
}
