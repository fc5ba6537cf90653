package mspnet_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mspnet"
)

// A mesh is relays on a memory network, each of which hears only those that it
// was connected to.
type mesh struct {
	t       *testing.T
	network *memnet.Network
	ids     []*mdpconn.Identity
	nodes   []*mdpconn.Node
	links   []*memnet.Link
}

func newMesh(t *testing.T, k int, im memnet.Impairment, edges [][2]int) *mesh {
	m := &mesh{t: t, network: memnet.New(memnet.Config{Unconnected: true, Impairment: im})}
	for range k {
		id, err := mdpconn.NewIdentity()
		if err != nil {
			t.Fatal(err)
		}
		m.ids, m.nodes, m.links = append(m.ids, id), append(m.nodes, nil), append(m.links, nil)
		m.start(len(m.nodes) - 1)
	}
	m.connect(edges...)
	return m
}

func (m *mesh) start(i int) {
	m.links[i] = m.network.Link()
	n, err := mdpconn.NewNode(mdpconn.Config{Identities: m.ids[i : i+1], Links: []mdpconn.Link{m.links[i]}})
	if err != nil {
		m.t.Fatal(err)
	}
	m.nodes[i] = n
	m.t.Cleanup(func() { n.Close() })
}

func (m *mesh) connect(edges ...[2]int) {
	for _, e := range edges {
		m.network.Connect(m.links[e[0]], m.links[e[1]])
	}
}

// chain gives the edges of a line of k nodes.
func chain(k int) (edges [][2]int) {
	for i := 1; i < k; i++ {
		edges = append(edges, [2]int{i - 1, i})
	}
	return edges
}

// sink accepts one connection at a node and gives the hash of what comes over
// it.
func (m *mesh) sink(i int) (addr string, sum <-chan [32]byte) {
	ln, err := (&mspnet.ListenConfig{Node: m.nodes[i]}).Listen(context.Background(), "msp", ":80")
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { ln.Close() })
	out := make(chan [32]byte, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		h := sha256.New()
		if _, err := io.Copy(h, c); err != nil {
			m.t.Errorf("reading at node %d: %v", i, err)
		}
		out <- [32]byte(h.Sum(nil))
	}()
	return mdpconn.Addr{SID: m.ids[i].SID(), Port: 80}.String(), out
}

func (m *mesh) dial(i int, addr string) net.Conn {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := (&mspnet.Dialer{Node: m.nodes[i]}).DialContext(ctx, "msp", addr)
	if err != nil {
		m.t.Fatalf("node %d: %v", i, err)
	}
	return c
}

// carry sends random bytes from one node to another, and checks them. during is
// called after half of them.
func (m *mesh) carry(from, to, bytesLong int, during func()) {
	m.t.Helper()
	addr, sum := m.sink(to)
	c := m.dial(from, addr)
	data := make([]byte, bytesLong)
	rand.NewChaCha8([32]byte{byte(from), byte(to)}).Read(data)
	c.SetDeadline(time.Now().Add(10 * time.Minute))
	_, err := io.Copy(c, bytes.NewReader(data[:bytesLong/2]))
	if during != nil {
		during()
	}
	if err == nil {
		_, err = io.Copy(c, bytes.NewReader(data[bytesLong/2:]))
	}
	if err != nil {
		m.t.Fatalf("writing at node %d: %v", from, err)
	}
	c.Close()
	select {
	case got := <-sum:
		if got != sha256.Sum256(data) {
			m.t.Errorf("node %d to %d: other bytes arrived", from, to)
		}
	case <-time.After(10 * time.Minute):
		m.t.Fatalf("node %d to %d: the end did not arrive", from, to)
	}
}

// A stream passes chains of nodes, found by nothing but its SID.
func TestChainCarriesStream(t *testing.T) {
	for _, k := range []int{3, 5} {
		synctest.Test(t, func(t *testing.T) {
			m := newMesh(t, k, memnet.Impairment{Delay: 2 * time.Millisecond}, chain(k))
			began := time.Now()
			m.carry(0, k-1, 1<<20, nil)
			t.Logf("%d nodes: 1 MiB in %v", k, time.Since(began))
		})
	}
}
