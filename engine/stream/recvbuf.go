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

// maxSegments bounds the pieces held out of order: each costs some bytes
// besides its data.
const maxSegments = 4096

// A Part is a piece of a message that arrived in order.
type Part struct {
	Data []byte // of the message, never empty
	Ends bool   // the message ends behind Data
	Cost int    // bytes of the stream: Data, and a length in front of it
	Buf  []byte // to be freed when Data is done with; nil if later parts lie in the same buffer
}

// A receiveBuffer puts the stream of one direction together and takes the
// messages apart (§3).
type receiveBuffer struct {
	next     uint64    // all before has arrived
	segments []segment // beyond next, ascending, not overlapping
	held     uint64    // bytes in them
	end      uint64    // of the stream, once known
	hasEnd   bool

	parts    []Part // in order, not yet taken
	messages uint64 // that have begun, ready or not
	received uint64 // bytes of messages, without their lengths

	maxMessage int
	uncounted  int     // bytes of lengths since the last part
	left       uint64  // bytes of the message at hand that are to come
	inMessage  bool    // there is one
	prefix     [8]byte // of a length that came in part
	prefixLen  int
	early      *[FirstNumber]earlyMessage // of the opening, by number; nil if none waits
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
	case len(r.segments) >= maxSegments && offset > r.next:
		return errTooMany
	}
	err := r.place(offset, data, fin)
	if err == nil && r.early != nil {
		err = r.placeEarly()
	}
	return err
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
		err = r.split(g.data, g.data)
		*g = segment{}
	}
	r.segments = slices.Delete(r.segments, 0, k)
	if len(r.segments) == 0 {
		r.segments = nil
	}
	return err
}

// inOrder takes a piece that comes next. It keeps a copy.
func (r *receiveBuffer) inOrder(data []byte) error {
	buf := r.alloc(len(data))
	copy(buf, data)
	return r.split(buf, buf)
}

// split takes bytes that come next, in buf, apart into parts of messages.
func (r *receiveBuffer) split(data, buf []byte) error {
	r.next += uint64(len(data))
	first := len(r.parts)
	for len(data) > 0 {
		if !r.inMessage {
			var ok bool
			var err error
			if data, ok, err = r.length(data); err != nil || !ok {
				r.own(first, buf)
				return err
			}
		}
		n := min(r.left, uint64(len(data)))
		r.left -= n
		r.received += n
		if n > 0 {
			r.parts = append(r.parts, Part{Data: data[:n:n], Ends: r.left == 0, Cost: int(n) + r.uncounted})
			r.uncounted = 0
		}
		r.inMessage = r.left > 0
		data = data[n:]
	}
	r.own(first, buf)
	return nil
}

// own makes the last part since first the owner of their buffer, or frees it.
func (r *receiveBuffer) own(first int, buf []byte) {
	if len(r.parts) == first {
		r.free(buf)
		return
	}
	r.parts[len(r.parts)-1].Buf = buf
}

// length reads the length of the next message from the front of data; it may
// come in parts. ok tells that it is whole.
func (r *receiveBuffer) length(data []byte) (rest []byte, ok bool, err error) {
	for len(data) > 0 {
		r.prefix[r.prefixLen] = data[0]
		r.prefixLen++
		r.uncounted++
		data = data[1:]
		v, n := parseVarint(r.prefix[:r.prefixLen])
		if n == 0 {
			continue
		}
		r.prefixLen = 0
		if v == 0 || v > uint64(r.maxMessage) {
			return nil, false, errMessageSize
		}
		r.left, r.inMessage = v, true
		r.messages++
		return data, true, nil
	}
	return nil, false, nil
}

// atBoundary reports whether the next byte begins a message.
func (r *receiveBuffer) atBoundary() bool { return !r.inMessage && r.prefixLen == 0 }

// take removes and returns the first part.
func (r *receiveBuffer) take() Part {
	p := r.parts[0]
	r.parts[0] = Part{}
	if r.parts = r.parts[1:]; len(r.parts) == 0 {
		r.parts = nil
	}
	return p
}

// ended reports whether the whole stream has arrived.
func (r *receiveBuffer) ended() bool { return r.hasEnd && r.next == r.end }

// drop frees everything that was not taken.
func (r *receiveBuffer) drop() {
	r.dropGaps()
	for i := range r.parts {
		if r.parts[i].Buf != nil {
			r.free(r.parts[i].Buf)
		}
	}
	r.parts = nil
}

// dropGaps frees what is held behind a gap that will not be filled.
func (r *receiveBuffer) dropGaps() {
	for i := range r.segments {
		r.free(r.segments[i].data)
	}
	if r.early != nil {
		for i := range r.early {
			r.free(r.early[i].data)
		}
	}
	r.segments, r.held, r.early = nil, 0, nil
}

// An earlyMessage is one that came in the published format (MSX-1.7).
type earlyMessage struct {
	data []byte // behind room for its length
	here bool
	fin  bool
}

// message takes message n of the opening, with fin the last of its direction and
// possibly empty.
func (r *receiveBuffer) message(n int, data []byte, fin bool) error {
	if uint64(n) < r.messages || r.ended() || r.early != nil && r.early[n].here {
		return nil
	}
	if r.early == nil {
		r.early = new([FirstNumber]earlyMessage)
	}
	buf := r.alloc(varintLen(uint64(len(data))) + len(data))
	r.early[n] = earlyMessage{append(appendVarint(buf[:0], uint64(len(data))), data...), true, fin}
	return r.placeEarly()
}

// placeEarly gives messages of the opening their place, as far as all before
// them are there (MSX-3.5).
func (r *receiveBuffer) placeEarly() error {
	for r.atBoundary() && r.messages < FirstNumber && r.early[r.messages].here {
		m := r.early[r.messages]
		r.early[r.messages] = earlyMessage{}
		data := m.data
		if m.fin && len(data) == 1 { // bare
			data = nil
		}
		err := r.place(r.next, data, m.fin)
		r.free(m.data)
		if err != nil || m.fin {
			return err
		}
	}
	return nil
}
