package mdpconn

import (
	"sync"
	"sync/atomic"
)

// bufferSize is the room in a buffer, in bytes. Implementation: the longest
// packet of our own that we accept, and a power of two.
const bufferSize = 2048

// A buffer is pooled memory for one overlay packet or one datagram.
type buffer struct {
	data [bufferSize]byte
	free atomic.Bool // it is in the pool, or would be had the pool kept it
}

var bufferPool = sync.Pool{New: func() any { return new(buffer) }}

// getBuffer gives a buffer. Its contents are undefined.
func getBuffer() *buffer {
	b := bufferPool.Get().(*buffer)
	b.free.Store(false)
	return b
}

// release gives the buffer back.
func (b *buffer) release() {
	if b.free.Swap(true) {
		panic("BUG: mdpconn: buffer released twice")
	}
	bufferPool.Put(b)
}
