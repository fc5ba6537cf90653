package mdpconn

import (
	"sync"
	"sync/atomic"
)

// Room in buffers, in bytes. Implementation.
const (
	bufferSize = 2048  // for the longest overlay packet of our own that we accept; a power of two
	largeSize  = 65536 // for the largest packet under session keys
)

// A buffer is pooled memory for one packet, or what was in it. Several datagrams
// may have a share in one.
type buffer struct {
	data   []byte
	shares atomic.Int32 // 0: it is in the pool, or would be had the pool kept it
}

var (
	bufferPool = sync.Pool{New: func() any { return &buffer{data: make([]byte, bufferSize)} }}
	largePool  = sync.Pool{New: func() any { return &buffer{data: make([]byte, largeSize)} }}
)

// getBuffer gives a buffer of bufferSize. Its contents are undefined.
func getBuffer() *buffer { return getFrom(&bufferPool) }

// getLarge gives one of largeSize.
func getLarge() *buffer { return getFrom(&largePool) }

func getFrom(pool *sync.Pool) *buffer {
	b := pool.Get().(*buffer)
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
	case len(b.data) == largeSize:
		largePool.Put(b)
	default:
		bufferPool.Put(b)
	}
}

// replace gives a share back, and another buffer of that size.
func (b *buffer) replace() *buffer {
	defer b.release()
	if len(b.data) == largeSize {
		return getLarge()
	}
	return getBuffer()
}
