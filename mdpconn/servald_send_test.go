package mdpconn_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"mesh.example/msp/mdpconn"
)

func TestServaldDatagrams(t *testing.T) {
	d := onServald(t, 1, 1)
	a, b := servaldNode(t, d[0], ""), servaldNode(t, d[1], "")
	if a.Primary() == b.Primary() || len(a.SIDs()) != 1 {
		t.Fatalf("identities %v and %v", a.SIDs(), b.SIDs())
	}
	sa, ia := bind(t, a, mdpconn.Addr{Port: 1000})
	sb, ib := bind(t, b, mdpconn.Addr{SID: b.Primary(), Port: 2000})
	send(t, a, sa.LocalAddr(), sb.LocalAddr(), "there")
	got := take(t, "there", ib)
	if string(got.Data) != "there" || got.Local != sb.LocalAddr() || got.Remote != sa.LocalAddr() {
		t.Errorf("got %q from %v for %v", got.Data, got.Remote, got.Local)
	}
	got.Release()
	send(t, b, mdpconn.Addr{Port: 2000}, sa.LocalAddr(), strings.Repeat("x", mdpconn.MaxData))
	if got := take(t, "back", ia); len(got.Data) != mdpconn.MaxData {
		t.Errorf("%d bytes arrived, want %d", len(got.Data), mdpconn.MaxData)
	}
	send(t, a, sa.LocalAddr(), sa.LocalAddr(), "to itself")
	if got := take(t, "to itself, through the daemon", ia); string(got.Data) != "to itself" || got.Remote != sa.LocalAddr() {
		t.Errorf("got %q from %v", got.Data, got.Remote)
	}
	send(t, a, sa.LocalAddr(), mdpconn.Addr{SID: b.Primary(), Port: 7}, "echo")
	if got := take(t, "the daemon's own service", ia); string(got.Data) != "echo" {
		t.Errorf("got %q", got.Data)
	}

	peers := a.Peers()
	if len(peers) != 1 || peers[0].Remote != b.Primary() || peers[0].Hops != 1 || peers[0].Daemon != d[0].Socket {
		t.Errorf("peers %+v", peers)
	}
	if p := a.Path(mdpconn.Primary, b.Primary()); p.Hops != 1 || p.Daemon == "" {
		t.Errorf("path %+v", p)
	}
	if p := a.Path(mdpconn.Primary, identity(t).SID()); p.Hops != 0 || p.Daemon == "" {
		t.Errorf("path of an unknown SID %+v", p)
	}
}

// Nothing that Send is asked for ends a daemon, or goes unsaid.
func TestServaldSendRefuses(t *testing.T) {
	d := onServald(t, 1, 1)
	a, b := servaldNode(t, d[0], ""), servaldNode(t, d[1], "")
	s, _ := bind(t, a, mdpconn.Addr{Port: 1000})
	sb, in := bind(t, b, mdpconn.Addr{Port: 2000})
	good := mdpconn.Datagram{Local: s.LocalAddr(), Remote: sb.LocalAddr(), Data: []byte("x")}
	for why, change := range map[string]func(*mdpconn.Datagram){
		"no data":         func(d *mdpconn.Datagram) { d.Data = nil },
		"long data":       func(d *mdpconn.Datagram) { d.Data = make([]byte, mdpconn.MaxData+1) },
		"queue 5":         func(d *mdpconn.Datagram) { d.Queue = 5 },
		"TTL 32":          func(d *mdpconn.Datagram) { d.TTL = 32 },
		"port 0":          func(d *mdpconn.Datagram) { d.Remote.Port = 0 },
		"broadcast":       func(d *mdpconn.Datagram) { d.Remote.SID = mdpconn.All },
		"from all":        func(d *mdpconn.Datagram) { d.Local.SID = mdpconn.All },
		"to the daemon":   func(d *mdpconn.Datagram) { d.Remote.SID = mdpconn.Primary },
		"to its events":   func(d *mdpconn.Datagram) { d.Remote.SID = mdpconn.SID{31: 1} },
		"port not bound":  func(d *mdpconn.Datagram) { d.Local.Port = 1001 },
		"SID of somebody": func(d *mdpconn.Datagram) { d.Local.SID = b.Primary() },
	} {
		bad := good
		change(&bad)
		if k, err := a.Send([]mdpconn.Datagram{good, bad, good}); k != 1 || err == nil {
			t.Errorf("%s: sent %d, %v, want 1 and an error", why, k, err)
		}
		drop(t, why, in)
	}
	for _, change := range []func(*mdpconn.Datagram){
		func(d *mdpconn.Datagram) { d.Queue, d.TTL = mdpconn.QueueOpportunistic, 31 },
		func(d *mdpconn.Datagram) { d.Queue, d.TTL = mdpconn.QueueManagement, 1 },
	} {
		fine := good
		change(&fine)
		if k, err := a.Send([]mdpconn.Datagram{fine}); k != 1 || err != nil {
			t.Errorf("sent %d, %v", k, err)
		}
		drop(t, "good", in)
	}
}

func TestServaldPacketConn(t *testing.T) {
	d := onServald(t, 1, 1)
	a, b := servaldNode(t, d[0], ""), servaldNode(t, d[1], "")
	ca, err := a.ListenPacket(mdpconn.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	cb, err := b.ListenPacket(mdpconn.Addr{SID: mdpconn.All, Port: 55})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.WriteTo([]byte("x"), mdpconn.Addr{SID: b.Primary(), Port: 55}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	cb.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, from, err := cb.ReadFrom(buf); n != 1 || from != ca.LocalAddr() || err != nil {
		t.Errorf("read %d bytes from %v, %v", n, from, err)
	}
	d[1].Kill()
	var gone *mdpconn.DaemonError
	if _, _, err := cb.ReadFrom(buf); !errors.As(err, &gone) {
		t.Errorf("reading: %v, want a *DaemonError", err)
	}
}

// Whatever Send is asked for, no daemon gets what ends it: the daemons of the
// tests panic at that (servaldtest.Mesh.Mortal).
func TestServaldSendAnything(t *testing.T) {
	d := onServald(t, 2, 1)
	a, b := servaldNode(t, d[0], ""), servaldNode(t, d[1], "")
	bind(t, a, mdpconn.Addr{Port: 1000})
	_, in := bind(t, b, mdpconn.Addr{Port: 1000})
	sids := []mdpconn.SID{a.Primary(), b.Primary(), b.Primary(), {}, {31: 1}, mdpconn.All}
	r := rand.New(rand.NewPCG(3, 4))
	sent := 0
	for range 5000 {
		if _, err := a.Send([]mdpconn.Datagram{anyDatagram(r, sids)}); err == nil {
			sent++
		}
		for len(in) > 0 {
			(<-in).Data[0] = 0
		}
	}
	if sent < 200 {
		t.Errorf("only %d datagrams were sent", sent)
	}
}
