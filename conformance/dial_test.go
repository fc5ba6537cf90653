package conformance

import (
	"context"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mspnet"
)

// TestDial: it returns when the peer has answered, after exactly one round trip
// ([MSP-6.1.4], [MSP-6.2.2]), accepted or not.
func TestDial(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		l := w.listen(t)
		start := time.Now()
		c := w.dial(t)
		wantAfter(t, "Dial", start, roundTrip)
		s := accept(t, l)
		wantAddr := func(what string, got net.Addr, want mdpconn.Addr) {
			if a, ok := got.(mspnet.Addr); !ok || a.Addr != want || got.Network() != "msp" {
				t.Errorf("%s: %T %v, want %v", what, got, got, want)
			}
		}
		wantAddr("RemoteAddr of the client", c.RemoteAddr(), mdpconn.Addr{SID: w.server.Primary(), Port: port})
		wantAddr("LocalAddr of the server", s.LocalAddr(), mdpconn.Addr{SID: w.server.Primary(), Port: port})
		wantAddr("RemoteAddr of the server", s.RemoteAddr(), c.LocalAddr().(mspnet.Addr).Addr)
		if peerOf(s) != w.client.Primary().String() {
			t.Errorf("the server's peer: %s, want %v", peerOf(s), w.client.Primary())
		}
		if p := c.LocalAddr().(mspnet.Addr).Port; p < 1<<16 || p >= 1<<20 {
			t.Errorf("local port %d, want one of 65536 … 1048575 [MSP-1.6]", p)
		}
	})
}

// TestDialForms: what is written for an address, and where it leads.
func TestDialForms(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		l := w.listen(t)
		third, _ := w.node(t) // has no hint
		sid := w.server.Primary().String()
		for _, c := range []struct {
			node             *mdpconn.Node
			network, address string
		}{
			{w.client, "msp", sid + ":42"},
			{w.client, "tcp", sid + ":42"},
			{w.client, "msp", strings.ToLower(sid) + ":42"},
			{w.server, "msp", ":42"},          // the node itself
			{w.server, "msp", sid + ":42"},    // the same
			{third, "msp", l.Addr().String()}, // with the UDP address
			{third, "msp", sid + ":42"},
		} {
			conn, err := (&mspnet.Dialer{Node: c.node}).Dial(c.network, c.address)
			if err != nil {
				t.Errorf("Dial(%q, %q): %v", c.network, c.address, err)
				continue
			}
			s := accept(t, l)
			write(t, conn, []byte(c.address))
			try(t, "Close", conn.Close())
			wantAll(t, c.address, s, []byte(c.address))
		}
	})
}

// TestDialRefused: nobody listens, and one round trip later that is known
// ([MSP-6.3.1], [MSP-10.3]).
func TestDialRefused(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.listen(t) // on another port
		start := time.Now()
		_, err := (&mspnet.Dialer{Node: w.client}).Dial("msp", w.target(99))
		wantOpError(t, "Dial", err, syscall.ECONNREFUSED, false)
		wantAfter(t, "Dial", start, roundTrip)
	})
}

// TestDialAbsent: nobody has the SID; after the protocol's silence the error
// tells what was tried ([MSP-6.1.6]).
func TestDialAbsent(t *testing.T) {
	absent, err := mdpconn.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, hint string
		parts      []string
	}{
		{"no hint", "", []string{"no known endpoint", "sent ", "received 0"}},
		{"with a hint", "@10.9.9.9:4110", []string{"unconfirmed endpoint 10.9.9.9:4110", "sent ", "received 0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				start := time.Now()
				address := mdpconn.Addr{SID: absent.SID(), Port: port}.String()
				_, err := (&mspnet.Dialer{Node: w.client}).Dial("msp", address+c.hint)
				wantOpError(t, "Dial", err, syscall.ETIMEDOUT, true)
				wantAfter(t, "Dial", start, silence)
				for _, part := range append(c.parts, address) {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("error %q does not say %q", err, part)
					}
				}
				if strings.Contains(err.Error(), "sent 0") {
					t.Errorf("error %q: nothing was sent", err)
				}
			})
		})
	}
}

