package mspnet_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mspnet"
)

// TestService: a listener with a name is found and dialled by it, while it is
// open.
func TestService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: time.Millisecond}})
		defer network.Close()
		var nodes [2]*mdpconn.Node
		for i := range nodes {
			n, err := mdpconn.NewNode(mdpconn.Config{Links: []mdpconn.Link{network.Link()}})
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			nodes[i] = n
		}
		l, err := (&mspnet.ListenConfig{Node: nodes[0], Service: "echo"}).Listen(context.Background(), "msp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if c, err := l.Accept(); err == nil {
				io.Copy(c, c)
				c.Close()
			}
		}()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s, err := mspnet.LookupService(ctx, nodes[1], "echo")
		if err != nil || !s.Verified || s.Addr != l.Addr().(mspnet.Addr).Addr {
			t.Fatalf("%+v, %v; want %v", s, err, l.Addr())
		}
		c, err := (&mspnet.Dialer{Node: nodes[1]}).Dial("msp", s.Addr.String())
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("hello"))
		if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
			t.Error(err)
		}
		c.Close()
		l.Close()
		ctx, cancel = context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if s, err := mspnet.LookupService(ctx, nodes[1], "echo"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("found %+v, %v behind the listener's end", s, err)
		}
		if _, err := (&mspnet.ListenConfig{Node: nodes[0], Service: "a b"}).Listen(context.Background(), "msp", ":77"); err == nil {
			t.Error("a name that is none was taken")
		}
		if l, err := (&mspnet.ListenConfig{Node: nodes[0]}).Listen(context.Background(), "msp", ":77"); err != nil {
			t.Errorf("the failed listener holds its port: %v", err)
		} else {
			l.Close()
		}
	})
}

// TestServiceOfAnotherIdentity: a name is told with the primary identity's SID, so
// a listener of another one alone is refused it; one of all is found there.
func TestServiceOfAnotherIdentity(t *testing.T) {
	var ids []*mdpconn.Identity
	for range 2 {
		id, err := mdpconn.NewIdentity()
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	n, err := mdpconn.NewNode(mdpconn.Config{NoUDP: true, Identities: ids})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	lc := mspnet.ListenConfig{Node: n, Service: "echo"}
	for address, fits := range map[string]bool{
		":77": true, "*:78": true, ids[0].SID().String() + ":79": true, ids[1].SID().String() + ":80": false,
	} {
		l, err := lc.Listen(context.Background(), "msp", address)
		if fits != (err == nil) || err != nil && !strings.Contains(err.Error(), "primary identity") {
			t.Errorf("%s: %v", address, err)
		}
		if err == nil {
			l.Close()
		}
	}
}
