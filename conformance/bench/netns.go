package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

const linkMTU = 1500

// A NetPair is two network namespaces with a TAP device each, whose other ends
// this process holds.
type NetPair struct {
	ns  [2]string
	ip  [2]string
	fds [2]int
}

// canLink tells why this process can make no links; nil if it can.
func canLink() error {
	if os.Getuid() != 0 {
		return errors.New("links need root, for network namespaces; run as root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("links need the ip command; install iproute2")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return errors.New("links need /dev/net/tun, which this host does not have")
	}
	return nil
}

// newNetPair makes the namespaces prefix+"a" and prefix+"b". Those of the same
// names that an earlier run left are replaced.
func newNetPair(prefix string) (*NetPair, error) {
	p := &NetPair{ns: [2]string{prefix + "a", prefix + "b"}, ip: [2]string{"10.77.0.1", "10.77.0.2"}, fds: [2]int{-1, -1}}
	for i := range 2 {
		if err := p.make(i); err != nil {
			p.Close()
			return nil, fmt.Errorf("namespace %s: %w", p.ns[i], err)
		}
	}
	return p, nil
}

func (p *NetPair) make(i int) error {
	if err := newNS(p.ns[i]); err != nil {
		return err
	}
	err := inNS(p.ns[i], func() (err error) {
		p.fds[i], err = openTap("bench0")
		return err
	})
	if err != nil {
		return err
	}
	mac := [2]string{"02:4d:53:50:00:01", "02:4d:53:50:00:02"}
	for _, args := range []string{
		"netns exec " + p.ns[i] + " sysctl -qw net.ipv6.conf.all.disable_ipv6=1",
		"-n " + p.ns[i] + " link set bench0 address " + mac[i] + " mtu " + strconv.Itoa(linkMTU) + " txqueuelen 5000",
		"-n " + p.ns[i] + " link set bench0 up",
		"-n " + p.ns[i] + " addr add " + p.ip[i] + "/24 brd + dev bench0",
		"-n " + p.ns[i] + " neigh replace " + p.ip[1-i] + " lladdr " + mac[1-i] + " dev bench0 nud permanent",
	} {
		if err := ip(args); err != nil {
			return err
		}
	}
	return nil
}

func (p *NetPair) Close() {
	for i := range 2 {
		if p.fds[i] >= 0 {
			unix.Close(p.fds[i])
		}
		delNS(p.ns[i])
	}
}

// newNS makes a namespace with nothing but its loopback device.
func newNS(name string) error {
	delNS(name)
	if err := ip("netns add " + name); err != nil {
		return err
	}
	return ip("-n " + name + " link set lo up")
}

// delNS removes a namespace, if there is one.
func delNS(name string) { exec.Command("ip", "netns", "del", name).Run() }

func ip(args string) error {
	out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", args, err, out)
	}
	return nil
}

// inNS runs f on a thread in the namespace; the thread is not used again.
func inNS(ns string, f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := enterNS(ns)
		if err == nil {
			err = f()
		}
		result <- err
	}()
	return <-result
}

// enterNS moves the calling thread, which must be locked; "" is where it is.
func enterNS(ns string) error {
	if ns == "" {
		return nil
	}
	fd, err := unix.Open("/run/netns/"+ns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Setns(fd, unix.CLONE_NEWNET)
}

func openTap(name string) (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("/dev/net/tun: %w", err)
	}
	var req [40]byte // struct ifreq
	copy(req[:15], name)
	*(*uint16)(unsafe.Pointer(&req[16])) = unix.IFF_TAP | unix.IFF_NO_PI
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(&req))); errno != 0 {
		unix.Close(fd)
		return -1, fmt.Errorf("TUNSETIFF: %w", errno)
	}
	return fd, nil
}
