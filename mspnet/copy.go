package mspnet

import (
	"io"
	"sync"
)

// copyBuffer is what ReadFrom and WriteTo move at a time: enough that a call of
// the kernel at the other side of the copy carries many messages.
const copyBuffer = 32 * MaxMessage

var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// ReadFrom writes what it reads from r, until io.EOF, and returns how many bytes
// those were. io.Copy calls it.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	return copyPooled(struct{ io.Writer }{c}, r)
}

// WriteTo writes what it reads to w, until the peer's end, and returns how many
// bytes those were. io.Copy calls it.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	return copyPooled(w, struct{ io.Reader }{c})
}

func copyPooled(w io.Writer, r io.Reader) (int64, error) {
	buf := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, buf[:])
}
