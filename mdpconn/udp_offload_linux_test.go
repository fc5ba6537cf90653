package mdpconn

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"syscall"
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

// narrowPair is two UDP sockets on a loopback device that takes IP packets of so
// many bytes, in a network namespace of its own.
func narrowPair(t *testing.T, address string, mtu int) (from, to *udpLink) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("not run: network namespaces need root")
	}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		failed <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return err
			}
			if err := setLoopback(mtu); err != nil {
				return err
			}
			var err error
			if from, err = listenUDP(netip.MustParseAddrPort(address)); err == nil {
				to, err = listenUDP(netip.MustParseAddrPort(address))
			}
			return err
		}()
	}()
	if err := <-failed; err != nil {
		t.Skip("not run: ", err)
	}
	t.Cleanup(func() { from.Close(); to.Close() })
	return from, to
}

// setLoopback has the loopback device take IP packets of so many bytes, and turns
// it on.
func setLoopback(mtu int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint32(uint32(mtu))
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFMTU, r); err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
}

// TestOffloadNarrowPath: packets larger than one path takes arrive, and leave
// segmentation on for others. One of them turned it off for good.
func TestOffloadNarrowPath(t *testing.T) {
	from, to := narrowPair(t, "127.0.0.1:0", 1300)
	carry(t, from, to, slices.Repeat([]int{1000}, 20)...)
	carry(t, from, to, slices.Repeat([]int{1400}, 20)...)
	if !from.offload.sends.Load() {
		t.Error("segmentation is off")
	}
	carry(t, from, to, slices.Repeat([]int{1000}, 20)...)
}

// TestOffloadEnds: which errors end segmentation.
func TestOffloadEnds(t *testing.T) {
	for _, c := range []struct {
		err    syscall.Errno
		worked bool
		ends   bool
	}{
		{syscall.EIO, false, true},
		{syscall.EIO, true, true},
		{syscall.EINVAL, false, true},
		{syscall.EINVAL, true, false},
		{syscall.EMSGSIZE, false, false},
		{syscall.EMSGSIZE, true, false},
		{syscall.ENOBUFS, false, false},
		{syscall.ENETUNREACH, false, false},
	} {
		err := &net.OpError{Op: "write", Err: os.NewSyscallError("sendmsg", c.err)}
		if ends := offloadEnds(err, c.worked); ends != c.ends {
			t.Errorf("%v, after others passed: %v: ends %v, want %v", c.err, c.worked, ends, c.ends)
		}
	}
}
