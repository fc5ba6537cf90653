package mspnet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/servald"
	"mesh.example/msp/mdpconn/servald/servaldtest"
	"mesh.example/msp/mspnet"
)

// patience is how long the tests through a daemon, which has sockets of the system,
// wait for what does not come.
const patience = time.Minute

// A door is a node at a daemon of its own.
type door struct {
	t      *testing.T
	daemon *servaldtest.Daemon
	node   *mdpconn.Node
}

// twoDoors makes two of a mesh.
func twoDoors(t *testing.T) (a, b *door) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("this system has no unixgram sockets")
	}
	mesh := servaldtest.NewMesh()
	t.Cleanup(mesh.Close)
	open := func() *door {
		daemon, err := mesh.Start()
		if err != nil {
			t.Fatal(err)
		}
		node, err := mdpconn.NewNode(mdpconn.Config{Servald: &mdpconn.ServaldConfig{Instance: daemon.Instance}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			node.Close()
			if why := daemon.Ended(); why != "" {
				t.Errorf("a daemon was ended by %s", why)
			}
		})
		return &door{t, daemon, node}
	}
	return open(), open()
}

func (d *door) listen(address string) *mspnet.Listener {
	d.t.Helper()
	l, err := (&mspnet.ListenConfig{Node: d.node}).Listen(context.Background(), "msp", address)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { l.Close() })
	return l.(*mspnet.Listener)
}

func (d *door) dial(to net.Addr) *mspnet.Conn {
	d.t.Helper()
	c, err := (&mspnet.Dialer{Node: d.node}).Dial("msp", to.String())
	if err != nil {
		d.t.Fatal(err)
	}
	return c.(*mspnet.Conn)
}

func accept(t *testing.T, l *mspnet.Listener) *mspnet.Conn {
	t.Helper()
	l.SetDeadline(time.Now().Add(patience))
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return c.(*mspnet.Conn)
}

// connected makes a connection from a to b.
func connected(a, b *door) (ca, cb *mspnet.Conn) {
	a.t.Helper()
	l := b.listen(":80")
	ca = a.dial(l.Addr())
	return ca, accept(a.t, l)
}

