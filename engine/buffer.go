package engine

import "sync"

// smallBuffer and less is allocated to measure, not to pin a whole buffer.
const smallBuffer = 256

// The sizes of buffers that are pooled: for the largest message of the published
// protocol, for those of the extended format, and for what is between; each
// behind the room for its header.
type (
	buffer1K  [1088]byte
	buffer4K  [4352]byte
	buffer16K [16640]byte
	buffer64K [65792]byte
)

var (
	pool1K  = sync.Pool{New: func() any { return new(buffer1K) }}
	pool4K  = sync.Pool{New: func() any { return new(buffer4K) }}
	pool16K = sync.Pool{New: func() any { return new(buffer16K) }}
	pool64K = sync.Pool{New: func() any { return new(buffer64K) }}
)

// allocBuffer returns a buffer of n bytes.
func allocBuffer(n int) []byte {
	switch {
	case n <= smallBuffer:
	case n <= len(buffer1K{}):
		return pool1K.Get().(*buffer1K)[:n]
	case n <= len(buffer4K{}):
		return pool4K.Get().(*buffer4K)[:n]
	case n <= len(buffer16K{}):
		return pool16K.Get().(*buffer16K)[:n]
	case n <= len(buffer64K{}):
		return pool64K.Get().(*buffer64K)[:n]
	}
	return make([]byte, n)
}

// freeBuffer takes back what allocBuffer gave; nil is nothing.
func freeBuffer(b []byte) {
	b = b[:cap(b)]
	switch len(b) {
	case len(buffer1K{}):
		pool1K.Put((*buffer1K)(b))
	case len(buffer4K{}):
		pool4K.Put((*buffer4K)(b))
	case len(buffer16K{}):
		pool16K.Put((*buffer16K)(b))
	case len(buffer64K{}):
		pool64K.Put((*buffer64K)(b))
	}
}
