package conformance

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"mesh.example/msp/mspnet"
)

// TestCopy: io.Copy from and to a Conn goes by ReadFrom and WriteTo, tells how
// many bytes it moved, and ends with the peer's direction.
func TestCopy(t *testing.T) {
	sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
		sent := random(300_001)
		go func() {
			n, err := io.Copy(c, onlyReader{bytes.NewReader(sent)})
			if n != int64(len(sent)) || err != nil {
				t.Errorf("io.Copy to the Conn: %d, %v; want %d", n, err, len(sent))
			}
			try(t, "CloseWrite", c.CloseWrite())
		}()
		var got bytes.Buffer
		n, err := io.Copy(onlyWriter{&got}, peer)
		if n != int64(len(sent)) || err != nil || !bytes.Equal(got.Bytes(), sent) {
			t.Errorf("io.Copy from the Conn: %d, %v; want the %d bytes sent", n, err, len(sent))
		}
	})
}

// TestCopyThrough: io.Copy from one Conn to another, as a proxy does, with half
// close passed on both ways.
func TestCopyThrough(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		client, front := w.connect(t)
		back, server := w.connect(t)
		relay := func(to, from *mspnet.Conn) {
			if _, err := io.Copy(to, from); err != nil {
				t.Errorf("relay: %v", err)
			}
			try(t, "CloseWrite", to.CloseWrite())
		}
		go relay(back, front)
		go relay(front, back)
		question, answer := random(100_000), random(200_000)
		go func() {
			write(t, client, question)
			try(t, "CloseWrite", client.CloseWrite())
		}()
		wantAll(t, "the question", server, question)
		go func() {
			write(t, server, answer)
			try(t, "CloseWrite", server.CloseWrite())
		}()
		wantAll(t, "the answer", client, answer)
	})
}

// TestCopyErrors: the error of the other party is given as it is, that of the
// connection as always, and the count is of what was moved.
func TestCopyErrors(t *testing.T) {
	broken := errors.New("broken")
	sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
		n, err := c.ReadFrom(io.MultiReader(bytes.NewReader(make([]byte, 100)), failing{broken}))
		if n != 100 || err != broken {
			t.Errorf("ReadFrom of a broken reader: %d, %v; want 100 and its error", n, err)
		}
		n, err = peer.WriteTo(failing{broken})
		if n != 0 || err != broken {
			t.Errorf("WriteTo a broken writer: %d, %v; want 0 and its error", n, err)
		}
		abort(t, c)
		n, err = peer.WriteTo(io.Discard)
		wantOpError(t, "WriteTo after a reset", err, syscall.ECONNRESET, false)
		if n != 0 {
			t.Errorf("WriteTo after a reset: %d bytes", n)
		}
		_, err = peer.ReadFrom(neverEnding{})
		wantOpError(t, "ReadFrom after a reset", err, syscall.ECONNRESET, false)
	})
}

var (
	_ io.ReaderFrom = (*mspnet.Conn)(nil)
	_ io.WriterTo   = (*mspnet.Conn)(nil)
	_ net.Conn      = (*mspnet.Conn)(nil)
	_ net.Listener  = (*mspnet.Listener)(nil)
)

// onlyReader and onlyWriter hide all methods but one from io.Copy.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)

// failing fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }
