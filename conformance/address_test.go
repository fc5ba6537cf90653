package conformance

import (
	"slices"
	"testing"
	"time"

	"mesh.example/msp/mspnet"
)

// TestAddressChange: a stream goes on, whole and without an error, when a node's
// address changes in the middle of it: that of either end, of both one after
// the other or at once, with data under way or none, and again and again.
func TestAddressChange(t *testing.T) {
	change := map[string]func(w *world){
		"client": func(w *world) { w.clientLink.Rebind() },
		"server": func(w *world) { w.serverLink.Rebind() },
		"both, one after the other": func(w *world) {
			w.clientLink.Rebind()
			time.Sleep(3 * time.Second)
			w.serverLink.Rebind()
		},
		"both at once": func(w *world) {
			w.clientLink.Rebind()
			w.serverLink.Rebind()
		},
		"client, many times": func(w *world) {
			for range 5 {
				w.clientLink.Rebind()
				time.Sleep(2 * time.Second)
			}
		},
	}
	for name, rebind := range change {
		t.Run(name+", in mid-transfer", func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				c, s := w.connect(t)
				up, down := random(400_000), random(500_000)
				go trickle(t, c, up)
				go trickle(t, s, down)
				changed := async(func() error {
					time.Sleep(time.Second)
					rebind(w)
					return nil
				})
				got := async(func() error { wantAll(t, "the server", s, up); return nil })
				wantAll(t, "the client", c, down)
				<-got
				<-changed
				wantEndpoints(t, w)
			})
		})
		t.Run(name+", while idle", func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				c, s := w.connect(t)
				write(t, c, []byte("before"))
				wantRead(t, "the server", s, []byte("before"))
				pass(time.Minute)
				rebind(w)
				pass(time.Minute)
				write(t, s, []byte("after"))
				wantRead(t, "the client", c, []byte("after"))
				write(t, c, []byte("and back"))
				wantRead(t, "the server", s, []byte("and back"))
				wantEndpoints(t, w)
			})
		})
	}
}

// wantEndpoints fails unless each node has found and proven where the other is.
func wantEndpoints(t *testing.T, w *world) {
	t.Helper()
	if got, want := w.client.Path(w.client.Primary(), w.server.Primary()).Endpoint, w.serverLink.LocalAddr(); got != want {
		t.Errorf("the client sends to %v, want %v", got, want)
	}
	if got, want := w.server.Path(w.server.Primary(), w.client.Primary()).Endpoint, w.clientLink.LocalAddr(); got != want {
		t.Errorf("the server sends to %v, want %v", got, want)
	}
}

// trickle writes b in a hundred parts, in more than ten seconds, then ends the
// direction.
func trickle(t *testing.T, c *mspnet.Conn, b []byte) {
	for part := range slices.Chunk(b, len(b)/100) {
		write(t, c, part)
		time.Sleep(120 * time.Millisecond)
	}
	try(t, "CloseWrite", c.CloseWrite())
}
