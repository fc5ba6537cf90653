package mdpconn_test

import (
	"runtime"
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
	case <-time.After(time.Minute):
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

func (b *downInbox) HandleUp() { b.up <- struct{}{} }

func bindDown(t *testing.T, n *mdpconn.Node, a mdpconn.Addr) (*mdpconn.Socket, *downInbox) {
	t.Helper()
	b := newDownInbox()
	s, err := n.Bind(a, b)
	if err != nil {
		t.Fatal(err)
	}
	return s, b
}