// TestDialTimeout: a Dialer's Timeout and a context end a dial to the instant.
func TestDialTimeout(t *testing.T) {
	dial := func(w *world, ctx context.Context, d mspnet.Dialer) error {
		d.Node = w.client
		w.net.Cut(w.clientLink, w.serverLink)
		_, err := d.DialContext(ctx, "msp", w.target(port))
		return err
	}
	t.Run("Timeout", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			start := time.Now()
			err := dial(w, t.Context(), mspnet.Dialer{Timeout: 1234 * time.Millisecond})
			wantOpError(t, "Dial", err, context.DeadlineExceeded, true)
			wantAfter(t, "Dial", start, 1234*time.Millisecond)
			if !strings.Contains(err.Error(), "received 0") {
				t.Errorf("error %q does not say what was tried", err)
			}
		})
	})
	t.Run("deadline of the context", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			err := dial(w, ctx, mspnet.Dialer{Timeout: time.Hour})
			wantOpError(t, "Dial", err, context.DeadlineExceeded, true)
			wantAfter(t, "Dial", start, 2*time.Second)
		})
	})
	t.Run("cancelled", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			start := time.Now()
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(3*time.Second, cancel)
			err := dial(w, ctx, mspnet.Dialer{})
			wantOpError(t, "Dial", err, context.Canceled, false)
			wantAfter(t, "Dial", start, 3*time.Second)
		})
	})
	t.Run("cancelled before", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			sent := w.countPackets()
			start := time.Now()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			wantOpError(t, "Dial", dial(w, ctx, mspnet.Dialer{}), context.Canceled, false)
			wantAfter(t, "Dial", start, 0)
			if pass(time.Minute); sent() != 0 {
				t.Errorf("%d packets sent", sent())
			}
		})
	})
	t.Run("context has no effect later", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			l := w.listen(t)
			ctx, cancel := context.WithCancel(t.Context())
			c, err := (&mspnet.Dialer{Node: w.client, Timeout: time.Second}).DialContext(ctx, "msp", w.target(port))
			if err != nil {
				t.Fatal(err)
			}
			cancel()
			time.Sleep(time.Minute)
			write(t, c, []byte("x"))
			c.Close()
			wantAll(t, "the peer", accept(t, l), []byte("x"))
		})
	})
}

// TestDialEarly: Dial takes no time, what is written rides in the first packet
// ([MSP-6.1.1]), and what becomes of it is told later.
func TestDialEarly(t *testing.T) {
	early := func(t *testing.T, w *world) *mspnet.Conn {
		start := time.Now()
		c, err := (&mspnet.Dialer{Node: w.client, Early: true}).Dial("msp", w.target(port))
		if err != nil {
			t.Fatalf("Dial: %v", err)
		}
		t.Cleanup(func() { c.Close() })
		wantAfter(t, "Dial", start, 0)
		return c.(*mspnet.Conn)
	}
	t.Run("accepted", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			l := w.listen(t)
			start := time.Now()
			c := early(t, w)
			write(t, c, []byte("question"))
			s := accept(t, l)
			wantRead(t, "the server", s, []byte("question"))
			wantAfter(t, "the question", start, oneWay)
			write(t, s, []byte("answer"))
			wantRead(t, "the client", c, []byte("answer"))
			wantAfter(t, "the answer", start, roundTrip)
		})
	})
	t.Run("without data", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			l := w.listen(t)
			start := time.Now()
			early(t, w)
			accept(t, l)
			wantAfter(t, "Accept [MSP-6.1.2]", start, 10*time.Millisecond+oneWay)
		})
	})
	t.Run("refused", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			w.listenOn(t, mspnet.ListenConfig{}, ":99")
			start := time.Now()
			c := early(t, w)
			write(t, c, []byte("question"))
			_, err := c.Read(make([]byte, 1))
			wantOpError(t, "Read", err, syscall.ECONNREFUSED, false)
			wantAfter(t, "Read", start, roundTrip)
			_, err = c.Write([]byte("x"))
			wantOpError(t, "Write", err, syscall.ECONNREFUSED, false)
			wantOpError(t, "CloseContext", c.CloseContext(t.Context()), syscall.ECONNREFUSED, false)
		})
	})
	t.Run("absent", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			w.net.Cut(w.clientLink, w.serverLink)
			start := time.Now()
			c := early(t, w)
			_, err := c.Read(make([]byte, 1))
			wantOpError(t, "Read", err, syscall.ETIMEDOUT, true)
			wantAfter(t, "Read", start, silence)
		})
	})
	t.Run("closed at once", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			l := w.listen(t)
			c := early(t, w)
			write(t, c, []byte("fire and forget"))
			try(t, "Close", c.Close())
			wantAll(t, "the server", accept(t, l), []byte("fire and forget"))
		})
	})
}

