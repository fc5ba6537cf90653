package conformance

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mspnet"
)

// TestBacklogFull: a peer beyond the backlog meets silence, not a refusal, and
// comes through when there is room ([MSP-6.2.4]).
func TestBacklogFull(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		l := w.listenOn(t, mspnet.ListenConfig{Backlog: 2}, ":42")
		first, second := w.dial(t), w.dial(t)
		start := time.Now()
		third := async(func() error {
			c, err := (&mspnet.Dialer{Node: w.client}).Dial("msp", w.target(port))
			if err != nil {
				return err
			}
			write(t, c, []byte("third"))
			return c.Close()
		})
		time.Sleep(3 * time.Second)
		select {
		case r := <-third:
			t.Fatalf("a dial beyond the backlog returned: %v", r.err)
		default:
		}
		for _, c := range []*mspnet.Conn{first, second} {
			s := accept(t, l)
			write(t, c, []byte("x"))
			wantRead(t, "one of the backlog", s, []byte("x"))
		}
		r := <-third
		try(t, "the dial beyond the backlog", r.err)
		if d := r.at.Sub(start); d < 3*time.Second || d > 6*time.Second {
			t.Errorf("the dial beyond the backlog took %v, want a little more than the 3 s until there was room", d)
		}
		wantAll(t, "the third", accept(t, l), []byte("third"))
	})
	t.Run("for ever", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			w.listenOn(t, mspnet.ListenConfig{Backlog: 1}, ":42")
			w.dial(t)
			start := time.Now()
			_, err := (&mspnet.Dialer{Node: w.client}).Dial("msp", w.target(port))
			wantOpError(t, "Dial", err, syscall.ETIMEDOUT, true)
			wantAfter(t, "Dial", start, silence)
		})
	})
}

// TestAllow: who is filtered out is refused after one round trip and never seen
// by Accept ([MSP-6.2.5]).
func TestAllow(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		friend, friendLink := w.node(t)
		friend.AddHint(w.server.Primary(), w.serverLink.LocalAddr())
		w.server.AddHint(friend.Primary(), friendLink.LocalAddr())
		l := w.listenOn(t, mspnet.ListenConfig{Allow: func(sid mdpconn.SID) bool { return sid == friend.Primary() }}, ":42")
		accepted := async(func() error {
			c, err := l.Accept()
			if err == nil && peerOf(c) != friend.Primary().String() {
				t.Errorf("Accept gave the peer %s", peerOf(c))
			}
			return err
		})
		for range 3 {
			start := time.Now()
			_, err := (&mspnet.Dialer{Node: w.client}).Dial("msp", w.target(port))
			wantOpError(t, "Dial of a stranger", err, syscall.ECONNREFUSED, false)
			wantAfter(t, "Dial of a stranger", start, roundTrip)
		}
		c, err := (&mspnet.Dialer{Node: friend}).Dial("msp", w.target(port))
		if err != nil {
			t.Fatalf("Dial of the friend: %v", err)
		}
		defer c.Close()
		try(t, "Accept", (<-accepted).err)
		if s := w.stats(); s.MSP.Filtered != 3 {
			t.Errorf("Filtered is %d, want 3", s.MSP.Filtered)
		}
	})
}

// TestListenerClose: accepted connections live on, those that wait are stopped,
// and the port can be listened on again at once.
func TestListenerClose(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		l := w.listen(t)
		c := w.dial(t)
		s := accept(t, l)
		queued := w.dial(t)
		write(t, queued, []byte("never accepted"))
		pass(time.Second)
		start := time.Now()
		try(t, "Close", l.Close())
		wantAfter(t, "Close", start, 0)

		_, err := queued.Read(make([]byte, 1))
		wantOpError(t, "the queued one", err, syscall.ECONNRESET, false)
		wantAfter(t, "the queued one", start, oneWay)

		_, err = (&mspnet.Dialer{Node: w.client}).Dial("msp", w.target(port))
		wantOpError(t, "Dial after Close", err, syscall.ECONNREFUSED, false)

		l2 := w.listen(t)
		c2 := w.dial(t)
		s2 := accept(t, l2)
		time.Sleep(time.Minute)
		for what, p := range map[string][2]*mspnet.Conn{"accepted before": {c, s}, "accepted again": {c2, s2}} {
			sent := random(100_000)
			go func() {
				write(t, p[0], sent)
				p[0].Close()
			}()
			wantAll(t, what, p[1], sent)
		}
	})
}

