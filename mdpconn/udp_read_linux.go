package mdpconn

import (
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How much is read with one call. Implementation.
const (
	readMessages  = 16
	firstMessages = 2       // at first: twice as many whenever as many came
	messageRoom   = 1 << 16 // bytes: the most that the kernel joins
)

// A messageReader reads as many messages with one call as are there. It belongs to
// the one reader of a link, and allocates nothing per packet.
type messageReader struct {
	// Constant.
	conn  syscall.RawConn
	call  func(fd uintptr) bool
	zones *zones

	room    int // for so many messages
	n, next int // messages that were read, and those of them that were opened
	err     syscall.Errno

	// Of the message that is open.
	pending []byte
	left    int // packets in it
	size    int // of each but the last
	from    netip.AddrPort
	ecn     ECN

	messages [readMessages]message
	vecs     [readMessages]unix.Iovec
	controls [readMessages][controlRoom]byte
	addrs    [readMessages]messageAddr
	data     [readMessages][]byte // messageRoom each
}

func newMessageReader(conn syscall.RawConn, z *zones) *messageReader {
	r := &messageReader{conn: conn, zones: z}
	r.call = func(fd uintptr) bool {
		r.n, r.err = callMessages(unix.SYS_RECVMMSG, fd, r.messages[:r.room])
		return r.err != unix.EAGAIN
	}
	r.grow()
	return r
}

// grow makes room for more messages.
func (r *messageReader) grow() {
	more := min(max(2*r.room, firstMessages), readMessages)
	for i := r.room; i < more; i++ {
		r.data[i] = make([]byte, messageRoom)
		m := &r.messages[i]
		r.vecs[i].Base = &r.data[i][0]
		r.vecs[i].SetLen(messageRoom)
		m.Iov, m.Control, m.Name = &r.vecs[i], &r.controls[i][0], (*byte)(unsafe.Pointer(&r.addrs[i]))
		m.SetIovlen(1)
		r.ready(i)
	}
	r.room = more
}

// ready makes a message ready to be read into: the kernel wrote over the room that
// there is for its address and control messages.
func (r *messageReader) ready(i int) {
	r.messages[i].Namelen = uint32(unsafe.Sizeof(r.addrs[i]))
	r.messages[i].SetControllen(len(r.controls[i]))
}

// readPackets reads at least one packet, and as many of those that came with it as
// ps takes; the rest is for the next call.
func (r *messageReader) readPackets(ps []Packet) (k int, err error) {
	if r.left == 0 && r.next == r.n {
		if r.n == r.room {
			r.grow()
		}
		r.n, r.next = 0, 0
		if err := r.conn.Read(r.call); err != nil {
			return 0, err
		}
		if r.err != 0 {
			return 0, os.NewSyscallError("recvmmsg", r.err)
		}
	}
	for ; k < len(ps) && (r.left > 0 || r.next < r.n); k++ {
		if r.left == 0 {
			r.open()
		}
		p, n := &ps[k], min(r.size, len(r.pending))
		p.Data = p.Data[:copy(p.Data[:cap(p.Data)], r.pending[:n])]
		p.Addr, p.ECN = r.from, r.ecn
		r.pending = r.pending[n:]
		r.left--
	}
	return k, nil
}

// open begins with the next message. An empty one is a packet, too.
func (r *messageReader) open() {
	i := r.next
	r.next++
	m := &r.messages[i]
	r.pending = r.data[i][:m.bytes]
	r.from = parseMessageAddr(&r.addrs[i], r.zones)
	r.left, r.size = 1, len(r.pending)
	size, ecn := parseControl(r.controls[i][:m.Controllen])
	if r.ecn = ecn; size > 0 {
		r.left, r.size = max(1, (len(r.pending)+size-1)/size), size
	}
	r.ready(i)
}