// TestDialLocalAddr: from a chosen port, from a second identity, and not from
// what is taken.
func TestDialLocalAddr(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		second, err := mdpconn.NewIdentity()
		if err != nil {
			t.Fatal(err)
		}
		try(t, "AddIdentity", w.client.AddIdentity(second))
		l := w.listen(t)
		from := mdpconn.Addr{SID: second.SID(), Port: 1007}
		d := mspnet.Dialer{Node: w.client, LocalAddr: from}
		c, err := d.Dial("msp", w.target(port))
		if err != nil {
			t.Fatal(err)
		}
		if s := accept(t, l); s.RemoteAddr().(mspnet.Addr).Addr != from {
			t.Errorf("the server's peer is %v, want %v", s.RemoteAddr(), from)
		}
		_, err = d.Dial("msp", w.target(port))
		wantOpError(t, "Dial from a taken port", err, syscall.EADDRINUSE, false)
		c.Close()
	})
}

// TestDialErrors: what is not an address, or not one of anybody, is refused at
// once, and the error names it ([MSP-1.4], [MSP-1.5]).
func TestDialErrors(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		sid := w.server.Primary().String()
		flipped := mdpconn.SID(w.server.Primary())
		flipped[31] |= 0x80
		sent := w.countPackets()
		for _, c := range []struct{ network, address, says string }{
			{"udp", sid + ":42", "udp"},
			{"msp", "", `""`},
			{"msp", "localhost:42", "localhost"},
			{"msp", sid, sid},
			{"msp", sid + ":0", "port"},
			{"msp", sid + ":2147483648", "2147483648"},
			{"msp", sid + ":http", "http"},
			{"msp", sid[1:] + ":42", sid[1:]},
			{"msp", flipped.String() + ":42", flipped.String()},
			{"msp", strings.Repeat("0", 64) + ":42", ""},
			{"msp", strings.Repeat("0", 62) + "01:42", ""},
			{"msp", "01" + strings.Repeat("0", 62) + ":42", ""}, // of low order
			{"msp", sid + ":42@", "UDP"},
			{"msp", sid + ":42@10.0.0.1", "10.0.0.1"},
			{"msp", sid + ":42@10.0.0.1:0", "port"},
			{"msp", sid + ":42@10.0.0.1:70000", "70000"},
		} {
			_, err := (&mspnet.Dialer{Node: w.client}).Dial(c.network, c.address)
			op, ok := err.(*net.OpError)
			if !ok || op.Op != "dial" {
				t.Errorf("Dial(%q, %q): %v, want a *net.OpError", c.network, c.address, err)
				continue
			}
			if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Dial(%q, %q): %q, want one line that names %q", c.network, c.address, err, c.says)
			}
		}
		if pass(time.Minute); sent() != 0 {
			t.Errorf("%d packets sent", sent())
		}
	})
}

// TestCallEachOther: two ends that call each other from the ports they call meet
// in one connection ([MSP-6.1.5]).
func TestCallEachOther(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := mdpconn.Addr{SID: w.client.Primary(), Port: 1001}
		b := mdpconn.Addr{SID: w.server.Primary(), Port: 1002}
		conns := make(chan net.Conn, 2)
		for _, c := range []struct {
			node     *mdpconn.Node
			from, to mdpconn.Addr
		}{{w.client, a, b}, {w.server, b, a}} {
			go func() {
				conn, err := (&mspnet.Dialer{Node: c.node, LocalAddr: c.from}).Dial("msp", c.to.String())
				if err != nil {
					t.Errorf("Dial from %v: %v", c.from, err)
				}
				conns <- conn
			}()
		}
		x, y := <-conns, <-conns
		if x == nil || y == nil {
			return
		}
		write(t, x, []byte("from x"))
		write(t, y, []byte("from y"))
		x.Close()
		y.(*mspnet.Conn).CloseWrite()
		wantAll(t, "y", y, []byte("from x"))
	})
}

// countPackets counts the packets sent from now on.
func (w *world) countPackets() func() int {
	before := w.net.Stats().Sent
	return func() int { return int(w.net.Stats().Sent - before) }
}