// TestListenerCloseEndsAccept: with net.ErrClosed, all calls, then and later.
func TestListenerCloseEndsAccept(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		l := w.listen(t)
		a, b := async(func() error { _, err := l.Accept(); return err }), async(func() error { _, err := l.Accept(); return err })
		time.Sleep(time.Minute)
		try(t, "Close", l.Close())
		for _, r := range []ended{<-a, <-b} {
			wantOpError(t, "Accept that waited", r.err, net.ErrClosed, false)
			wantAfter(t, "Accept that waited", r.at, 0)
		}
		_, err := l.Accept()
		wantOpError(t, "Accept", err, net.ErrClosed, false)
		wantOpError(t, "Close", l.Close(), net.ErrClosed, false)
		wantOpError(t, "SetDeadline", l.SetDeadline(time.Time{}), net.ErrClosed, false)
		if l.Addr() == nil {
			t.Error("Addr after Close is nil")
		}
	})
}

// TestAcceptDeadline: it ends Accept to the instant, can be moved and cleared,
// and AcceptContext ends with its context.
func TestAcceptDeadline(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		l := w.listen(t)
		start := time.Now()
		try(t, "SetDeadline", l.SetDeadline(start.Add(time.Minute)))
		waiting := async(func() error { _, err := l.Accept(); return err })
		time.Sleep(time.Second)
		try(t, "SetDeadline", l.SetDeadline(start.Add(2*time.Second)))
		r := <-waiting
		wantOpError(t, "Accept", r.err, os.ErrDeadlineExceeded, true)
		wantAfter(t, "Accept", start, 2*time.Second)
		_, err := l.Accept()
		wantOpError(t, "Accept again", err, os.ErrDeadlineExceeded, true)
		try(t, "SetDeadline", l.SetDeadline(time.Time{}))

		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err = l.AcceptContext(ctx)
		wantOpError(t, "AcceptContext", err, context.DeadlineExceeded, true)
		wantAfter(t, "AcceptContext", start, 5*time.Second)

		w.dial(t)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err = l.AcceptContext(over); err != nil {
			t.Errorf("AcceptContext with a connection there, and a context that is over: %v, want the connection", err)
		}
	})
}

// TestAcceptNeverFailsForPeers: peers that come, abort and vanish in the
// backlog are no errors of Accept; what they delivered before is not lost.
func TestAcceptNeverFailsForPeers(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		l := w.listen(t)
		abort(t, w.dial(t))
		gone := w.dial(t)
		write(t, gone, []byte("and gone"))
		try(t, "Close", gone.Close())
		cut := w.dial(t)
		pass(time.Second)
		w.net.Cut(w.clientLink, w.serverLink)
		abort(t, cut)
		time.Sleep(time.Minute)
		w.net.Heal()
		live := w.dial(t)
		write(t, live, []byte("alive"))
		try(t, "Close", live.Close())

		wantAll(t, "the one that closed", accept(t, l), []byte("and gone"))
		wantAll(t, "the one after them", accept(t, l), []byte("alive"))
		try(t, "SetDeadline", l.SetDeadline(time.Now().Add(time.Second)))
		if c, err := l.Accept(); err == nil {
			t.Errorf("one more connection: %v", c.RemoteAddr())
		}
	})
}

// TestListenTaken: a port that is taken is EADDRINUSE, and the error names it.
func TestListenTaken(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.listen(t)
		lc := mspnet.ListenConfig{Node: w.server}
		for _, address := range []string{":42", w.target(port)} {
			_, err := lc.Listen(t.Context(), "msp", address)
			wantOpError(t, "Listen("+address+")", err, syscall.EADDRINUSE, false)
			if err != nil && !strings.Contains(err.Error(), ":42") {
				t.Errorf("error %q does not name the port", err)
			}
		}
		free, err := lc.Listen(t.Context(), "msp", ":0")
		if err != nil {
			t.Fatalf("Listen(:0): %v", err)
		}
		defer free.Close()
		if p := free.Addr().(mspnet.Addr).Port; p < 1<<16 || p >= 1<<20 {
			t.Errorf("Listen(:0) gave port %d, want one of 65536 … 1048575 [MSP-1.6]", p)
		}
	})
}

