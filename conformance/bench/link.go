package main

import (
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const etherHeader = 14

// A Link is a running emulator between the two devices of a NetPair. Kernel TCP
// and UDP transports meet it alike.
type Link struct {
	stop   atomic.Bool
	wg     sync.WaitGroup
	ab, ba *linkDir
}

// startLink lets frames pass. The nth repetition gives the same seed to every
// transport: the same draws, if not the same packets.
func startLink(p *NetPair, spec LinkSpec, seed uint64) *Link {
	l := new(Link)
	for i := range 2 {
		discard(p.fds[i])
	}
	l.ab = &linkDir{model: newLinkModel(spec, seed, 1), src: p.fds[0], dst: p.fds[1], stop: &l.stop}
	l.ba = &linkDir{model: newLinkModel(spec, seed, 2), src: p.fds[1], dst: p.fds[0], stop: &l.stop}
	l.wg.Go(l.ab.loop)
	l.wg.Go(l.ba.loop)
	return l
}

// countAnew forgets what has passed until now.
func (l *Link) countAnew() {
	for _, d := range []*linkDir{l.ab, l.ba} {
		d.mu.Lock()
		d.model.stats = LinkStats{}
		d.mu.Unlock()
	}
}

// Stop ends the link and returns what passed from client to server and back.
func (l *Link) Stop() (ab, ba LinkStats) {
	l.stop.Store(true)
	l.wg.Wait()
	return l.ab.model.stats, l.ba.model.stats
}

type linkDir struct {
	src, dst int
	stop     *atomic.Bool
	mu       sync.Mutex
	model    *linkModel // guarded by mu
}

// loop is one direction: a thread that polls the source device until the next
// packet is due. The thread, with its timer slack, ends with the goroutine.
func (d *linkDir) loop() {
	runtime.LockOSThread()
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1000, 0, 0, 0)
	buf := make([]byte, 65536)
	poll := []unix.PollFd{{Fd: int32(d.src), Events: unix.POLLIN}}
	for !d.stop.Load() {
		ts := unix.NsecToTimespec(d.deliver())
		if n, _ := unix.Ppoll(poll, &ts, nil); n > 0 {
			d.receive(buf)
		}
	}
}

// deliver writes what is due, and returns how long to wait, in nanoseconds.
func (d *linkDir) deliver() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := monoNow()
	for {
		due, ok := d.model.next()
		if !ok {
			return 50e6
		}
		if due > now {
			return min(due-now, 50e6)
		}
		p := d.model.take()
		if _, err := unix.Write(d.dst, p.data); err == nil {
			d.model.stats.OutPackets++
			d.model.stats.OutBytes += int64(p.size)
		}
		d.model.release(p)
	}
}

func (d *linkDir) receive(buf []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for range 64 {
		n, err := unix.Read(d.src, buf)
		if err != nil || n <= 0 {
			return
		}
		if n > etherHeader {
			d.model.offer(monoNow(), buf[:n], n-etherHeader)
		}
	}
}

// discard throws away the frames of an earlier run.
func discard(fd int) {
	buf := make([]byte, 65536)
	for {
		if n, err := unix.Read(fd, buf); err != nil || n <= 0 {
			return
		}
	}
}

// monoNow is the monotonic clock in nanoseconds, the same in all processes.
func monoNow() int64 {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}
