package stream

import (
	"errors"
	"slices"
)

// Faults of a peer: they end the connection (MSX-3.4, MSX-5.1, MSX-2.6).
var (
	errMessageSize = errors.New("stream: length of a message out of range")
	errWindow      = errors.New("stream: data beyond the window")
	errBehindEnd   = errors.New("stream: data behind the end")
)

// errTooMany is no fault: the packet is dropped, and will come again.
var errTooMany = errors.New("stream: too many gaps")

// The pieces held out of order are bounded, as each costs some bytes besides its data:
// so many, and one more for each so many bytes, which is less than packets carry.
const (
	maxSegments = 4096
	pieceBytes  = 512
)

// keptSegments is for how many pieces room is kept that is not needed.
const keptSegments = 16

// A receiveBuffer puts the stream of one direction together (§3), and looks at the
// lengths of messages.
type receiveBuffer struct {
	next     uint64    // all before has arrived
	segments []segment // beyond next, ascending, not overlapping
	held     uint64    // bytes in them
	end      uint64    // of the stream, once known
	hasEnd   bool

	inbox    Inbox  // in order, not yet taken
	messages uint64 // that have begun, ready or not
	received uint64 // bytes of messages, without their lengths

	maxMessage int
	splitter                           // of what is in order
	early      map[uint64]earlyMessage // of the opening, by number; nil if none waits
	alloc      func(int) []byte
	free       func([]byte)
}

// A segment is a piece that came out of order.
type segment struct {
	start uint64
	data  []byte // its buffer
}

func (g *segment) end() uint64 { return g.start + uint64(len(g.data)) }

// insert takes a piece of the stream; limit is what we have announced.
func (r *receiveBuffer) insert(offset uint64, data []byte, fin bool, limit uint64) error {
	end := offset + uint64(len(data))
	switch {
	case end > limit:
		return errWindow
	case r.hasEnd && (end > r.end || fin && end != r.end), fin && end < r.highest():
		return errBehindEnd
	case len(r.segments) >= maxSegments+int(r.held/pieceBytes) && offset > r.next:
		return errTooMany
	}
	if err := r.place(offset, data, fin); err != nil {
		return err
	}
	return r.placeEarly(limit)
}

// place is insert for what passes its checks.
func (r *receiveBuffer) place(offset uint64, data []byte, fin bool) error {
	if fin {
		r.end, r.hasEnd = offset+uint64(len(data)), true
	}
	if offset < r.next {
		skip := min(r.next-offset, uint64(len(data)))
		offset += skip
		data = data[skip:]
	}
	if len(data) == 0 {
		return nil
	}
	if offset == r.next && len(r.segments) == 0 {
		return r.inOrder(data)
	}
	r.hold(offset, data)
	return r.join()
}

// highest returns the end of the furthest data that has arrived.
func (r *receiveBuffer) highest() uint64 {
	if n := len(r.segments); n > 0 {
		return r.segments[n-1].end()
	}
	return r.next
}

// hold keeps the parts of a piece that are not there yet.
func (r *receiveBuffer) hold(offset uint64, data []byte) {
	end := offset + uint64(len(data))
	i, _ := slices.BinarySearchFunc(r.segments, offset, func(g segment, offset uint64) int {
		if g.end() <= offset {
			return -1
		}
		return 1
	})
	for at := offset; at < end; i++ {
		to := end
		if i < len(r.segments) {
			to = min(to, r.segments[i].start)
		}
		if at < to {
			buf := r.alloc(int(to - at))
			copy(buf, data[at-offset:])
			r.segments = slices.Insert(r.segments, i, segment{at, buf})
			r.held += to - at
			i++
		}
		if i < len(r.segments) {
			at = r.segments[i].end()
		} else {
			at = to
		}
	}
}

// join moves what is in order now out of the segments.
func (r *receiveBuffer) join() error {
	k := 0
	var err error
	for ; err == nil && k < len(r.segments) && r.segments[k].start == r.next; k++ {
		g := &r.segments[k]
		r.held -= uint64(len(g.data))
		err = r.scan(g.data)
		r.inbox.take(g.data)
		*g = segment{}
	}
	r.segments = slices.Delete(r.segments, 0, k)
	if len(r.segments) == 0 && cap(r.segments) > keptSegments {
		r.segments = nil
	}
	return err
}

// inOrder takes a piece that comes next. It keeps a copy.
func (r *receiveBuffer) inOrder(data []byte) error {
	r.inbox.append(data)
	return r.scan(data)
}

// scan looks at the lengths of messages in bytes that come next.
func (r *receiveBuffer) scan(data []byte) error {
	r.next += uint64(len(data))
	for len(data) > 0 {
		if r.left == 0 {
			n, ok := r.length(data)
			data = data[n:]
			switch {
			case !ok:
				return nil
			case r.left == 0, r.left > uint64(r.maxMessage):
				return errMessageSize
			}
			r.messages++
		}
		n := min(r.left, uint64(len(data)))
		r.left -= n
		r.received += n
		data = data[n:]
	}
	return nil
}

// atBoundary reports whether the next byte begins a message.
func (r *receiveBuffer) atBoundary() bool { return r.left == 0 && r.prefixLen == 0 }

// ended reports whether the whole stream has arrived.
func (r *receiveBuffer) ended() bool { return r.hasEnd && r.next == r.end }

// shrink gives back the room that is not needed.
func (r *receiveBuffer) shrink() {
	r.inbox.pieces.shrink()
	if len(r.segments) == 0 {
		r.segments = nil
	}
}

// drop frees everything that was not taken.
func (r *receiveBuffer) drop() {
	r.dropGaps()
	r.inbox.Drop()
}

// dropGaps frees what is held behind a gap that will not be filled.
func (r *receiveBuffer) dropGaps() {
	for i := range r.segments {
		r.free(r.segments[i].data)
	}
	for _, m := range r.early {
		r.free(m.data)
	}
	r.segments, r.held, r.early = nil, 0, nil
}
