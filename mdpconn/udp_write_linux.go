package mdpconn

import (
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A messageWriter writes several messages with one call. Writers are pooled, and
// used by one goroutine at a time.
type messageWriter struct {
	call func(fd uintptr) bool // constant

	filled int // messages
	used   int // of vecs, in these
	n      int // of them, those written
	err    syscall.Errno

	counts   [maxSegments]int // packets in each message
	messages [maxSegments]message
	vecs     [maxSegments]unix.Iovec // of each packet
	controls [maxSegments][controlRoom]byte
	addrs    [maxSegments]messageAddr
}

var messageWriters = sync.Pool{New: func() any {
	w := new(messageWriter)
	w.call = func(fd uintptr) bool {
		w.n, w.err = callMessages(unix.SYS_SENDMMSG, fd, w.messages[:w.filled])
		return w.err != unix.EAGAIN
	}
	return w
}}

// writeSeveral writes packets with as few calls as there can be. Those that the
// system did not take as one go one by one, and those that it did not take with
// their codepoint without.
func (u *udpLink) writeSeveral(ps []Packet) (done int, err error) {
	w := messageWriters.Get().(*messageWriter)
	defer messageWriters.Put(w)
	for single, bare := 0, -1; done < len(ps); { // packets up to single go one by one
		rest, join, ecn := ps[done:], u.offload.sends.Load(), u.ecn.sends.Load()
		if done < single {
			rest, join = ps[done:single], false
		}
		w.fill(rest, join, ecn, &u.zones)
		n, joined, err := w.write(u.raw)
		done += n
		ecn = ecn && rest[0].ECN != NotECT // of the first message
		if ecn && n > 0 && !u.ecn.worked.Load() {
			u.ecn.worked.Store(true)
		}
		if joined && !u.offload.worked.Load() {
			u.offload.worked.Store(true)
		}
		if err == nil {
			continue
		}
		if ecn && ecnEnds(err, u.ecn.worked.Load()) {
			u.ecn.sends.Store(false)
			bare = done
			continue
		}
		if bare == done { // nor do they pass without: that was not it
			u.ecn.sends.Store(true)
		}
		if w.counts[0] == 1 {
			return done, err
		}
		single = done + w.counts[0]
		if offloadEnds(err, u.offload.worked.Load()) {
			u.offload.sends.Store(false)
		}
	}
	return done, nil
}

// fill makes messages of as many packets as there is room for, several of them in
// one if they are to be joined and can be, with their codepoints if ecn is set.
func (w *messageWriter) fill(ps []Packet, join, ecn bool, z *zones) {
	ps = ps[:min(len(ps), len(w.vecs))]
	w.filled, w.used = 0, len(ps)
	for at := 0; at < len(ps); w.filled++ {
		n := 1
		if join {
			n, _ = run(ps[at:])
		}
		for i := range ps[at : at+n] {
			w.vecs[at+i].Base = unsafe.SliceData(ps[at+i].Data)
			w.vecs[at+i].SetLen(len(ps[at+i].Data))
		}
		m, a := &w.messages[w.filled], &w.addrs[w.filled]
		w.counts[w.filled] = n
		*m = message{}
		m.Name, m.Namelen = (*byte)(unsafe.Pointer(a)), putMessageAddr(a, ps[at].Addr, z)
		m.Iov = &w.vecs[at]
		m.SetIovlen(n)
		control := w.controls[w.filled][:0]
		if n > 1 {
			control = appendSegmentSize(control, len(ps[at].Data))
		}
		if ecn && ps[at].ECN != NotECT {
			control = appendECN(control, ps[at].ECN, ps[at].Addr.Addr().Is4())
		}
		if len(control) > 0 {
			m.Control = &control[0]
			m.SetControllen(len(control))
		}
		at += n
	}
}

// write writes what was filled in, and gives how many packets that were, and whether
// some of them went as one. An error is of the first message, and then it is none.
func (w *messageWriter) write(conn syscall.RawConn) (packets int, joined bool, err error) {
	w.n, w.err = 0, 0
	if err = conn.Write(w.call); err == nil && w.err != 0 {
		err = os.NewSyscallError("sendmmsg", w.err)
	}
	for _, n := range w.counts[:w.n] {
		packets += n
		joined = joined || n > 1
	}
	clear(w.vecs[:w.used]) // the packets are not kept
	return packets, joined, err
}
