package mspnet_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
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
	relay   mdpconn.RelayMode // of nodes that are started
	ids     []*mdpconn.Identity
	nodes   []*mdpconn.Node
	links   []*memnet.Link
	port    mdpconn.Port // of the last listener
}

func newMesh(t *testing.T, k int, im memnet.Impairment, edges [][2]int) *mesh {
	m := &mesh{t: t, network: memnet.New(memnet.Config{Unconnected: true, Impairment: im})}
	m.add(k, edges)
	return m
}

// add starts k nodes.
func (m *mesh) add(k int, edges [][2]int) {
	for range k {
		id, err := mdpconn.NewIdentity()
		if err != nil {
			m.t.Fatal(err)
		}
		m.ids, m.nodes, m.links = append(m.ids, id), append(m.nodes, nil), append(m.links, nil)
		m.start(len(m.nodes) - 1)
	}
	m.connect(edges...)
}

func (m *mesh) start(i int) {
	m.links[i] = m.network.Link()
	n, err := mdpconn.NewNode(mdpconn.Config{
		Identities: m.ids[i : i+1], Links: []mdpconn.Link{m.links[i]}, Announce: mdpconn.AnnounceAlways, Relay: m.relay,
	})
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
	m.port++
	ln, err := (&mspnet.ListenConfig{Node: m.nodes[i]}).Listen(context.Background(), "msp", fmt.Sprintf(":%d", 1000+m.port))
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
	return mdpconn.Addr{SID: m.ids[i].SID(), Port: 1000 + m.port}.String(), out
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

// ring gives the edges of a ring, grid those of a grid with rows of w, complete
// those between all, and randomGraph those of a connected graph with about degree
// edges at each node.
func ring(k int) [][2]int { return append(chain(k), [2]int{k - 1, 0}) }

func complete(k int) (edges [][2]int) {
	for i := range k {
		for j := range i {
			edges = append(edges, [2]int{j, i})
		}
	}
	return edges
}

func grid(w, h int) (edges [][2]int) {
	for i := range w * h {
		if i%w > 0 {
			edges = append(edges, [2]int{i - 1, i})
		}
		if i >= w {
			edges = append(edges, [2]int{i - w, i})
		}
	}
	return edges
}

func randomGraph(k, degree int, r *rand.Rand) (edges [][2]int) {
	for i := 1; i < k; i++ { // a tree first
		edges = append(edges, [2]int{r.IntN(i), i})
	}
	for len(edges) < k*degree/2 {
		if a, b := r.IntN(k), r.IntN(k); a != b {
			edges = append(edges, [2]int{a, b})
		}
	}
	return edges
}

// converge waits until every node knows a route to every other, and tells how
// long that took.
func (m *mesh) converge() time.Duration {
	m.t.Helper()
	began := time.Now()
	for {
		least := len(m.nodes)
		for _, n := range m.nodes {
			least = min(least, n.Stats().Tables.Routes+1)
		}
		switch {
		case least == len(m.nodes):
			return time.Since(began)
		case time.Since(began) > time.Minute:
			m.t.Fatalf("a node knows only %d of %d nodes after a minute", least, len(m.nodes))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// sent gives how many packets and bytes all nodes have sent.
func (m *mesh) sent() (packets, bytes uint64) {
	for _, n := range m.nodes {
		s := n.Stats().Sent
		packets += s.Packets
		bytes += s.Bytes
	}
	return packets, bytes
}

// Meshes of many shapes converge, carry streams between random nodes while every
// hop loses a tenth of the packets, and cost little when idle.
func TestMeshesCarryStreams(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name  string
		k     int
		edges [][2]int
		hard  bool // to be left out of short tests
	}{
		{"line of 8", 8, chain(8), false},
		{"line of 20", 20, chain(20), true},
		{"ring of 12", 12, ring(12), false},
		{"grid of 49", 49, grid(7, 7), true},
		{"random graph of 50", 50, randomGraph(50, 4, r), true},
	} {
		if c.hard && testing.Short() {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			m := newMesh(t, c.k, memnet.Impairment{Delay: time.Millisecond, Loss: 0.1}, c.edges)
			took := m.converge()
			time.Sleep(30 * time.Second) // for changes to be told
			p0, b0 := m.sent()
			time.Sleep(20 * time.Second)
			p1, b1 := m.sent()
			per := float64(c.k) * 20
			t.Logf("%s: converged in %v; idle: %.1f packets and %.0f bytes per node and second, %.1f edges per node",
				c.name, took, float64(p1-p0)/per, float64(b1-b0)/per, 2*float64(len(c.edges))/float64(c.k))
			first := true
			for range 3 {
				from, to := r.IntN(c.k), r.IntN(c.k)
				for from == to {
					to = r.IntN(c.k)
				}
				if first { // from end to end
					from, to, first = 0, c.k-1, false
				}
				began := time.Now()
				m.carry(from, to, 50_000, nil)
				t.Logf("%s: %d to %d: 50 kB in %v", c.name, from, to, time.Since(began))
			}
		})
	}
}

// When a node in the middle dies and there is another way, the stream goes on;
// so it does when the node comes back and the other way dies.
func TestStreamSurvivesDeathAndReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		//     1 2 3
		//   0       4      the upper way is the shorter one
		//     5 6 7 8
		edges := [][2]int{{0, 1}, {1, 2}, {2, 3}, {3, 4}, {0, 5}, {5, 6}, {6, 7}, {7, 8}, {8, 4}}
		m := newMesh(t, 9, memnet.Impairment{Delay: 2 * time.Millisecond, Loss: 0.02}, edges)
		m.converge()
		m.carry(0, 4, 2<<20, func() {
			m.nodes[2].Close()
			began := m.nodes[6].Stats().Relayed.Payloads
			at := time.Now()
			go func() {
				for m.nodes[6].Stats().Relayed.Payloads < began+1 {
					time.Sleep(10 * time.Millisecond)
				}
				t.Logf("the other way is used after %v", time.Since(at))
			}()
		})
		m.start(2)
		m.connect([2]int{1, 2}, [2]int{2, 3})
		time.Sleep(5 * time.Second)
		m.carry(0, 4, 2<<20, func() { m.nodes[6].Close() })
	})
}

