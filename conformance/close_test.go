package conformance

import (
	"context"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"mesh.example/msp/mspnet"
)

// TestCloseDelivers: Close takes no time, and everything written before it
// arrives, with the end behind it, however much and however slow the reader.
func TestCloseDelivers(t *testing.T) {
	for name, size := range map[string]int{"nothing": 0, "a byte": 1, "a message": 1024, "a message and a byte": 1025, "all that fits": 100_000} {
		t.Run(name, func(t *testing.T) {
			sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
				sent := random(size)
				write(t, c, sent)
				start := time.Now()
				try(t, "Close", c.Close())
				wantAfter(t, "Close", start, 0)
				time.Sleep(time.Minute) // the reader does something else
				wantAll(t, "the peer", peer, sent)
			})
		})
	}
}

// TestNothingLostBeforeEnd: what was written before an orderly end arrives,
// whatever either application does besides.
func TestNothingLostBeforeEnd(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, w *world, c, peer *mspnet.Conn){
		"Close": func(t *testing.T, w *world, c, peer *mspnet.Conn) { c.Close() },
		"CloseWrite and Close": func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			c.CloseWrite()
			c.Close()
		},
		"CloseRead and Close": func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			c.CloseRead()
			c.Close()
		},
		"Close twice": func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			c.Close()
			c.Close()
		},
		"CloseContext that is over": func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := c.CloseContext(ctx); err == nil {
				t.Error("CloseContext that was cancelled: nil")
			}
		},
		"Close after a past deadline": func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			c.SetDeadline(time.Unix(1, 0))
			c.Close()
		},
		"Close, and the peer ends its direction": func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			c.Close()
			peer.CloseWrite()
		},
		"Close, after the peer ended its direction": func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			peer.CloseWrite()
			pass(time.Second)
			c.Close()
		},
		"Close with data unread": func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			write(t, peer, random(2000))
			pass(time.Second)
			c.Close()
		},
		"Close while data arrive": func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			write(t, peer, random(50_000))
			c.Close()
		},
		"Close, and the peer's deadline passes": func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			c.Close()
			peer.SetReadDeadline(time.Now().Add(roundTrip))
			n, err := io.Copy(io.Discard, onlyEmpty{peer})
			wantOpError(t, "the peer's read", err, os.ErrDeadlineExceeded, true)
			if n != 0 {
				t.Errorf("%d bytes went to the read with a deadline", n)
			}
			peer.SetReadDeadline(time.Time{})
		},
		"Close, and the link is bad": func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			im := steady
			im.Loss, im.Reorder, im.Duplicate = 0.2, 0.2, 0.2
			w.net.SetImpairmentAll(im)
			c.Close()
		},
		"Close, and the link is cut when all is delivered": func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			if err := c.CloseContext(t.Context()); err != nil {
				t.Errorf("CloseContext: %v", err)
			}
			w.net.Cut(w.clientLink, w.serverLink)
			time.Sleep(time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
				sent := random(60_000)
				write(t, c, sent)
				end(t, w, c, peer)
				wantAll(t, "the peer", peer, sent)
			})
		})
	}
}

// onlyEmpty reads with an empty slice until that fails.
type onlyEmpty struct{ c *mspnet.Conn }

func (r onlyEmpty) Read([]byte) (int, error) {
	time.Sleep(time.Millisecond)
	return r.c.Read(nil)
}

// TestCloseContext: nil comes with the acknowledgement of the last byte and the
// end, one round trip later, and not before.
func TestCloseContext(t *testing.T) {
	sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
		write(t, c, []byte("last words"))
		start := time.Now()
		try(t, "CloseContext", c.CloseContext(t.Context()))
		wantAfter(t, "CloseContext", start, roundTrip)
		try(t, "CloseContext after that", c.CloseContext(t.Context()))
		wantAfter(t, "CloseContext after that", start, roundTrip)
		wantAll(t, "the peer", peer, []byte("last words"))
	})
	t.Run("after Close", func(t *testing.T) {
		sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			write(t, c, []byte("last words"))
			start := time.Now()
			try(t, "Close", c.Close())
			try(t, "CloseContext", c.CloseContext(t.Context()))
			wantAfter(t, "CloseContext", start, roundTrip)
		})
	})
	t.Run("slow reader", func(t *testing.T) {
		sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			sent := random(1_000_000) // more than everybody's buffers hold
			go func() {
				time.Sleep(time.Minute)
				wantAll(t, "the peer", peer, sent)
			}()
			start := time.Now()
			write(t, c, sent)
			try(t, "CloseContext", c.CloseContext(t.Context()))
			if d := time.Since(start); d < time.Minute {
				t.Errorf("CloseContext: nil after %v, before anybody has read", d)
			}
		})
	})
}

