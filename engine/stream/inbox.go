package stream

const (
	// smallPiece is what is rather copied than kept in a buffer of its own.
	smallPiece = 256
	// pieceSize is the least that a buffer has room for, bytes, unless nothing else
	// waits.
	pieceSize = 1024
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

	pieces   fifo[piece]
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
func (in *Inbox) Len() int { return len(in.pieces.all()) }

// append adds a copy of bytes of the stream.
func (in *Inbox) append(data []byte) {
	if last := in.roomFor(data); last != nil {
		last.buf = append(last.buf, data...)
		return
	}
	size := len(data)
	if in.Len() > 0 {
		size = max(size, pieceSize)
	}
	in.pieces.push(piece{buf: append(in.Alloc(size)[:0], data...)})
}

// take adds bytes of the stream with their buffer.
func (in *Inbox) take(buf []byte) {
	if in.roomFor(buf) != nil || in.Len() > 0 && len(buf) <= smallPiece {
		in.append(buf)
		in.Free(buf)
		return
	}
	in.pieces.push(piece{buf: buf})
}

// roomFor gives the last piece if there is room for data in its buffer, else nil.
func (in *Inbox) roomFor(data []byte) *piece {
	pieces := in.pieces.all()
	if len(pieces) == 0 {
		return nil
	}
	if last := &pieces[len(pieces)-1]; !last.whole && cap(last.buf)-len(last.buf) >= len(data) {
		return last
	}
	return nil
}

// Push adds a message that came as a whole, with its buffer.
func (in *Inbox) Push(message []byte) { in.pieces.push(piece{message, true}) }

// TakeAll moves everything that from holds, unread, to the end.
func (in *Inbox) TakeAll(from *Inbox) {
	for _, p := range from.pieces.all() {
		if p.whole {
			in.pieces.push(p)
		} else {
			in.take(p.buf)
		}
	}
	from.pieces.drop(from.Len())
}

// pop drops the first piece.
func (in *Inbox) pop() {
	in.Free(in.pieces.all()[0].buf)
	in.pieces.drop(1)
	in.offset = 0
}

// Ready reports whether there are bytes of a message to read.
func (in *Inbox) Ready() bool {
	for in.Len() > 0 {
		p := in.pieces.all()[0]
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
	rest := in.pieces.all()[0].buf[in.offset:]
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
	for in.Len() > 0 {
		in.skip(len(in.pieces.all()[0].buf) - in.offset)
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
