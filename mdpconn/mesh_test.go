package mdpconn_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
)

// A meshNet is relays on a network where only those hear each other that were
// connected.
type meshNet struct {
	t       *testing.T
	network *memnet.Network
	nodes   []*mdpconn.Node
	links   []*memnet.Link
	ids     []*mdpconn.Identity
	rules   *rules
}

func newMesh(t *testing.T, k int, im memnet.Impairment) *meshNet {
	m := &meshNet{t: t, network: memnet.New(memnet.Config{Unconnected: true, Impairment: im})}
	m.rules = watch(t, m.network)
	for range k {
		m.ids = append(m.ids, identity(t))
		m.nodes, m.links = append(m.nodes, nil), append(m.links, nil)
		m.start(len(m.nodes) - 1)
	}
	return m
}

// announcedLine makes a line of k nodes that announce themselves, and know of each
// other by now.
func announcedLine(t *testing.T, k int) *meshNet {
	m := newMesh(t, k, memnet.Impairment{Delay: time.Millisecond})
	m.connect(line(k)...)
	for _, n := range m.nodes {
		n.Announce() // until it is closed
	}
	time.Sleep(5 * time.Second)
	return m
}

// start makes a node, or makes it anew after it was closed. It has no
// connections.
func (m *meshNet) start(i int) {
	m.nodes[i], m.links[i] = newRelay(m.t, m.network, mdpconn.Config{Identities: []*mdpconn.Identity{m.ids[i]}})
}

func (m *meshNet) connect(pairs ...[2]int) {
	for _, p := range pairs {
		m.network.Connect(m.links[p[0]], m.links[p[1]])
	}
}

// line gives the pairs of a chain of k nodes.
func line(k int) (pairs [][2]int) {
	for i := 1; i < k; i++ {
		pairs = append(pairs, [2]int{i - 1, i})
	}
	return pairs
}

// sockets binds a port on two nodes, which hold each other.
func (m *meshNet) sockets(a, b int) (from, to mdpconn.Addr, at, back inbox) {
	m.t.Helper()
	sa, back := bind(m.t, m.nodes[a], mdpconn.Addr{Port: 1000})
	sb, at := bind(m.t, m.nodes[b], mdpconn.Addr{Port: 2000})
	hold(m.t, m.nodes[a], m.nodes[b])
	hold(m.t, m.nodes[b], m.nodes[a])
	return sa.LocalAddr(), sb.LocalAddr(), at, back
}

// Relays that nobody calls upon stay silent; one that announces itself has them
// make a mesh, through which others are found without a hint.
func TestChain(t *testing.T) {
	for _, k := range []int{3, 5, 20} {
		synctest.Test(t, func(t *testing.T) {
			m := newMesh(t, k, memnet.Impairment{Delay: time.Millisecond})
			m.connect(line(k)...)
			time.Sleep(time.Minute)
			for i, n := range m.nodes {
				if !n.NextWake().IsZero() || n.Stats().Sent.Packets != 0 {
					t.Fatalf("node %d of a mesh without purpose does something", i)
				}
			}
			began := time.Now()
			defer m.nodes[k-1].Announce()()
			from, to, at, back := m.sockets(0, k-1)
			send(t, m.nodes[0], from, to, "there")
			for m.nodes[0].Stats().Sent.Datagrams == 0 {
				time.Sleep(10 * time.Millisecond)
				if time.Since(began) > 20*time.Second {
					t.Fatalf("no route after 20 s: %+v", m.nodes[0].Stats())
				}
				send(t, m.nodes[0], from, to, "there")
			}
			t.Logf("%d nodes: routed after %v", k, time.Since(began))
			time.Sleep(time.Second)
			for len(at) > 0 {
				<-at
			}
			for i := range 20 {
				text := fmt.Sprint(i)
				send(t, m.nodes[0], from, to, text)
				time.Sleep(time.Duration(2*k) * time.Millisecond)
				at.want(t, "there", text)
				send(t, m.nodes[k-1], to, from, text)
				time.Sleep(time.Duration(2*k) * time.Millisecond)
				back.want(t, "back", text)
			}
			p := m.nodes[0].Path(mdpconn.Primary, m.nodes[k-1].Primary())
			if p.Hops != k-1 || p.Via != m.nodes[1].Primary() || p.Endpoint.IsValid() {
				t.Errorf("path %+v, want %d hops", p, k-1)
			}
			if r := m.nodes[0].Routes(); len(r) != k-1 {
				t.Errorf("routes %+v", r)
			}
			// The largest datagram passes, and no larger packet arises.
			send(t, m.nodes[0], from, to, string(make([]byte, mdpconn.MaxData)))
			time.Sleep(time.Duration(2*k) * time.Millisecond)
			at.want(t, "the largest", string(make([]byte, mdpconn.MaxData)))
			if s := m.nodes[1].Stats(); s.Relayed.Payloads < 40 {
				t.Errorf("%+v", s.Relayed)
			}
		})
	}
}

