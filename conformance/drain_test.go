package conformance

import (
	"context"
	"testing"
	"time"

	"mesh.example/msp/mspnet"
)

// TestDrain: it waits for what was closed to be delivered, and for nothing else.
func TestDrain(t *testing.T) {
	t.Run("nothing to wait for", func(t *testing.T) {
		sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
			start := time.Now()
			write(t, c, random(1000)) // not closed: not waited for
			try(t, "Drain", mspnet.Drain(t.Context(), w.client))
			try(t, "Drain", mspnet.Drain(t.Context(), w.server))
			wantAfter(t, "Drain", start, 0)
		})
	})
	t.Run("then the node may go", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			c, s := w.connect(t)
			sent := random(60_000)
			write(t, c, sent)
			try(t, "Close", c.Close())
			start := time.Now()
			try(t, "Drain", mspnet.Drain(t.Context(), w.client))
			if d := time.Since(start); d == 0 || d > 3*time.Second {
				t.Errorf("Drain took %v, want the time to deliver 60 messages", d)
			}
			w.client.Close()
			wantAll(t, "the peer", s, sent)
		})
	})
	t.Run("slow reader", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			c, s := w.connect(t)
			sent := random(1_000_000)
			go func() {
				time.Sleep(time.Minute)
				wantAll(t, "the peer", s, sent)
			}()
			start := time.Now()
			write(t, c, sent)
			try(t, "Close", c.Close())
			try(t, "Drain", mspnet.Drain(t.Context(), w.client))
			if d := time.Since(start); d < time.Minute {
				t.Errorf("Drain returned after %v, before anybody has read", d)
			}
		})
	})
	t.Run("context", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			c, _ := w.connect(t)
			w.net.Cut(w.clientLink, w.serverLink)
			write(t, c, random(1000))
			try(t, "Close", c.Close())
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			if err := mspnet.Drain(ctx, w.client); err != context.DeadlineExceeded {
				t.Errorf("Drain: %v, want the context's error", err)
			}
			wantAfter(t, "Drain", start, time.Second)
			try(t, "Drain of what failed", mspnet.Drain(t.Context(), w.client))
			if d := time.Since(start); d > silence {
				t.Errorf("Drain gave up after %v, want at most %v", d, silence)
			}
		})
	})
	t.Run("many", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			l := w.listen(t)
			sent := random(20_000)
			var got []*mspnet.Conn
			for range 20 {
				c := w.dial(t)
				got = append(got, accept(t, l))
				write(t, c, sent)
				try(t, "Close", c.Close())
			}
			try(t, "Drain", mspnet.Drain(t.Context(), w.client))
			w.client.Close()
			for _, s := range got {
				wantAll(t, "a peer", s, sent)
			}
		})
	})
	t.Run("closed node", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			w.client.Close()
			try(t, "Drain", mspnet.Drain(t.Context(), w.client))
		})
	})
}
