package mdpconn

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// Segmentation offload: the kernel takes many packets of one size to one
// address as one, and hands them over as one. Implementation.
const (
	maxSegments = 64         // packets in one call; the least limit of any kernel
	maxOffload  = 65535 - 48 // their bytes: a UDP payload
)

// An offload is what a UDP socket has of it. Where the system knows nothing of
// it all of it is off, and packets are written and read one by one.
type offload struct {
	sends    atomic.Bool // the socket segments what it is given
	worked   atomic.Bool // it did so once
	receives bool        // the socket gives several packets at once

	// Of the one reader.
	pending []byte // packets that were read and not yet handed on
	size    int    // of each of them but the last
	from    netip.AddrPort
	room    []byte // what is read into
	control [64]byte
}

// offloadBuffers holds what is given to the system at once.
var offloadBuffers = sync.Pool{New: func() any { return new([maxOffload]byte) }}

// run counts the packets at the front that can go as one: to one address, of one
// size, of which the last may be smaller.
func run(ps []Packet) (n, bytes int) {
	size := len(ps[0].Data)
	for n < len(ps) && n < maxSegments && ps[n].Addr == ps[0].Addr && len(ps[n].Data) <= size && bytes+len(ps[n].Data) <= maxOffload {
		bytes += len(ps[n].Data)
		n++
		if len(ps[n-1].Data) < size {
			break
		}
	}
	return n, bytes
}

// writeRun writes packets that can go as one. It reports false if the system did
// not take them that way: then they are to be written one by one.
func (u *udpLink) writeRun(ps []Packet) bool {
	buf := offloadBuffers.Get().(*[maxOffload]byte)
	defer offloadBuffers.Put(buf)
	b := buf[:0]
	for i := range ps {
		b = append(b, ps[i].Data...)
	}
	var control [64]byte
	_, _, err := u.conn.WriteMsgUDPAddrPort(b, appendSegmentSize(control[:0], len(ps[0].Data)), ps[0].Addr)
	if err != nil {
		if offloadEnds(err, u.offload.worked.Load()) {
			u.offload.sends.Store(false)
		}
		return false
	}
	if !u.offload.worked.Load() {
		u.offload.worked.Store(true)
	}
	return true
}

// readSeveral reads at least one packet, and as many of those that came with it
// as ps takes; the rest is for the next call.
func (u *udpLink) readSeveral(ps []Packet) (int, error) {
	o := &u.offload
	if len(o.pending) == 0 {
		if o.room == nil {
			o.room = make([]byte, 1<<16)
		}
		n, controls, _, from, err := u.conn.ReadMsgUDPAddrPort(o.room, o.control[:])
		if err != nil {
			return 0, err
		}
		o.pending, o.from = o.room[:n], unmap(from)
		if o.size = segmentSize(o.control[:controls]); o.size == 0 {
			o.size = max(n, 1)
		}
		if n == 0 { // an empty packet is one, too
			ps[0].Data, ps[0].Addr = ps[0].Data[:0], o.from
			return 1, nil
		}
	}
	k := 0
	for ; k < len(ps) && len(o.pending) > 0; k++ {
		n := min(o.size, len(o.pending))
		p := &ps[k]
		p.Data = p.Data[:copy(p.Data[:cap(p.Data)], o.pending[:n])]
		p.Addr = o.from
		o.pending = o.pending[n:]
	}
	return k, nil
}
