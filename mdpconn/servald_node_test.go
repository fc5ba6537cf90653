package mdpconn_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/servald"
	"mesh.example/msp/mdpconn/servald/servaldtest"
)

func TestServaldOtherCalls(t *testing.T) {
	d := onServald(t, 1)
	n := servaldNode(t, d[0], "")
	if _, err := n.Listen("127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), "leave the UDP address away") {
		t.Errorf("Listen: %v, want an error that names the remedy", err)
	}
	if err := n.AddIdentity(identity(t)); err == nil {
		t.Error("an identity was added")
	}
	if n.Identity(mdpconn.Primary) != nil {
		t.Error("there is a secret identity")
	}
	n.AddHint(identity(t).SID(), netip.MustParseAddrPort("127.0.0.1:1"))
	n.Announce()()
	release, err := n.Hold(mdpconn.Primary, identity(t).SID())
	if err != nil {
		t.Fatal(err)
	}
	release()
	if _, err := n.Hold(mdpconn.Primary, mdpconn.All); err == nil {
		t.Error("All was held")
	}
	if s := n.Stats(); s.Servald.Connects != 1 || s.Tables.Identities != 1 {
		t.Errorf("stats %+v", s)
	}
	for _, c := range []mdpconn.Config{
		{Servald: &mdpconn.ServaldConfig{}, Identities: []*mdpconn.Identity{identity(t)}},
		{Servald: &mdpconn.ServaldConfig{}, UDP: []string{"127.0.0.1:0"}},
		{Servald: &mdpconn.ServaldConfig{Instance: "relative"}},
		{Servald: &mdpconn.ServaldConfig{Instance: d[0].Instance, Client: "a/b"}},
	} {
		if n, err := mdpconn.NewNode(c); err == nil {
			n.Close()
			t.Errorf("a node of %+v was made", c.Servald)
		}
	}
}

func TestServaldAbsent(t *testing.T) {
	d := onServald(t, 1)[0]
	d.Kill()
	t.Setenv(servald.PathVariable, d.Instance)
	_, err := mdpconn.NewNode(mdpconn.Config{Servald: &mdpconn.ServaldConfig{}})
	var absent *mdpconn.DaemonError
	if !errors.As(err, &absent) || absent.Socket != d.Socket || !errors.Is(err, syscall.ENETDOWN) ||
		errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), "start it") {
		t.Errorf("error %v, want a *DaemonError with the socket and the remedy", err)
	}
}

// The end of the daemon is seen by those that only wait, when it is asked next
// whether it is there, which is every 400 ms.
func TestServaldLost(t *testing.T) {
	d := onServald(t, 1, 1)
	a, b := servaldNode(t, d[0], ""), servaldNode(t, d[1], "")
	sa, ia := bindDown(t, a, mdpconn.Addr{Port: 1000})
	_, ib := bindDown(t, a, mdpconn.Addr{Port: 1001})
	sb, in := bind(t, b, mdpconn.Addr{Port: 2000})
	send(t, a, sa.LocalAddr(), sb.LocalAddr(), "before")
	drop(t, "before", in)

	d[0].Kill()
	polls := a.Stats().Servald.Polls
	for _, in := range []*downInbox{ia, ib} {
		err := take(t, "the loss", in.down)
		var gone *mdpconn.DaemonError
		if !errors.As(err, &gone) || !errors.Is(err, syscall.ENETDOWN) || !strings.Contains(err.Error(), "gone") {
			t.Errorf("told %v, want a *DaemonError", err)
		}
	}
	if s := a.Stats().Servald; s.Polls > polls+1 || s.Silent > 0 {
		t.Errorf("the loss was seen after %d questions, %d of them waited for, want one question, and no waiting", s.Polls-polls, s.Silent)
	}
	var gone *mdpconn.DaemonError
	if _, err := a.Send([]mdpconn.Datagram{{Local: sa.LocalAddr(), Remote: sb.LocalAddr(), Data: []byte("x")}}); !errors.As(err, &gone) {
		t.Errorf("sending: %v, want a *DaemonError", err)
	}
	if _, err := a.Bind(mdpconn.Addr{}, newInbox()); !errors.As(err, &gone) {
		t.Errorf("binding: %v, want a *DaemonError", err)
	}
	if len(a.Peers()) > 0 {
		t.Error("there are peers")
	}

	if err := d[0].Restart(); err != nil {
		t.Fatal(err)
	}
	take(t, "the return", ia.up)
	d[0].Await(func(bs []servaldtest.Binding) bool { return len(bs) == 2 })
	send(t, b, sb.LocalAddr(), sa.LocalAddr(), "after")
	if got := take(t, "after", ia.inbox); string(got.Data) != "after" {
		t.Errorf("got %q", got.Data)
	}
	if len(ia.down)+len(ib.down) > 0 {
		t.Error("the loss was told twice")
	}
	if s := a.Stats().Servald; s.Lost != 1 || s.Connects != 2 {
		t.Errorf("stats %+v", s)
	}
}

// A daemon that was replaced between two polls is not taken for the old one.
func TestServaldReplaced(t *testing.T) {
	d := onServald(t, 1)
	n := servaldNode(t, d[0], "")
	s, in := bindDown(t, n, mdpconn.Addr{Port: 1000})
	d[0].Kill()
	if err := d[0].Restart(); err != nil {
		t.Fatal(err)
	}
	take(t, "the loss", in.down)
	take(t, "the return", in.up)
	d[0].Await(func(bs []servaldtest.Binding) bool { return len(bs) == 1 })

	// Binding does not wait for the keeper to notice.
	d[0].Kill()
	if err := d[0].Restart(); err != nil {
		t.Fatal(err)
	}
	s.Close()
	bind(t, n, mdpconn.Addr{Port: 1001})
}

// A daemon that ends while it is asked is not waited for.
func TestServaldEndsWhileAsked(t *testing.T) {
	d := onServald(t, 1)[0]
	d.Kill()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: d.Socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		c.Read(make([]byte, 100))
		c.Close()
		os.Remove(d.Socket)
	}()
	_, err = mdpconn.NewNode(mdpconn.Config{Servald: &mdpconn.ServaldConfig{Instance: d.Instance}})
	var gone *mdpconn.DaemonError
	if !errors.As(err, &gone) || !strings.Contains(err.Error(), "gone") {
		t.Errorf("%v, want a *DaemonError that it is gone, not that it does not answer", err)
	}
}
