package conformance

import (
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"mesh.example/msp/mspnet"
)

// TestAbort: SetLinger(0) and Close is a reset for the peer, never EOF; what it
// had received in order it can still read; what was only queued is dropped
// ([MSP-6.3.2], [MSP-8.3.1], [MSP-8.3.2]).
func TestAbort(t *testing.T) {
	sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
		write(t, c, []byte("arrived"))
		time.Sleep(roundTrip)
		waiting := async(func() error { _, err := io.Copy(io.Discard, c); return err })
		full := async(func() error { _, err := c.Write(random(10 << 20)); return err })
		time.Sleep(time.Minute)
		start := time.Now()
		abort(t, c)
		wantAfter(t, "Close", start, 0)
		for what, r := range map[string]ended{"read": <-waiting, "write": <-full} {
			wantOpError(t, "the "+what+" that waited", r.err, net.ErrClosed, false)
			if d := r.at.Sub(start); d != 0 {
				t.Errorf("the %s that waited ended %v after the abort", what, d)
			}
		}
		time.Sleep(oneWay)
		wantRead(t, "what had arrived", peer, []byte("arrived"))
		n, err := io.Copy(io.Discard, peer)
		wantOpError(t, "Read", err, syscall.ECONNRESET, false)
		if n == 0 || n > flood {
			t.Errorf("%d more bytes read before the reset; want what was received of 10 MB", n)
		}
		_, err = peer.Write([]byte("x"))
		wantOpError(t, "Write", err, syscall.ECONNRESET, false)
		wantOpError(t, "CloseWrite", peer.CloseWrite(), syscall.ECONNRESET, false)
		try(t, "Close", peer.Close())
	})
}

// TestAbortKeepsReceived: all that had arrived in order is read before the
// reset, also what was not acknowledged for want of room.
func TestAbortKeepsReceived(t *testing.T) {
	sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
		filled := async(func() error { _, err := c.Write(random(flood)); return err })
		time.Sleep(time.Second) // peer takes what it can, and nobody reads
		received := int64(peer.Stats().BytesReceived)
		abort(t, c)
		<-filled
		pass(oneWay)
		n, err := io.Copy(io.Discard, peer)
		wantOpError(t, "Read", err, syscall.ECONNRESET, false)
		if n != received || n == 0 {
			t.Errorf("%d bytes read before the reset, of %d received", n, received)
		}
	})
}

// TestAbortIsNeverEOF: not even when the end of the stream was queued already,
// and not when the abort is repeated in another guise.
func TestAbortIsNeverEOF(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, w *world, c *mspnet.Conn){
		"CloseWrite, then abort": func(t *testing.T, w *world, c *mspnet.Conn) {
			try(t, "CloseWrite", c.CloseWrite())
			abort(t, c)
		},
		"abort, then Close": func(t *testing.T, w *world, c *mspnet.Conn) {
			abort(t, c)
			wantOpError(t, "second Close", c.Close(), net.ErrClosed, false)
		},
		"abort, then CloseWrite": func(t *testing.T, w *world, c *mspnet.Conn) {
			abort(t, c)
			wantOpError(t, "CloseWrite", c.CloseWrite(), net.ErrClosed, false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
				write(t, c, random(50*1024)) // more than the window
				end(t, w, c)
				_, err := io.Copy(io.Discard, peer)
				wantOpError(t, "the peer", err, syscall.ECONNRESET, false)
			})
		})
	}
}

// TestSetLingerPositive: any other number than 0 delivers, as no SetLinger does.
func TestSetLingerPositive(t *testing.T) {
	for _, sec := range []int{-1, 1, 100} {
		sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			try(t, "SetLinger", c.SetLinger(0))
			try(t, "SetLinger", c.SetLinger(sec))
			sent := random(50 * 1024)
			write(t, c, sent)
			try(t, "Close", c.Close())
			wantAll(t, "the peer", peer, sent)
		})
	}
}
