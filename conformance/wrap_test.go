package conformance

import (
	"encoding/binary"
	"io"
	"testing"
)

// TestSequenceWrap: numbers of 16 bits come round in the middle of a stream,
// over a link that loses, repeats and reorders ([MSP-3.1], [MSP-3.2]).
func TestSequenceWrap(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c, s := w.connect(t)
		im := steady
		im.Delay /= 10
		im.Loss, im.Reorder, im.Duplicate = 0.001, 0.01, 0.01
		im.ReorderBy = im.Delay
		w.net.SetImpairmentAll(im)
		const messages = 1<<16 + 1000
		go func() {
			for i := range uint32(messages) {
				if err := c.WriteMessage(binary.BigEndian.AppendUint32(nil, i)); err != nil {
					t.Errorf("message %d: %v", i, err)
					break
				}
			}
			try(t, "CloseWrite", c.CloseWrite())
		}()
		var b [4]byte
		for i := range uint32(messages) {
			n, more, err := s.ReadMessage(b[:])
			if got := binary.BigEndian.Uint32(b[:]); n != 4 || more || err != nil || got != i {
				t.Fatalf("message %d: %d bytes, %v, %v, number %d", i, n, more, err, got)
			}
		}
		if n, err := s.Read(b[:]); n != 0 || err != io.EOF {
			t.Errorf("behind the last: %d, %v; want EOF", n, err)
		}
	})
}
