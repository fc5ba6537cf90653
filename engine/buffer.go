package engine

import "sync"

const (
	// bufferSize holds the largest message that a peer can send, behind the
	// room for its header.
	bufferSize = 1088
	// smallBuffer and less is allocated to measure, not to pin a whole buffer.
	smallBuffer = 256
)

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// allocBuffer returns a buffer of n bytes.
func allocBuffer(n int) []byte {
	if n <= smallBuffer || n > bufferSize {
		return make([]byte, n)
	}
	return buffers.Get().(*[bufferSize]byte)[:n]
}

// freeBuffer takes back what allocBuffer gave.
func freeBuffer(b []byte) {
	if cap(b) == bufferSize {
		buffers.Put((*[bufferSize]byte)(b[:bufferSize]))
	}
}