// TestListenIdentities: a listener is for one identity, the primary, or all
// ([MSP-6.2.6]).
func TestListenIdentities(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		second, err := mdpconn.NewIdentity()
		if err != nil {
			t.Fatal(err)
		}
		try(t, "AddIdentity", w.server.AddIdentity(second))
		w.client.AddHint(second.SID(), w.serverLink.LocalAddr())
		first := w.server.Primary()
		w.listenOn(t, mspnet.ListenConfig{}, ":1001")
		w.listenOn(t, mspnet.ListenConfig{}, second.SID().String()+":1002")
		all := w.listenOn(t, mspnet.ListenConfig{}, "*:1003")
		for _, c := range []struct {
			sid  mdpconn.SID
			port mdpconn.Port
			ok   bool
		}{{first, 1001, true}, {second.SID(), 1001, false}, {first, 1002, false}, {second.SID(), 1002, true}, {first, 1003, true}, {second.SID(), 1003, true}} {
			to := mdpconn.Addr{SID: c.sid, Port: c.port}
			conn, err := (&mspnet.Dialer{Node: w.client}).Dial("msp", to.String())
			switch {
			case c.ok && err != nil:
				t.Errorf("Dial(%v): %v", to, err)
			case !c.ok && !errors.Is(err, syscall.ECONNREFUSED):
				t.Errorf("Dial(%v): %v, want refused", to, err)
			}
			if conn == nil {
				continue
			}
			defer conn.Close()
			if c.port == 1003 {
				if s := accept(t, all); s.LocalAddr().(mspnet.Addr).Addr != to {
					t.Errorf("accepted at %v, want %v", s.LocalAddr(), to)
				}
			}
		}
	})
}

// TestListenErrors: what is not an address is refused in one line that names it.
func TestListenErrors(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		stranger := w.client.Primary().String()
		for _, c := range []struct{ network, address, says string }{
			{"tcp", ":42", "tcp"},
			{"msp", ":2147483648", "2147483648"},
			{"msp", ":http", "http"},
			{"msp", "xyz", "xyz"},
			{"msp", stranger + ":42", stranger},
			{"msp", stranger[1:] + ":42", stranger[1:]},
			{"msp", ":42@nowhere", "nowhere"},
		} {
			_, err := (&mspnet.ListenConfig{Node: w.server}).Listen(t.Context(), c.network, c.address)
			op, ok := err.(*net.OpError)
			if !ok || op.Op != "listen" {
				t.Errorf("Listen(%q, %q): %v, want a *net.OpError", c.network, c.address, err)
				continue
			}
			if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Listen(%q, %q): %q, want one line that names %q", c.network, c.address, err, c.says)
			}
		}
	})
}

// TestNodeClosed: closing the node ends everything on it with net.ErrClosed.
func TestNodeClosed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		l := w.listen(t)
		c := w.dial(t)
		s := accept(t, l)
		read := async(func() error { _, err := s.Read(make([]byte, 1)); return err })
		accepting := async(func() error { _, err := l.Accept(); return err })
		time.Sleep(time.Minute)
		w.server.Close()
		wantOpError(t, "Read that waited", (<-read).err, net.ErrClosed, false)
		wantOpError(t, "Accept that waited", (<-accepting).err, net.ErrClosed, false)
		_, err := s.Write([]byte("x"))
		wantOpError(t, "Write", err, net.ErrClosed, false)
		_, err = (&mspnet.ListenConfig{Node: w.server}).Listen(t.Context(), "msp", ":43")
		wantOpError(t, "Listen", err, net.ErrClosed, false)
		_, err = (&mspnet.Dialer{Node: w.server}).Dial("msp", w.target(port))
		wantOpError(t, "Dial", err, net.ErrClosed, false)
		_, err = c.Read(make([]byte, 1))
		wantOpError(t, "the peer", err, syscall.ECONNRESET, false)
	})
}

// stats are those of the server.
func (w *world) stats() mspnet.NodeStats { return mspnet.StatsOf(w.server) }