func someBytes(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

// Streams go both ways through two daemons, and each direction ends by itself.
func TestServaldStreams(t *testing.T) {
	a, b := twoDoors(t)
	ca, cb := connected(a, b)
	there, back := someBytes(300<<10), someBytes(200<<10)
	got := make(chan []byte, 2)
	errs := make(chan error, 4)
	run := func(from, to *mspnet.Conn, data []byte) {
		go func() {
			_, err := from.Write(data)
			errs <- errors.Join(err, from.CloseWrite())
		}()
		go func() {
			all, err := io.ReadAll(to)
			got <- all
			errs <- err
		}()
	}
	run(ca, cb, there)
	for range 2 { // the other direction is open still
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(<-got, there) {
		t.Error("the bytes there differ")
	}
	run(cb, ca, back)
	for range 2 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(<-got, back) {
		t.Error("the bytes back differ")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, c := range []*mspnet.Conn{ca, cb} {
		if err := c.CloseContext(ctx); err != nil {
			t.Errorf("closing: %v", err)
		}
	}
	if ca.LocalAddr().(mspnet.Addr).SID != a.node.Primary() || cb.RemoteAddr().(mspnet.Addr).SID != a.node.Primary() {
		t.Error("the connecting side is not the daemon's identity")
	}
}

// A connection that waits gets an answer from somebody who has the port bound;
// where nobody has, the daemon is silent.
func TestServaldRefused(t *testing.T) {
	a, b := twoDoors(t)
	l := b.listen(":80")
	ca := a.dial(l.Addr())
	cb := accept(t, l)
	l.Close() // the connection has the port still
	if _, err := (&mspnet.Dialer{Node: a.node}).Dial("msp", l.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nobody listens there any more: %v, want ECONNREFUSED", err)
	}
	_, err := (&mspnet.Dialer{Node: a.node, Timeout: 200 * time.Millisecond}).Dial("msp", b.node.Primary().String()+":81")
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() || !strings.Contains(err.Error(), "a route of 1 hops") {
		t.Errorf("nobody has bound the port: %v, want a time-out that tells of the route", err)
	}
	ca.Close()
	cb.Close()
}

// The daemon killed in the middle of a transfer gives both applications an error,
// whichever of them had dialled: at its own node at once, at the other after ten
// seconds of silence. The reader gets a beginning of what was sent, and no io.EOF.
func TestServaldKilledInTransfer(t *testing.T) {
	for _, c := range []struct {
		killed       string
		dialerWrites bool
		far          bool // the other side is waited for
	}{
		{"the writer's", true, true}, {"the reader's", true, false}, {"both", true, false},
		{"the writer's", false, false}, {"the reader's", false, true}, {"both", false, false},
	} {
		t.Run(fmt.Sprintf("%s, the dialer writes %v", c.killed, c.dialerWrites), func(t *testing.T) {
			t.Parallel()
			wd, rd := twoDoors(t) // the writer's, the reader's
			w, r := connectedBy(wd, rd, c.dialerWrites)
			killed := map[*door]bool{wd: c.killed != "the reader's", rd: c.killed != "the writer's"}
			killedInTransfer(t, w, r, wd, rd, killed, c.far)
		})
	}
}

// connectedBy connects the doors of a writer and a reader; one of them dials.
func connectedBy(wd, rd *door, writerDials bool) (w, r *mspnet.Conn) {
	if writerDials {
		return connected(wd, rd)
	}
	r, w = connected(rd, wd)
	return w, r
}

func killedInTransfer(t *testing.T, w, r *mspnet.Conn, wd, rd *door, killed map[*door]bool, far bool) {
	wrote := make(chan error, 1)
	go func() {
		chunk := someBytes(1 << 10)
		for {
			if _, err := w.Write(chunk); err != nil {
				wrote <- err
				return
			}
		}
	}()
	if _, err := io.ReadFull(r, make([]byte, 64<<10)); err != nil {
		t.Fatal(err)
	}
	for d := range killed {
		if killed[d] {
			d.daemon.Kill()
		}
	}
	if killed[wd] {
		wantGone(t, "the writer", <-wrote, wd)
		wantGone(t, "and again", w.CloseWrite(), wd)
		wantGone(t, "closing", w.CloseContext(context.Background()), wd)
		<-w.Done()
	}
	if killed[rd] {
		_, err := io.ReadAll(r)
		wantGone(t, "the reader", err, rd)
		wantGone(t, "closing", r.CloseContext(context.Background()), rd)
	}
	for c, d := range map[*mspnet.Conn]*door{w: wd, r: rd} {
		select {
		case <-c.Done():
			if !killed[d] {
				t.Error("the side whose daemon is gone was told behind the silence of the other")
			}
		default:
		}
	}
	if far && !killed[wd] {
		wantTimeout(t, "the writer", <-wrote)
		wantTimeout(t, "closing", w.CloseContext(context.Background()))
	}
	if far && !killed[rd] {
		_, err := io.ReadAll(r)
		wantTimeout(t, "the reader", err)
	}
	if !far { // let the writer go
		w.Abort()
		<-w.Done()
	}
}

// wantTimeout wants the error of a peer that has fallen silent.
func wantTimeout(t *testing.T, who string, err error) {
	t.Helper()
	if !errors.Is(err, syscall.ETIMEDOUT) {
		t.Errorf("%s got %v, want ETIMEDOUT", who, err)
	}
}

// wantGone wants an error that says that the daemon of d is gone.
func wantGone(t *testing.T, who string, err error, d *door) {
	t.Helper()
	var op *net.OpError
	var gone *mdpconn.DaemonError
	switch {
	case err == nil || err == io.EOF || errors.Is(err, io.EOF):
		t.Errorf("%s got %v, want that the daemon is gone", who, err)
	case !errors.As(err, &op), !errors.As(err, &gone), !errors.Is(err, syscall.ENETDOWN), errors.Is(err, syscall.ECONNREFUSED):
		t.Errorf("%s got %#v, want a *net.OpError of a *DaemonError", who, err)
	case gone.Socket != d.daemon.Socket || !strings.Contains(err.Error(), "is gone"):
		t.Errorf("%s got %q, want it to name the socket", who, err)
	}
}

// What had arrived before is read first.
func TestServaldKilledBehindData(t *testing.T) {
	a, b := twoDoors(t)
	ca, cb := connected(a, b)
	if _, err := ca.Write([]byte("before")); err != nil {
		t.Fatal(err)
	}
	if err := ca.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	b.daemon.Kill()
	<-cb.Done()
	all, err := io.ReadAll(cb)
	if string(all) != "before" {
		t.Errorf("read %q", all)
	}
	wantGone(t, "the reader", err, b)
}

// A dial that waits is told, and so is one that comes later; listeners stay, and
// take connections again when the daemon is back.
func TestServaldRestart(t *testing.T) {
	a, b := twoDoors(t)
	l := b.listen(":80")
	la := a.listen("*:90")
	dialled := make(chan error, 1)
	go func() {
		_, err := (&mspnet.Dialer{Node: a.node}).Dial("msp", b.node.Primary().String()+":81")
		dialled <- err
	}()
	a.daemon.Await(func(bs []servaldtest.Binding) bool { return len(bs) == 2 })
	a.daemon.Kill()
	wantGone(t, "the dial", <-dialled, a)
	_, err := (&mspnet.Dialer{Node: a.node}).Dial("msp", l.Addr().String())
	var gone *mdpconn.DaemonError
	if !errors.As(err, &gone) {
		t.Errorf("a dial without a daemon: %v", err)
	}
	if err := a.daemon.Restart(); err != nil {
		t.Fatal(err)
	}
	a.daemon.Await(func(bs []servaldtest.Binding) bool {
		return len(bs) > 0 && bs[0] == servaldtest.Binding{SID: servald.SID(a.node.Primary()), Port: 90}
	})
	cb := b.dial(la.Addr())
	ca := accept(t, la)
	if _, err := cb.Write([]byte("again")); err != nil {
		t.Fatal(err)
	}
	if got := make([]byte, 5); true {
		if _, err := io.ReadFull(ca, got); err != nil || string(got) != "again" {
			t.Errorf("read %q, %v", got, err)
		}
	}
	if c := a.dial(l.Addr()); c.Close() != nil {
		t.Error("a new connection could not be closed")
	}
}

// A listener for the primary identity follows to the new one of a daemon that
// makes one up when it starts.
func TestServaldListenerFollows(t *testing.T) {
	a, b := twoDoors(t)
	l := b.listen(":80")
	old := l.Addr()
	next := servaldtest.RandomSID()
	b.daemon.Kill()
	b.daemon.SetSIDs(next)
	if err := b.daemon.Restart(); err != nil {
		t.Fatal(err)
	}
	b.daemon.Await(func(bs []servaldtest.Binding) bool { return len(bs) > 0 && bs[0].SID == next })
	if l.Addr() == old || l.Addr().(mspnet.Addr).SID != mdpconn.SID(next) {
		t.Errorf("the listener's address is %v, want that of %X", l.Addr(), next)
	}
	ca := a.dial(l.Addr())
	cb := accept(t, l)
	if cb.LocalAddr() != l.Addr() {
		t.Errorf("accepted at %v, want %v", cb.LocalAddr(), l.Addr())
	}
	ca.Close()
	cb.Close()
}

// Ports are released when the listener and the node are closed.
func TestServaldPortsReleased(t *testing.T) {
	a, b := twoDoors(t)
	l := b.listen(":80")
	if got := l.Addr().String(); got != b.node.Primary().String()+":80" {
		t.Errorf("listening at %s, want no UDP address", got)
	}
	l.Close()
	b.daemon.Await(func(bs []servaldtest.Binding) bool { return len(bs) == 0 })
	ca, cb := connected(a, b)
	b.node.Close()
	b.daemon.Await(func(bs []servaldtest.Binding) bool { return len(bs) == 0 })
	if _, err := cb.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("reading of a closed node: %v", err)
	}
	if _, err := ca.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the peer of a closed node reads %v, want ECONNRESET", err)
	}
	if _, err := (&mspnet.ListenConfig{Node: a.node}).Listen(context.Background(), "msp", ":80@127.0.0.1:0"); err == nil ||
		!strings.Contains(err.Error(), "leave the UDP address away") {
		t.Errorf("listening at a UDP address: %v", err)
	}
}