// TestCloseContextFails: no verdict of delivery without the acknowledgement.
func TestCloseContextFails(t *testing.T) {
	t.Run("link cut", func(t *testing.T) {
		sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			pass(2 * roundTrip) // the opening is over
			write(t, peer, []byte("x"))
			wantRead(t, "a last sign of life", c, []byte("x"))
			w.net.Cut(w.clientLink, w.serverLink)
			write(t, c, []byte("last words"))
			start := time.Now()
			wantOpError(t, "CloseContext", c.CloseContext(t.Context()), syscall.ETIMEDOUT, true)
			wantAfter(t, "CloseContext", start, silence)
			wantOpError(t, "CloseContext again", c.CloseContext(t.Context()), syscall.ETIMEDOUT, true)
		})
	})
	t.Run("context done, and delivery goes on", func(t *testing.T) {
		sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			w.net.Cut(w.clientLink, w.serverLink)
			sent := random(20_000)
			write(t, c, sent)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			start := time.Now()
			wantOpError(t, "CloseContext", c.CloseContext(ctx), context.DeadlineExceeded, true)
			wantAfter(t, "CloseContext", start, 3*time.Second)
			w.net.Heal()
			wantAll(t, "the peer", peer, sent)
		})
	})
	t.Run("peer aborts", func(t *testing.T) {
		sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			write(t, c, random(100_000))
			verdict := async(func() error { return c.CloseContext(t.Context()) })
			abort(t, peer)
			wantOpError(t, "CloseContext", (<-verdict).err, syscall.ECONNRESET, false)
		})
	})
	t.Run("own abort", func(t *testing.T) {
		sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			abort(t, c)
			wantOpError(t, "CloseContext", c.CloseContext(t.Context()), net.ErrClosed, false)
		})
	})
}

// TestAfterClose: every call says net.ErrClosed, those that wait at once.
func TestAfterClose(t *testing.T) {
	sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
		read := async(func() error { _, err := c.Read(make([]byte, 1)); return err })
		filled := async(func() error { _, err := c.Write(random(10 << 20)); return err })
		time.Sleep(time.Second)
		c.Close()
		for what, r := range map[string]ended{"Read": <-read, "Write": <-filled} {
			wantOpError(t, what+" that waited", r.err, net.ErrClosed, false)
			wantAfter(t, what+" that waited", r.at, 0)
		}
		for what, err := range closedCalls(c) {
			wantOpError(t, what, err, net.ErrClosed, false)
		}
		if c.LocalAddr() == nil || c.RemoteAddr() == nil {
			t.Errorf("addresses after Close: %v, %v", c.LocalAddr(), c.RemoteAddr())
		}
	})
}

// closedCalls makes every call that may fail on a closed connection.
func closedCalls(c *mspnet.Conn) map[string]error {
	errs := make(map[string]error)
	_, errs["Read"] = c.Read(make([]byte, 1))
	_, _, errs["ReadMessage"] = c.ReadMessage(make([]byte, 1))
	_, errs["Write"] = c.Write([]byte("x"))
	errs["WriteMessage"] = c.WriteMessage([]byte("x"))
	_, errs["WriteTo"] = c.WriteTo(io.Discard)
	_, errs["ReadFrom"] = c.ReadFrom(neverEnding{})
	errs["CloseWrite"] = c.CloseWrite()
	errs["CloseRead"] = c.CloseRead()
	errs["SetDeadline"] = c.SetDeadline(time.Time{})
	errs["SetReadDeadline"] = c.SetReadDeadline(time.Time{})
	errs["SetWriteDeadline"] = c.SetWriteDeadline(time.Time{})
	errs["Close"] = c.Close()
	return errs
}

// neverEnding is a stream of zeros.
type neverEnding struct{}

func (neverEnding) Read(b []byte) (int, error) { return len(b), nil }