// A stream between two nodes in hearing goes directly; when they lose each other
// it goes by way of a third, and directly again when they come back.
func TestStreamLeavesAndReturnsToTheDirectWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, 3, memnet.Impairment{Delay: 2 * time.Millisecond}, ring(3))
		m.converge()
		addr, sum := m.sink(2)
		c := m.dial(0, addr)
		data := make([]byte, 3<<20)
		rand.NewChaCha8([32]byte{9}).Read(data)
		relayed := func(part int) uint64 {
			t.Helper()
			before := m.nodes[1].Stats().Relayed.Payloads
			if _, err := c.Write(data[part<<20:][:1<<20]); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
			return m.nodes[1].Stats().Relayed.Payloads - before
		}
		if k := relayed(0); k != 0 {
			t.Errorf("%d payloads were relayed between neighbours", k)
		}
		m.network.Cut(m.links[0], m.links[2])
		if k := relayed(1); k*1200 < 1<<20 { // bodies are shorter than that
			t.Errorf("%d payloads were relayed after the direct way was lost", k)
		}
		m.network.Connect(m.links[0], m.links[2])
		time.Sleep(5 * time.Second)
		if k := relayed(2); k > 10 {
			t.Errorf("%d payloads were relayed after the direct way came back", k)
		}
		c.Close()
		if got := <-sum; got != sha256.Sum256(data) {
			t.Error("other bytes arrived")
		}
	})
}

// Streams across a lossy grid survive the death of all inner nodes of its
// diagonal, one after the other, and their return.
func TestGridSurvivesDeaths(t *testing.T) {
	if testing.Short() {
		t.Skip("not run: -short")
	}
	synctest.Test(t, func(t *testing.T) {
		edges := grid(6, 6)
		m := newMesh(t, 36, memnet.Impairment{Delay: time.Millisecond, Loss: 0.05}, edges)
		m.converge()
		dead := []int{7, 14, 21, 28}
		m.carry(0, 35, 400_000, func() {
			for _, i := range dead {
				m.nodes[i].Close()
				time.Sleep(time.Second)
			}
		})
		for _, i := range dead {
			m.start(i)
			for _, e := range edges {
				if e[0] == i || e[1] == i {
					m.connect(e)
				}
			}
		}
		t.Logf("after their return: converged in %v", m.converge())
		m.carry(30, 5, 400_000, nil)
	})
}
