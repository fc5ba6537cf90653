package conformance

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"mesh.example/msp/mspnet"
)

// TestMessages: boundaries are kept from end to end ([MSP-2.13], [MSP-5.2.1]),
// over a bad link too.
func TestMessages(t *testing.T) {
	sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
		im := steady
		im.Loss, im.Reorder, im.Duplicate = 0.1, 0.1, 0.1
		w.net.SetImpairmentAll(im)
		var sent [][]byte
		for i := range 300 {
			sent = append(sent, random(mspnet.MaxMessage)[:1+i*i%mspnet.MaxMessage])
		}
		sent = append(sent, random(mspnet.MaxMessage))
		go func() {
			for _, m := range sent {
				try(t, "WriteMessage", c.WriteMessage(m))
			}
			try(t, "CloseWrite", c.CloseWrite())
		}()
		buf := make([]byte, mspnet.MaxMessage)
		for i, want := range sent {
			n, more, err := peer.ReadMessage(buf)
			if err != nil || more || !bytes.Equal(buf[:n], want) {
				t.Fatalf("message %d: %d bytes, more %v, %v; want the %d sent", i, n, more, err, len(want))
			}
		}
		if n, more, err := peer.ReadMessage(buf); n != 0 || more || err != io.EOF {
			t.Errorf("behind the last: %d, %v, %v; want EOF", n, more, err)
		}
	})
}

// TestShortBuffer: what does not fit is kept for the next call, with more set;
// Read goes on in the middle of a message and ReadMessage behind Read.
func TestShortBuffer(t *testing.T) {
	sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
		for _, m := range []string{"abcdef", "ghi", "jklm", "n"} {
			try(t, "WriteMessage", c.WriteMessage([]byte(m)))
		}
		pass(time.Second)
		next := func(size int, want string, wantMore bool) {
			t.Helper()
			b := make([]byte, size)
			n, more, err := peer.ReadMessage(b)
			if string(b[:n]) != want || more != wantMore || err != nil {
				t.Errorf("ReadMessage of %d: %q, %v, %v; want %q, %v", size, b[:n], more, err, want, wantMore)
			}
		}
		next(2, "ab", true)
		next(0, "", true)
		next(3, "cde", true)
		next(1, "f", false)
		next(3, "ghi", false)
		next(2, "jk", true)
		wantRead(t, "Read in mid-message", peer, []byte("l"))
		next(100, "m", false)
		wantRead(t, "Read of the last", peer, []byte("n"))
	})
}

// TestReadCrossesMessages: Read takes no notice of boundaries.
func TestReadCrossesMessages(t *testing.T) {
	sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
		for _, m := range []string{"abc", "def", "ghi"} {
			try(t, "WriteMessage", c.WriteMessage([]byte(m)))
		}
		pass(time.Second)
		b := make([]byte, 7)
		if n, err := peer.Read(b); string(b[:n]) != "abcdefg" || err != nil {
			t.Errorf("Read: %q, %v; want 7 bytes of three messages", b[:n], err)
		}
		if n, more, err := peer.ReadMessage(b); string(b[:n]) != "hi" || more || err != nil {
			t.Errorf("ReadMessage: %q, %v, %v; want the rest of the third", b[:n], more, err)
		}
	})
}

// TestWriteIsOneMessage: a Write of up to the limit is one message, a longer
// one full messages and the rest.
func TestWriteIsOneMessage(t *testing.T) {
	sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
		pass(2 * roundTrip) // each knows what the other takes
		limit := c.MaxMessage()
		if want := 64 << 10; !published && limit != want || published && limit != mspnet.MaxMessage {
			t.Errorf("messages of %d bytes at most", limit)
		}
		sent := random(2*limit + 5)
		write(t, c, sent[:3])
		write(t, c, sent[:limit])
		write(t, c, sent)
		for i, want := range []int{3, limit, limit, limit, 5} {
			if n, more, err := peer.ReadMessage(make([]byte, limit+1000)); n != want || more || err != nil {
				t.Errorf("message %d: %d, %v, %v; want %d bytes", i, n, more, err, want)
			}
		}
	})
}

// TestBadMessages: an empty one, and one beyond the limit, are clear errors and
// send nothing ([MSP-2.13]).
func TestBadMessages(t *testing.T) {
	sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
		time.Sleep(100 * time.Millisecond) // the opening is over
		sent := w.countPackets()
		for _, size := range []int{0, c.MaxMessage() + 1, 1 << 20} {
			err := c.WriteMessage(make([]byte, size))
			if op, ok := err.(*net.OpError); !ok || op.Op != "write" || op.Timeout() {
				t.Errorf("WriteMessage of %d bytes: %v, want a *net.OpError", size, err)
			}
		}
		if n, err := c.Write(nil); n != 0 || err != nil {
			t.Errorf("Write of nothing: %d, %v; want 0 and no error", n, err)
		}
		if pass(100 * time.Millisecond); sent() != 0 {
			t.Errorf("%d packets sent", sent())
		}
		try(t, "WriteMessage", c.WriteMessage([]byte("fine")))
		if n, more, err := peer.ReadMessage(make([]byte, 10)); n != 4 || more || err != nil {
			t.Errorf("the next message: %d, %v, %v; want 4 bytes", n, more, err)
		}
	})
}

// TestConcurrentWrites: writes of several goroutines do not mix, though each has
// to wait for room.
func TestConcurrentWrites(t *testing.T) {
	sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
		const writers, size = 5, 200_000
		done := make(chan struct{})
		for i := range writers {
			go func() {
				write(t, c, bytes.Repeat([]byte{byte(i)}, size))
				done <- struct{}{}
			}()
		}
		go func() {
			for range writers {
				<-done
			}
			try(t, "CloseWrite", c.CloseWrite())
		}()
		seen := make(map[byte]bool)
		b := make([]byte, size)
		for range writers {
			if _, err := io.ReadFull(peer, b); err != nil {
				t.Fatal(err)
			}
			if bytes.Count(b, b[:1]) != size || seen[b[0]] {
				t.Fatalf("a write of %d came mixed or twice", b[0])
			}
			seen[b[0]] = true
		}
		wantEOF(t, "behind them", peer)
	})
}
