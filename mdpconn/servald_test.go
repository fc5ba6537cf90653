package mdpconn_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/servald"
	"mesh.example/msp/mdpconn/servald/servaldtest"
)

// onServald makes a mesh of daemons with the given numbers of identities.
func onServald(t *testing.T, identities ...int) []*servaldtest.Daemon {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("this system has no unixgram sockets")
	}
	mesh := servaldtest.NewMesh()
	t.Cleanup(mesh.Close)
	var daemons []*servaldtest.Daemon
	for _, n := range identities {
		var sids []servald.SID
		for range n {
			sids = append(sids, servaldtest.RandomSID())
		}
		d, err := mesh.Start(sids...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if why := d.Ended(); why != "" {
				t.Errorf("a daemon was ended by %s", why)
			}
		})
		daemons = append(daemons, d)
	}
	return daemons
}

func servaldNode(t *testing.T, d *servaldtest.Daemon, client string) *mdpconn.Node {
	t.Helper()
	n, err := mdpconn.NewNode(mdpconn.Config{Servald: &mdpconn.ServaldConfig{Instance: d.Instance, Client: client}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// take takes what comes within five seconds.
func take[T any](t *testing.T, why string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(5 * time.Second):
		t.Fatalf("%s: nothing came", why)
	}
	return v
}

// drop takes a datagram and releases it.
func drop(t *testing.T, why string, in inbox) {
	t.Helper()
	d := take(t, why, in)
	d.Release()
}

// A downInbox is an inbox that is told of loss and return.
type downInbox struct {
	inbox
	down chan error
	up   chan struct{}
}

func newDownInbox() *downInbox {
	return &downInbox{newInbox(), make(chan error, 10), make(chan struct{}, 10)}
}

func (b *downInbox) HandleDown(err error) { b.down <- err }
func (b *downInbox) HandleUp()            { b.up <- struct{}{} }

func bindDown(t *testing.T, n *mdpconn.Node, a mdpconn.Addr) (*mdpconn.Socket, *downInbox) {
	t.Helper()
	b := newDownInbox()
	s, err := n.Bind(a, b)
	if err != nil {
		t.Fatal(err)
	}
	return s, b
}

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

// The end of the daemon is seen within a second by those that only wait.
func TestServaldLost(t *testing.T) {
	d := onServald(t, 1, 1)
	a, b := servaldNode(t, d[0], ""), servaldNode(t, d[1], "")
	sa, ia := bindDown(t, a, mdpconn.Addr{Port: 1000})
	_, ib := bindDown(t, a, mdpconn.Addr{Port: 1001})
	sb, in := bind(t, b, mdpconn.Addr{Port: 2000})
	send(t, a, sa.LocalAddr(), sb.LocalAddr(), "before")
	drop(t, "before", in)

	start := time.Now()
	d[0].Kill()
	for _, in := range []*downInbox{ia, ib} {
		err := take(t, "the loss", in.down)
		var gone *mdpconn.DaemonError
		if !errors.As(err, &gone) || !errors.Is(err, syscall.ENETDOWN) || !strings.Contains(err.Error(), "gone") {
			t.Errorf("told %v, want a *DaemonError", err)
		}
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("the loss was seen after %v, want a second at most", took)
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

// Nobody but the daemon gets something in: on Linux the kernel refuses it,
// elsewhere the node drops and counts it.
func TestServaldForeign(t *testing.T) {
	d := onServald(t, 1)[0]
	n := servaldNode(t, d, "mine")
	s, in := bind(t, n, mdpconn.Addr{Port: 80})
	name, _ := servald.ClientName(d.Socket, "mine")
	foreign, _ := servald.ClientName(d.Socket, "foreign")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: foreign, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m := servald.Message{LocalSID: servald.SID(s.LocalAddr().SID), LocalPort: 80, RemoteSID: servaldtest.RandomSID(), RemotePort: 1, Payload: []byte("forged")}
	_, err = c.WriteToUnix(m.AppendAny(nil), &net.UnixAddr{Name: name, Net: "unixgram"})
	send(t, n, s.LocalAddr(), s.LocalAddr(), "true")
	if got := take(t, "the daemon's", in); string(got.Data) != "true" {
		t.Errorf("got %q", got.Data)
	}
	if foreign := n.Stats().Servald.Foreign; !errors.Is(err, syscall.EPERM) && foreign != 1 {
		t.Errorf("sent with %v, %d counted, want EPERM or 1", err, foreign)
	}
}

// The daemon side of every recorded datagram, played to our client: data that is
// enciphered and not a broadcast reaches the handler of its port, the rest
// nobody.
func TestServaldRecorded(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("this system has no unixgram sockets")
	}
	b, err := os.ReadFile("servald/testdata/mdp-client.json")
	if err != nil {
		t.Fatal(err)
	}
	type datagram struct{ Direction, Hex string }
	var file struct {
		APICases []struct{ Datagrams []datagram }            `json:"api_cases"`
		Sessions []struct{ Endpoints map[string][]datagram } `json:"msp_sessions"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	var all []servald.Message
	add := func(ds []datagram) {
		for _, d := range ds {
			raw, _ := hex.DecodeString(d.Hex)
			if m, err := servald.Parse(raw); err == nil && d.Direction == "daemon->client" {
				all = append(all, m)
			}
		}
	}
	for _, c := range file.APICases {
		add(c.Datagrams)
	}
	for _, s := range file.Sessions {
		for _, ds := range s.Endpoints {
			add(ds)
		}
	}

	// A hand-driven daemon whose identities are those of both recorded ones.
	var own []servald.SID
	ports := map[mdpconn.Addr]inbox{}
	for _, m := range all {
		if m.LocalSID != servald.Internal && m.LocalSID != servald.Broadcast && !slices.Contains(own, m.LocalSID) {
			own = append(own, m.LocalSID)
		}
		if m.Flags == 0 && !m.IsCommand() {
			ports[mdpconn.Addr{SID: mdpconn.SID(m.LocalSID), Port: mdpconn.Port(m.LocalPort)}] = newInbox()
		}
	}
	mesh := servaldtest.NewMesh()
	defer mesh.Close()
	d, err := mesh.Start(own...)
	if err != nil {
		t.Fatal(err)
	}
	n := servaldNode(t, d, "recorded")
	for a, in := range ports {
		if _, err := n.Bind(a, in); err != nil {
			t.Fatal(err)
		}
	}
	delivered := 0
	for i := range all {
		m := &all[i]
		if err := d.Send("recorded", m); err != nil {
			t.Fatal(err)
		}
		if m.Flags != 0 || m.IsCommand() || m.LocalSID == servald.Broadcast {
			continue
		}
		delivered++
		local := mdpconn.Addr{SID: mdpconn.SID(m.LocalSID), Port: mdpconn.Port(m.LocalPort)}
		got := take(t, m.String(), ports[local])
		if got.Local != local || got.Remote != (mdpconn.Addr{SID: mdpconn.SID(m.RemoteSID), Port: mdpconn.Port(m.RemotePort)}) ||
			string(got.Data) != string(m.Payload) || got.TTL != m.TTL || byte(got.Queue) != m.Queue {
			t.Errorf("got %q from %v for %v, want %v", got.Data, got.Remote, got.Local, m)
		}
		got.Release()
	}
	if len(all) != 105 || delivered != 58 {
		t.Errorf("%d datagrams of the daemon, %d of them delivered, want 105 and 58", len(all), delivered)
	}
	for a, in := range ports {
		if len(in) > 0 {
			t.Errorf("%v got more than its own", a)
		}
	}
	// After all these answers that nobody asked for, asking still works.
	if _, err := n.Bind(mdpconn.Addr{Port: 9999}, newInbox()); err != nil {
		t.Error(err)
	}
	if s := n.Stats(); s.Servald.Refused == 0 || s.Dropped.Plain == 0 {
		t.Errorf("stats %+v", s)
	}
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
	start := time.Now()
	_, err = mdpconn.NewNode(mdpconn.Config{Servald: &mdpconn.ServaldConfig{Instance: d.Instance}})
	var gone *mdpconn.DaemonError
	if took := time.Since(start); !errors.As(err, &gone) || took > time.Second {
		t.Errorf("%v after %v, want a *DaemonError within a second", err, took)
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
