package conformance

import (
	"slices"
	"testing"
	"time"

	"mesh.example/msp/engine"
	"mesh.example/msp/engine/msp"
	"mesh.example/msp/mdpconn"
)

// The rest of the statements of TestSeed: the handler and the end.

var seedHandler = map[string]func(t *testing.T, h *hands){
	"the error state tells of a time-out": func(t *testing.T, h *hands) {
		a, _, da, _ := h.pair(t)
		h.net.Cut(h.clientLink, h.serverLink)
		h.run(time.Minute)
		if got := da.last(a); got&msp.Failed == 0 || got&msp.Closed == 0 || !a.IsClosed() {
			t.Errorf("told %v, want ERROR and CLOSED", got)
		}
	},
	"messages come in the order in which they were sent": func(t *testing.T, h *hands) {
		a, _, _, db := h.pair(t)
		im := steady
		im.Reorder, im.ReorderBy = 0.5, 3*oneWay
		h.net.SetImpairmentAll(im)
		var want []string
		for i := range 50 {
			want = append(want, string(rune('A'+i)))
			try(t, "Send", a.Send([]byte(want[i])))
		}
		h.run(time.Minute)
		if !slices.Equal(db.messages, want) {
			t.Errorf("messages %q, want %q", db.messages, want)
		}
	},
	// Departure: a count of bytes in place of 0 for taken and 1 for not now.
	"a message that cannot be processed now is offered again by processing": func(t *testing.T, h *hands) {
		a, _, _, db := h.pair(t) // [MSP-12.2]
		var offered []string
		take := 0
		db.react = func(s *engine.Socket, state msp.State, payload []byte) int {
			if payload != nil {
				offered = append(offered, string(payload))
			}
			return min(take, len(payload))
		}
		try(t, "Send", a.Send([]byte("abcdef")))
		try(t, "Send", a.Send([]byte("next")))
		h.run(time.Second)
		for _, take = range []int{0, 2, 0, 3} {
			offered = nil
			h.b.step()
			if len(offered) != 1 {
				t.Errorf("a processing step offered %q, want one message", offered)
			}
		}
		if !slices.Equal(db.messages, []string{"ab", "cde"}) {
			t.Errorf("consumed %q", db.messages)
		}
		take = 100
		h.b.step()
		if want := []string{"ab", "cde", "f", "next"}; !slices.Equal(db.messages, want) {
			t.Errorf("consumed %q, want %q", db.messages, want)
		}
		h.run(time.Minute) // and the peer, which had to wait, is still there
		if !a.IsOpen() {
			t.Errorf("the peer's state is %v", a.State())
		}
	},
	"the handler may be called without news": func(t *testing.T, h *hands) {
		// It may, and here is not ([MSP-12.8]).
		_, _, da, _ := h.pair(t)
		da.states = make(map[*engine.Socket][]msp.State)
		h.run(time.Minute)
		if len(da.states) != 0 {
			t.Errorf("called %v in an idle minute", da.states)
		}
	},
	"data-out means that a send will succeed": func(t *testing.T, h *hands) {
		_, _, da, _ := h.pair(t)
		tried := false
		da.react = func(s *engine.Socket, state msp.State, payload []byte) int {
			if state&msp.DataOut != 0 && !tried {
				tried = true
				try(t, "Send", s.Send([]byte("x")))
			}
			return len(payload)
		}
		c, _ := h.connect(t)
		c.SetHandler(da.handler(t))
		h.run(time.Second)
		if !tried {
			t.Error("never told DATAOUT")
		}
	},
	"a remote shutdown leaves our direction open": func(t *testing.T, h *hands) {
		a, b, da, db := h.pair(t)
		try(t, "Send", b.Send([]byte("last of b")))
		b.Shutdown()
		h.run(time.Minute)
		if !a.IsShutdownRemote() || da.last(a)&msp.ShutdownRemote == 0 || !a.IsOpen() || !b.IsShutdownLocal() {
			t.Errorf("after the peer's shutdown: %v, told %v; the peer %v", a.State(), da.last(a), b.State())
		}
		try(t, "Send", a.Send([]byte("later")))
		h.run(time.Minute)
		if !slices.Equal(db.messages, []string{"later"}) || !slices.Equal(da.messages, []string{"last of b"}) {
			t.Errorf("messages %q and %q", db.messages, da.messages)
		}
		a.Shutdown()
		h.run(time.Minute)
		if !a.IsClosed() || !b.IsClosed() || da.closed[a] != 1 || db.closed[b] != 1 {
			t.Errorf("after both shutdowns: %v, %v", a.State(), b.State())
		}
	},
	"a negative result closes the socket": func(t *testing.T, h *hands) {
		a, b, _, db := h.pair(t)
		db.react = func(s *engine.Socket, state msp.State, payload []byte) int { return -1 }
		try(t, "Send", a.Send([]byte("x")))
		h.run(time.Second)
		if db.closed[b] != 1 || !b.IsClosed() || !a.IsClosed() {
			t.Errorf("told of the end %d times, states %v, %v", db.closed[b], b.State(), a.State())
		}
	},
	"closed is told exactly once, no matter how": func(t *testing.T, h *hands) {
		// [MSP-12.3]; the diary fails if something comes after it.
		for name, end := range map[string]func(a, b *engine.Socket){
			"both shut down":  func(a, b *engine.Socket) { a.Shutdown(); b.Shutdown() },
			"stop":            func(a, b *engine.Socket) { a.Stop() },
			"stop twice":      func(a, b *engine.Socket) { a.Stop(); a.Stop() },
			"peer's stop":     func(a, b *engine.Socket) { b.Stop() },
			"both stop":       func(a, b *engine.Socket) { a.Stop(); b.Stop() },
			"close":           func(a, b *engine.Socket) { a.Close() },
			"peer's close":    func(a, b *engine.Socket) { b.Close() },
			"shutdown, stop":  func(a, b *engine.Socket) { a.Shutdown(); h.run(time.Second); a.Stop() },
			"stop, then more": func(a, b *engine.Socket) { a.Stop(); a.Shutdown(); a.Close(); a.Send([]byte("x")) },
			"link cut":        func(a, b *engine.Socket) { h.net.Cut(h.clientLink, h.serverLink) },
			"close all":       func(a, b *engine.Socket) { h.a.CloseAll(time.Now()) },
		} {
			l, db := h.listen(t)
			a, da := h.connect(t)
			h.run(time.Second)
			b := db.sockets[len(db.sockets)-1]
			end(a, b)
			h.run(time.Minute)
			if da.closed[a] != 1 || db.closed[b] != 1 {
				t.Errorf("%s: told %d and %d times", name, da.closed[a], db.closed[b])
			}
			l.Stop()
			h.run(time.Second)
			if db.closed[l] != 1 || h.a.SocketCount() != 0 || h.b.SocketCount() != 0 {
				t.Errorf("%s: listener told %d times; %d and %d sockets are left", name, db.closed[l], h.a.SocketCount(), h.b.SocketCount())
			}
			h.net.Heal()
		}
	},
}

