package mdpconn

import (
	"sync"
	"sync/atomic"
)

// bufferSize is the room in a buffer, in bytes. Implementation: the longest
// packet of our own that we accept, and a power of two.
const bufferSize = 2048

// A buffer is pooled memory for one packet, or what was in it. Several datagrams
// may have a share in one.
type buffer struct {
	data   []byte
	shares atomic.Int32 // 0: it is in the pool, or would be had the pool kept it
}

var bufferPool = sync.Pool{New: func() any { return &buffer{data: make([]byte, bufferSize)} }}

// getBuffer gives a buffer of bufferSize. Its contents are undefined.
func getBuffer() *buffer {
	b := bufferPool.Get().(*buffer)
	b.shares.Store(1)
	return b
}

// share gives one more share in the buffer, which needs a release of its own.
func (b *buffer) share() *buffer {
	b.shares.Add(1)
	return b
}

// release gives a share back.
func (b *buffer) release() {
	switch left := b.shares.Add(-1); {
	case left < 0:
		panic("BUG: mdpconn: buffer released twice")
	case left > 0:
	default:
		bufferPool.Put(b)
	}
}
