package engine

import "sync"

const (
	// smallBuffer and less is allocated to measure, not to pin a whole buffer.
	smallBuffer = 256

	// keptBytes of each size of buffers stay allocated, about as much as a busy
	// connection uses. The garbage collector empties a sync.Pool, and runs often
	// where the heap is small.
	keptBytes = 512 << 10
)

// The sizes of buffers that are pooled: for the largest message of the published
// protocol, for those of the extended format, and for what is between; each
// behind the room for its header.
type (
	buffer1K  [1088]byte
	buffer4K  [4352]byte
	buffer16K [16640]byte
	buffer64K [65792]byte
)

var pools = [...]*bufferPool{
	{size: len(buffer1K{}), array: func(b []byte) any { return (*buffer1K)(b) }, slice: func(a any) []byte { return a.(*buffer1K)[:] }},
	{size: len(buffer4K{}), array: func(b []byte) any { return (*buffer4K)(b) }, slice: func(a any) []byte { return a.(*buffer4K)[:] }},
	{size: len(buffer16K{}), array: func(b []byte) any { return (*buffer16K)(b) }, slice: func(a any) []byte { return a.(*buffer16K)[:] }},
	{size: len(buffer64K{}), array: func(b []byte) any { return (*buffer64K)(b) }, slice: func(a any) []byte { return a.(*buffer64K)[:] }},
}

// allocBuffer returns a buffer of n bytes.
func allocBuffer(n int) []byte {
	if n > smallBuffer {
		for _, p := range pools {
			if n <= p.size {
				return p.get()[:n]
			}
		}
	}
	return make([]byte, n)
}

// freeBuffer takes back what allocBuffer gave; nil is nothing.
func freeBuffer(b []byte) {
	for _, p := range pools {
		if cap(b) == p.size {
			p.put(b[:p.size])
		}
	}
}

// A bufferPool has buffers of one size that are not in use.
type bufferPool struct {
	// Constant.
	size  int
	array func([]byte) any // a pointer to the buffer's array, which a sync.Pool takes without allocating
	slice func(any) []byte // and back

	mu   sync.Mutex
	kept [][]byte  // guarded by mu
	more sync.Pool // those beyond
}

func (p *bufferPool) get() []byte {
	p.mu.Lock()
	if last := len(p.kept) - 1; last >= 0 {
		b := p.kept[last]
		p.kept[last], p.kept = nil, p.kept[:last]
		p.mu.Unlock()
		return b
	}
	p.mu.Unlock()
	if a := p.more.Get(); a != nil {
		return p.slice(a)
	}
	return make([]byte, p.size)
}

func (p *bufferPool) put(b []byte) {
	p.mu.Lock()
	if len(p.kept) < keptBytes/p.size {
		p.kept = append(p.kept, b)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	p.more.Put(p.array(b))
}