var seedClose = map[string]func(t *testing.T, h *hands){
	"after shutdown no message can be queued, and what was queued arrives": func(t *testing.T, h *hands) {
		a, b, _, db := h.pair(t)
		try(t, "Send", a.Send([]byte("queued")))
		a.Shutdown()
		if err := a.Send([]byte("late")); err != msp.ErrShutdown {
			t.Errorf("Send after Shutdown: %v, want ErrShutdown", err)
		}
		h.run(time.Second)
		if !slices.Equal(db.messages, []string{"queued"}) || !b.IsShutdownRemote() || a.IsClosed() {
			t.Errorf("messages %q, states %v, %v", db.messages, a.State(), b.State())
		}
	},
	"once both have shut down and all is transferred, it is closed": func(t *testing.T, h *hands) {
		a, b, da, db := h.pair(t)
		for range 20 {
			try(t, "Send", a.Send([]byte("from a")))
			try(t, "Send", b.Send([]byte("from b")))
		}
		a.Shutdown()
		b.Shutdown()
		h.run(time.Minute)
		if len(da.messages) != 20 || len(db.messages) != 20 || !a.IsClosed() || !b.IsClosed() {
			t.Errorf("%d and %d messages, states %v, %v", len(da.messages), len(db.messages), a.State(), b.State())
		}
		if bad := msp.Failed | msp.Stopped; da.last(a)&bad != 0 || db.last(b)&bad != 0 {
			t.Errorf("told %v and %v of an orderly end", da.last(a), db.last(b))
		}
	},
	"close destroys the local state without a word to the peer": func(t *testing.T, h *hands) {
		a, b, da, _ := h.pair(t)
		sent := countDatagrams(h.client)
		a.Close()
		h.a.step()
		if sent() != 0 || da.closed[a] != 1 {
			t.Errorf("%d datagrams sent, told of the end %d times", sent(), da.closed[a])
		}
		if !b.IsOpen() {
			t.Errorf("the peer knows: %v", b.State())
		}
	},
	"close may be called at any time, and takes effect in the next processing": func(t *testing.T, h *hands) {
		a, _, da, _ := h.pair(t)
		a.Close()
		if da.closed[a] != 0 || h.a.SocketCount() != 1 {
			t.Error("told of the end from within Close")
		}
		h.a.step()
		if da.closed[a] != 1 || h.a.SocketCount() != 0 {
			t.Error("not told of the end by Processing")
		}
		c, dc := h.connect(t) // from within its handler
		dc.react = func(s *engine.Socket, state msp.State, payload []byte) int {
			if state&msp.ReceivedPacket != 0 {
				s.Close()
			}
			return len(payload)
		}
		h.run(time.Second)
		if dc.closed[c] != 1 {
			t.Errorf("told of the end %d times after Close within the handler", dc.closed[c])
		}
	},
	"stop, which came later, tells the peer": func(t *testing.T, h *hands) {
		a, b, _, db := h.pair(t) // [MSP-12.6]
		a.Stop()
		h.run(2 * oneWay) // not by the answer to a keep-alive
		if got := db.last(b); got&msp.Stopped == 0 || got&msp.Closed == 0 {
			t.Errorf("the peer was told %v, want STOPPED and CLOSED", got)
		}
		unknown := h.a.Socket() // nobody knows of this one
		try(t, "Connect", unknown.Connect(time.Now(), mdpconn.Addr{SID: h.server.Primary(), Port: port}))
		sent := countDatagrams(h.client)
		unknown.Stop()
		h.a.step()
		if sent() != 0 {
			t.Errorf("%d packets about a connection that the peer cannot know of", sent())
		}
	},
	"close_all frees all sockets at once": func(t *testing.T, h *hands) {
		_, _, da, _ := h.pair(t) // [MSP-12.7]
		h.connect(t)
		h.a.Socket()
		try(t, "CloseAll", h.a.CloseAll(time.Now()))
		if h.a.SocketCount() != 0 || len(da.closed) != 1 {
			t.Errorf("%d sockets left, %d told", h.a.SocketCount(), len(da.closed))
		}
		if next := h.a.Processing(time.Now()); !next.IsZero() {
			t.Errorf("something is due in %v", time.Until(next))
		}
	},
	"it cannot be called from within a handler": func(t *testing.T, h *hands) {
		a, _, da, _ := h.pair(t)
		var err error
		da.react = func(s *engine.Socket, state msp.State, payload []byte) int {
			err = h.a.CloseAll(time.Now())
			return len(payload)
		}
		a.Shutdown()
		h.a.step()
		if err != engine.ErrInHandler || !a.IsOpen() {
			t.Errorf("CloseAll within a handler: %v, state %v; want ErrInHandler and no effect", err, a.State())
		}
		da.react = nil
	},
}
