package mdpconn_test

import (
	"errors"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/servald"
	"mesh.example/msp/mdpconn/servald/servaldtest"
)

func TestServaldBind(t *testing.T) {
	d := onServald(t, 2, 1)
	a, b, other := servaldNode(t, d[0], ""), servaldNode(t, d[0], ""), servaldNode(t, d[1], "")
	s, _ := bind(t, a, mdpconn.Addr{Port: 80})
	if want := (mdpconn.Addr{SID: a.Primary(), Port: 80}); s.LocalAddr() != want {
		t.Errorf("bound %v, want %v", s.LocalAddr(), want)
	}
	free, _ := bind(t, b, mdpconn.Addr{})
	if p := free.LocalAddr().Port; p != 257 {
		t.Errorf("the daemon gave port %d, want 257", p)
	}
	for _, c := range []struct {
		why   string
		node  *mdpconn.Node
		local mdpconn.Addr
		want  error
		text  string
	}{
		{"bound by this node", a, mdpconn.Addr{Port: 80}, syscall.EADDRINUSE, ""},
		{"bound by another client", b, mdpconn.Addr{Port: 80}, syscall.EADDRINUSE, "without telling why"},
		{"one of all is bound by another client", b, mdpconn.Addr{SID: mdpconn.All, Port: 80}, syscall.EADDRINUSE, "without telling why"},
		{"not local", a, mdpconn.Addr{SID: other.Primary(), Port: 80}, syscall.EADDRNOTAVAIL, ""},
		{"a service of the daemon", a, mdpconn.Addr{Port: 7}, syscall.EADDRINUSE, ""},
		{"no port", a, mdpconn.Addr{Port: mdpconn.MaxPort + 1}, nil, "port"},
	} {
		_, err := c.node.Bind(c.local, newInbox())
		var op *net.OpError
		if !errors.As(err, &op) || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %v with %q", c.why, err, c.want, c.text)
		}
	}
	// What the failed ones had bound on the way is free again.
	if got := d[0].Bindings(); len(got) != 2 {
		t.Errorf("bound %v, want what a and b have", got)
	}
	s.Close()
	if err := s.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
	bind(t, b, mdpconn.Addr{Port: 80})
	b.Close()
	d[0].Await(func(bs []servaldtest.Binding) bool { return len(bs) == 0 })
	if _, err := b.Bind(mdpconn.Addr{Port: 80}, newInbox()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Bind after Close: %v", err)
	}
	if _, err := b.Send([]mdpconn.Datagram{{Data: []byte("x")}}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Send after Close: %v", err)
	}
}

// All binds each identity by itself, later ones too, as the daemon's wildcard
// never delivers. It is what a listener for all identities needs ([MSP-6.2.7]).
func TestServaldAll(t *testing.T) {
	d := onServald(t, 2, 1)
	a, b := servaldNode(t, d[0], ""), servaldNode(t, d[1], "")
	s, in := bind(t, a, mdpconn.Addr{SID: mdpconn.All})
	port := s.LocalAddr().Port
	if s.LocalAddr().SID != mdpconn.All || port == 0 {
		t.Fatalf("bound %v", s.LocalAddr())
	}
	one, inOne := bind(t, a, mdpconn.Addr{SID: a.SIDs()[1], Port: port}) // a port may be bound for one and for all
	sb, _ := bind(t, b, mdpconn.Addr{})
	deliver := func(why string, to mdpconn.SID, in inbox) {
		t.Helper()
		send(t, b, sb.LocalAddr(), mdpconn.Addr{SID: to, Port: port}, why)
		if got := take(t, why, in); string(got.Data) != why || got.Local.SID != to {
			t.Errorf("%s: got %q for %v", why, got.Data, got.Local)
		}
	}
	deliver("primary", a.SIDs()[0], in)
	deliver("second, by its own socket", a.SIDs()[1], inOne)
	one.Close()
	deliver("second", a.SIDs()[1], in)

	third := servaldtest.RandomSID()
	d[0].SetSIDs(servald.SID(a.SIDs()[0]), servald.SID(a.SIDs()[1]), third)
	d[0].Await(func(bs []servaldtest.Binding) bool {
		return slices.Contains(bs, servaldtest.Binding{SID: third, Port: uint32(port)})
	})
	deliver("a new identity", mdpconn.SID(third), in)
	s.Close()
	d[0].Await(func(bs []servaldtest.Binding) bool { return len(bs) == 0 })
}

// A node with a fixed client name gets back what it had when it crashed.
func TestServaldClientName(t *testing.T) {
	d := onServald(t, 1)[0]
	name, err := servald.ClientName(d.Socket, "chat")
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.DialUnix("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"}, &net.UnixAddr{Name: d.Socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range []uint32{80, 81} {
		m := servald.Message{LocalPort: port, Flags: servald.Bind}
		c.Write(m.AppendAny(nil))
	}
	d.Await(func(bs []servaldtest.Binding) bool { return len(bs) == 2 })
	c.Close() // a crash: no CLOSE

	if _, err := servaldNode(t, d, "").Bind(mdpconn.Addr{Port: 80}, newInbox()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("bound by another: %v, want EADDRINUSE", err)
	}
	n := servaldNode(t, d, "chat")
	bind(t, n, mdpconn.Addr{Port: 80})
	if bs := d.Bindings(); len(bs) != 1 {
		t.Errorf("bound %v, want port 80 alone: the rest was released", bs)
	}
	_, err = mdpconn.NewNode(mdpconn.Config{Servald: &mdpconn.ServaldConfig{Instance: d.Instance, Client: "chat"}})
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), `"chat"`) {
		t.Errorf("a second node of that name: %v, want EADDRINUSE", err)
	}
}

// A socket that was bound for Primary follows to a new primary identity.
func TestServaldPrimaryChanged(t *testing.T) {
	d := onServald(t, 2, 1)
	a, b := servaldNode(t, d[0], ""), servaldNode(t, d[1], "")
	s, in := bindDown(t, a, mdpconn.Addr{Port: 80})
	named, _ := bind(t, a, mdpconn.Addr{SID: a.SIDs()[1], Port: 81})
	old := s.LocalAddr()
	next := servaldtest.RandomSID()
	d[0].Kill()
	d[0].SetSIDs(next, servald.SID(a.SIDs()[1]))
	if err := d[0].Restart(); err != nil {
		t.Fatal(err)
	}
	take(t, "the return", in.up)
	if got := s.LocalAddr(); got != (mdpconn.Addr{SID: mdpconn.SID(next), Port: 80}) || a.Primary() != got.SID {
		t.Errorf("bound %v, primary %v, want %X", got, a.Primary(), next)
	}
	d[0].Await(func(bs []servaldtest.Binding) bool { return len(bs) == 2 })
	if named.LocalAddr().SID != a.SIDs()[1] {
		t.Error("a socket of a named identity moved")
	}
	sb, _ := bind(t, b, mdpconn.Addr{})
	send(t, b, sb.LocalAddr(), old, "to nobody")
	send(t, b, sb.LocalAddr(), s.LocalAddr(), "to the new one")
	if got := take(t, "the new identity", in.inbox); string(got.Data) != "to the new one" {
		t.Errorf("got %q", got.Data)
	}
}