// rules checks every packet that nodes send against what ends a stock node and
// what else they must not do (docs/overlay.md §11).
type rules struct {
	t    *testing.T
	last map[string]byte // packet numbers, by both ends

	mu   sync.Mutex
	fair map[string]bool // senders that are not nodes of ours
}

// excuse leaves out what a link sends.
func (r *rules) excuse(l *memnet.Link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fair[l.String()] = true
}

func watch(t *testing.T, network *memnet.Network) *rules {
	r := &rules{t: t, last: make(map[string]byte), fair: make(map[string]bool)}
	remove := network.Tap(func(e memnet.Event) {
		r.mu.Lock()
		excused := r.fair[e.From.String()]
		r.mu.Unlock()
		if !e.Injected && !e.Duplicate && e.Fate != memnet.Overflowed && !excused {
			r.check(&e)
		}
	})
	t.Cleanup(remove)
	return r
}

// anySID takes every abbreviation for a SID that begins so.
type anySID struct{}

func (anySID) Resolve(prefix []byte) (sid overlay.SID, res overlay.Resolution) {
	copy(sid[:], prefix)
	sid[30] = 1
	return sid, overlay.Resolved
}

func (r *rules) check(e *memnet.Event) {
	bad := func(format string, args ...any) {
		r.t.Errorf("packet %x from %v to %v: %s", e.Data, e.From, e.To, fmt.Sprintf(format, args...))
	}
	var p overlay.Packet
	if err := p.Parse(e.Data, overlay.Context{Resolver: anySID{}}); err != nil {
		bad("%v", err) // an address code 0 is among these
		return
	}
	if len(e.Data) > overlay.MaxPacket {
		bad("%d bytes", len(e.Data))
	}
	if p.Flags&overlay.PacketSeq != 0 && !e.Arrival.IsZero() {
		ends := fmt.Sprint(e.From, e.Receiver)
		if last, ok := r.last[ends]; ok && last == p.Seq {
			bad("packet number %d repeated", p.Seq)
		}
		r.last[ends] = p.Seq
	}
	for pl := (overlay.Payload{}); p.Next(&pl); {
		mode, err := pl.Flags.Mode()
		switch {
		case err != nil:
			bad("%v", err)
		case len(pl.Body) > overlay.MaxBody:
			bad("body of %d bytes", len(pl.Body))
		case pl.Flags&overlay.OneHop == 0 && (pl.TTL == 0 || pl.TTL > overlay.MaxTTL):
			bad("TTL %d", pl.TTL)
		case pl.Flags&overlay.AckSoon != 0:
			bad("it asks to be acknowledged")
		case mode == overlay.ModeCiphered && len(pl.Body) >= overlay.MinSessionBody && pl.Body[0] == overlay.SessionBody:
			// Under session keys: for a node that has them.
		case pl.Type == overlay.TypeData && mode == overlay.ModeCiphered && len(pl.Body) < overlay.SealOverhead+2:
			bad("no data")
		case pl.Type == overlay.TypeData && mode == overlay.ModePlain:
			r.plain(bad, pl.Body)
		}
	}
	if p.Err() != nil {
		bad("%v", p.Err())
	}
}

func (r *rules) plain(bad func(string, ...any), body []byte) {
	ports, data, err := overlay.ParsePorts(body)
	if err != nil || len(data) == 0 {
		bad("plain data: %v, %d bytes", err, len(data))
		return
	}
	if ports.Destination != overlay.PortLinkState {
		return
	}
	if len(body) > overlay.MaxLinkState {
		bad("link state of %d bytes", len(body))
	}
	ls := overlay.NewLinkState(data, overlay.BodyContext(overlay.SID{30: 1}, anySID{}))
	for rec := (overlay.LinkRecord{}); ls.Next(&rec); {
		if rec.Version > overlay.MaxLinkVersion || rec.Interface > overlay.MaxInterface {
			bad("record %v", rec)
		}
	}
	if ls.Err() != nil {
		bad("%v", ls.Err())
	}
}
