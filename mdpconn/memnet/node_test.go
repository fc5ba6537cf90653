package memnet

import (
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
)

// inbox is a handler that keeps the data of what it gets.
type inbox chan string

func (c inbox) HandleDatagrams(batch []mdpconn.Datagram) {
	for i := range batch {
		select {
		case c <- string(batch[i].Data):
		default:
		}
		batch[i].Release()
	}
}

func TestNodesTalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Impairment: Impairment{Delay: 10 * time.Millisecond}})
		var nodes [2]*mdpconn.Node
		for i := range nodes {
			var err error
			if nodes[i], err = n.Node(mdpconn.Config{}); err != nil {
				t.Fatal(err)
			}
			defer nodes[i].Close()
		}
		a, b := nodes[0], nodes[1]
		box := make(inbox, 10)
		if _, err := b.Bind(mdpconn.Addr{Port: 7000}, box); err != nil {
			t.Fatal(err)
		}
		a.AddHint(b.Primary(), b.LinkAddrs()[0])
		k, err := a.Send([]mdpconn.Datagram{{
			Local:  mdpconn.Addr{SID: a.Primary(), Port: 7001},
			Remote: mdpconn.Addr{SID: b.Primary(), Port: 7000},
			Data:   []byte("hello"),
		}})
		if k != 1 || err != nil {
			t.Fatalf("Send = %d, %v", k, err)
		}
		select {
		case got := <-box:
			if got != "hello" {
				t.Errorf("received %q, want \"hello\"", got)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("nothing received; %+v", n.Stats())
		}
	})
}

func TestNodeOwnsItsLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{})
		node, err := n.Node(mdpconn.Config{})
		if err != nil {
			t.Fatal(err)
		}
		addr := node.LinkAddrs()[0]
		if l := n.LinkAt(addr); l == nil || l.LocalAddr() != addr {
			t.Errorf("LinkAt(%v) = %v", addr, l)
		}
		node.Close()
		if l := n.LinkAt(addr); l != nil {
			t.Errorf("the node is closed, but not its link %v", l)
		}
	})
}

func TestNodeFailureClosesItsLink(t *testing.T) {
	n := New(Config{})
	node, err := n.Node(mdpconn.Config{Identities: []*mdpconn.Identity{nil}})
	if err == nil {
		node.Close()
		t.Fatal("a node with a nil identity was made")
	}
	if len(n.links) != 0 {
		t.Error("the link of a node that was not made is open")
	}
}
