package conformance

import (
	"io"
	"syscall"
	"testing"
	"time"

	"mesh.example/msp/mspnet"
)

// sides runs f twice: with the end that dialled as c, and with the other.
func sides(t *testing.T, f func(t *testing.T, w *world, c, peer *mspnet.Conn)) {
	t.Helper()
	t.Run("dialled", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			c, s := w.connect(t)
			f(t, w, c, s)
		})
	})
	t.Run("accepted", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			c, s := w.connect(t)
			f(t, w, s, c)
		})
	})
}

// TestHalfClose: each direction ends by itself, and the other goes on for as
// long as it likes ([MSP-8.1.4], [MSP-8.1.5]).
func TestHalfClose(t *testing.T) {
	sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
		write(t, c, []byte("question"))
		try(t, "CloseWrite", c.CloseWrite())
		wantAll(t, "the peer", peer, []byte("question"))
		_, err := c.Write([]byte("more"))
		wantOpError(t, "Write after CloseWrite", err, syscall.EPIPE, false)
		wantOpError(t, "WriteMessage after CloseWrite", c.WriteMessage([]byte("more")), syscall.EPIPE, false)

		time.Sleep(time.Minute)
		answer := random(300_000)
		go func() {
			write(t, peer, answer)
			try(t, "peer's CloseWrite", peer.CloseWrite())
		}()
		wantAll(t, "the answer", c, answer)
		time.Sleep(time.Minute)
		wantEOF(t, "a minute later", c)
		wantEOF(t, "the peer a minute later", peer)
	})
}

// TestCloseWriteWakesWriters: a Write that waits for room ends with EPIPE.
func TestCloseWriteWakesWriters(t *testing.T) {
	sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
		start := time.Now()
		blocked := async(func() error { _, err := c.Write(random(10 << 20)); return err })
		time.Sleep(time.Minute)
		try(t, "CloseWrite", c.CloseWrite())
		r := <-blocked
		wantOpError(t, "the Write that waited", r.err, syscall.EPIPE, false)
		if d := r.at.Sub(start); d != time.Minute {
			t.Errorf("the Write that waited ended after %v, want with CloseWrite, after a minute", d)
		}
	})
}

// TestCloseRead: reads end at once with io.EOF, those that wait too; the peer's
// writes go on and are thrown away; our own direction is as before.
func TestCloseRead(t *testing.T) {
	sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
		write(t, peer, []byte("never read"))
		time.Sleep(roundTrip)
		waiting := async(func() error {
			wantRead(t, "before CloseRead", c, []byte("never"))
			_, err := io.Copy(io.Discard, c)
			return err
		})
		time.Sleep(time.Second)
		try(t, "CloseRead", c.CloseRead())
		if r := <-waiting; r.err != nil || time.Since(r.at) != 0 {
			t.Errorf("the read that waited: %v, %v ago; want EOF now", r.err, time.Since(r.at))
		}
		wantEOF(t, "after CloseRead", c)
		write(t, peer, random(flood)) // far more than anybody buffers
		write(t, c, []byte("still here"))
		wantRead(t, "the peer", peer, []byte("still here"))
		wantEOF(t, "after CloseRead, later", c)
	})
}

// TestCloseReadStopsWriter: a peer that writes to nobody, with nothing left to
// come, is told ([MSP-8.3.4], [MSP-8.3.5]).
func TestCloseReadStopsWriter(t *testing.T) {
	sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
		try(t, "CloseRead", c.CloseRead())
		answer := random(100_000)
		go func() {
			write(t, c, answer)
			try(t, "CloseWrite", c.CloseWrite())
		}()
		write(t, peer, []byte("while the answer is under way"))
		wantAll(t, "the answer", peer, answer)
		pass(roundTrip) // the acknowledgement of its end
		write(t, peer, []byte("nobody reads this"))
		pass(roundTrip)
		_, err := peer.Write([]byte("or this"))
		wantOpError(t, "Write to nobody", err, syscall.ECONNRESET, false)
		wantEOF(t, "what was delivered stays so", peer)
	})
}

// TestNoEOFWithoutShutdown: a reader of a silent or vanished peer never sees
// EOF.
func TestNoEOFWithoutShutdown(t *testing.T) {
	t.Run("silent application", func(t *testing.T) {
		sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			start := time.Now()
			read := async(func() error { _, err := c.Read(make([]byte, 1)); return err })
			time.Sleep(time.Hour)
			write(t, peer, []byte("x"))
			r := <-read
			if d := r.at.Sub(start); r.err != nil || d != time.Hour+oneWay {
				t.Errorf("Read: %v after %v, want a byte after %v", r.err, d, time.Hour+oneWay)
			}
		})
	})
	t.Run("vanished peer", func(t *testing.T) {
		sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			write(t, peer, []byte("abc"))
			time.Sleep(oneWay) // c hears it, and the peer no more
			start := time.Now()
			w.net.Cut(w.clientLink, w.serverLink)
			wantRead(t, "what had arrived", c, []byte("abc"))
			_, err := c.Read(make([]byte, 1))
			wantOpError(t, "Read", err, syscall.ETIMEDOUT, true)
			if d := time.Since(start); published && d != silence || d < silence || d > idleSilence+roundTrip {
				t.Errorf("Read [MSP-7.5], [MSX-14.1]: after %v, want %v … %v", d, silence, idleSilence)
			}
			_, err = c.Write([]byte("x"))
			wantOpError(t, "Write", err, syscall.ETIMEDOUT, true)
		})
	})
	t.Run("node of the peer closed", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			c, s := w.connect(t)
			write(t, s, []byte("abc"))
			time.Sleep(oneWay)
			w.server.Close()
			wantRead(t, "what had arrived", c, []byte("abc"))
			_, err := c.Read(make([]byte, 1))
			wantOpError(t, "Read", err, syscall.ECONNRESET, false)
		})
	})
}
