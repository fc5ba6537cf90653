package stream

const (
	// smallPiece is what is rather copied than kept in a buffer of its own.
	smallPiece = 256
	// pieceSize is the least that a buffer has room for, bytes, unless nothing else
	// waits.
	pieceSize = 1024
	// keptPieces is for how many pieces an Inbox keeps room that it does not need.
	keptPieces = 16
)

// An Inbox is what arrived in order and waits for the reader: pieces of the
// stream, the lengths of messages included. Messages are taken apart only when they
// are read, and pieces share buffers, so that what waits costs at most some three
// times its size, however small messages and packets are.
//
// Alloc gives its buffers and Free takes them back.
type Inbox struct {
	Alloc func(n int) []byte
	Free  func([]byte)

	pieces   []piece // those before first are done with
	first    int
	offset   int // bytes of the first that are done with
	consumed int // bytes of the stream done with, since Consumed was called
	splitter     // of what was read
}

// A piece is a buffer of an [Inbox], filled up to its length.
type piece struct {
	buf   []byte
	whole bool // one message, without its length
}

// Len returns how many pieces there are.
func (in *Inbox) Len() int { return len(in.pieces) - in.first }

// append adds a copy of bytes of the stream.
func (in *Inbox) append(data []byte) {
	if in.fits(data) {
		last := &in.pieces[len(in.pieces)-1]
		last.buf = append(last.buf, data...)
		return
	}
	size := len(data)
	if in.Len() > 0 {
		size = max(size, pieceSize)
	}
	in.push(piece{buf: append(in.Alloc(size)[:0], data...)})
}

// take adds bytes of the stream with their buffer.
func (in *Inbox) take(buf []byte) {
	if in.fits(buf) || in.Len() > 0 && len(buf) <= smallPiece {
		in.append(buf)
		in.Free(buf)
		return
	}
	in.push(piece{buf: buf})
}

// fits reports whether the last buffer has room for data.
func (in *Inbox) fits(data []byte) bool {
	if in.Len() == 0 {
		return false
	}
	last := &in.pieces[len(in.pieces)-1]
	return !last.whole && cap(last.buf)-len(last.buf) >= len(data)
}

func (in *Inbox) push(p piece) {
	if in.first > 0 && len(in.pieces) == cap(in.pieces) {
		n := copy(in.pieces, in.pieces[in.first:])
		clear(in.pieces[n:])
		in.pieces, in.first = in.pieces[:n], 0
	}
	in.pieces = append(in.pieces, p)
}

// Push adds a message that came as a whole, with its buffer.
func (in *Inbox) Push(message []byte) { in.push(piece{message, true}) }

// TakeAll moves everything that from holds, unread, to the end.
func (in *Inbox) TakeAll(from *Inbox) {
	for _, p := range from.pieces {
		if p.whole {
			in.push(p)
		} else {
			in.take(p.buf)
		}
	}
	from.empty()
}

// pop drops the first piece.
func (in *Inbox) pop() {
	in.Free(in.pieces[in.first].buf)
	in.pieces[in.first] = piece{}
	in.offset = 0
	if in.first++; in.first == len(in.pieces) {
		in.empty()
	}
}

// empty forgets all pieces.
func (in *Inbox) empty() {
	clear(in.pieces)
	if room := cap(in.pieces); room > keptPieces && room > 4*len(in.pieces) {
		in.pieces = nil
	}
	in.pieces, in.first, in.offset = in.pieces[:0], 0, 0
}

// Ready reports whether there are bytes of a message to read.
func (in *Inbox) Ready() bool {
	for in.first < len(in.pieces) {
		p := in.pieces[in.first]
		switch rest := p.buf[in.offset:]; {
		case len(rest) == 0:
			in.pop()
		case in.left > 0:
			return true
		case p.whole:
			in.left = uint64(len(rest))
			return true
		default:
			n, _ := in.length(rest)
			in.skip(n)
		}
	}
	return false
}

func (in *Inbox) skip(n int) {
	in.offset += n
	in.consumed += n
}

// Read reads into b, across the ends of messages, and returns how many bytes; 0 if
// nothing is ready.
func (in *Inbox) Read(b []byte) (n int) {
	for n < len(b) && in.Ready() {
		n += in.copy(b[n:])
	}
	return n
}

// ReadMessage reads into b up to the end of the message at hand; ends tells that it
// was reached.
func (in *Inbox) ReadMessage(b []byte) (n int, ends bool) {
	for n < len(b) && in.Ready() {
		n += in.copy(b[n:])
		if in.left == 0 {
			return n, true
		}
	}
	return n, false
}

// copy reads from the first piece, in which there are bytes of the message at hand.
func (in *Inbox) copy(b []byte) int {
	rest := in.pieces[in.first].buf[in.offset:]
	n := copy(b, rest[:min(in.left, uint64(len(rest)))])
	in.left -= uint64(n)
	in.skip(n)
	if n == len(rest) {
		in.pop()
	}
	return n
}

// HasConsumed reports whether Consumed would return n or more.
func (in *Inbox) HasConsumed(n int) bool { return in.consumed >= n }

// Consumed returns how many bytes of the stream were read or dropped since it was
// called last, lengths included: what the peer may send more of.
func (in *Inbox) Consumed() int {
	n := in.consumed
	in.consumed = 0
	return n
}

// Drop drops everything.
func (in *Inbox) Drop() {
	for in.first < len(in.pieces) {
		in.skip(len(in.pieces[in.first].buf) - in.offset)
		in.pop()
	}
}

// A splitter finds the messages in the bytes of a stream (MSX-3.1).
type splitter struct {
	left      uint64  // bytes of the message at hand that are to come
	prefix    [8]byte // of a length that came in part
	prefixLen int
}

// length reads the length of the next message from the front of data; it may come in
// parts. n is how many bytes it took; ok tells that it is whole, and in left.
func (s *splitter) length(data []byte) (n int, ok bool) {
	for n < len(data) {
		s.prefix[s.prefixLen] = data[n]
		s.prefixLen++
		n++
		if v, k := parseVarint(s.prefix[:s.prefixLen]); k > 0 {
			s.left, s.prefixLen = v, 0
			return n, true
		}
	}
	return n, false
}
