package mdpconn_test

import (
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/session"
)

// A sizedLink says how large packets may be.
type sizedLink struct {
	*memnet.Link
	most int
}

func (l sizedLink) MaxPacket() int { return l.most }

// A tightLink is a sizedLink that refuses packets larger than others say, as a
// socket does where the device takes less.
type tightLink struct {
	sizedLink
	takes   int
	refused map[int]int // how often, by size
}

func (l tightLink) WritePackets(ps []mdpconn.Packet) (int, error) {
	for i := range ps {
		if len(ps[i].Data) > l.takes {
			l.refused[len(ps[i].Data)]++
			return i, &net.OpError{Op: "write", Err: mdpconn.ErrTooLarge}
		}
	}
	return l.sizedLink.WritePackets(ps)
}

// meetSized is meet with links that take packets of some size.
func meetSized(t *testing.T, network *memnet.Network, most int, config mdpconn.Config) *connected {
	t.Helper()
	c := &connected{network: network, la: network.Link(), lb: network.Link()}
	node := func(l *memnet.Link) *mdpconn.Node {
		config.Relay = mdpconn.RelayOff
		config.Links = []mdpconn.Link{sizedLink{l, most}}
		n, err := mdpconn.NewNode(config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close() })
		return n
	}
	c.a, c.b = node(c.la), node(c.lb)
	c.sa, c.ia = bind(t, c.a, mdpconn.Addr{Port: 1000})
	c.sb, c.ib = bind(t, c.b, mdpconn.Addr{Port: 2000})
	hold(t, c.a, c.b)
	hold(t, c.b, c.a)
	c.a.AddHint(c.b.Primary(), c.lb.LocalAddr())
	return c
}

func (c *connected) most() int { return c.a.MaxDatagram(c.sa.LocalAddr(), c.sb.LocalAddr()) }

// sendsMost sends a datagram of the most data, and one of a byte more, in both
// directions.
func (c *connected) sendsMost(t *testing.T, when string) {
	t.Helper()
	c.drain()
	most := c.most()
	data := make([]byte, most)
	for i := range data {
		data[i] = byte(i * i)
	}
	send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), string(data))
	time.Sleep(50 * time.Millisecond)
	synctest.Wait()
	select {
	case d := <-c.ib:
		if string(d.Data) != string(data) {
			t.Errorf("%s: %d bytes arrive as %d others", when, most, len(d.Data))
		}
		d.Release()
	default:
		t.Errorf("%s: %d bytes do not arrive", when, most)
	}
}

func TestPathSize(t *testing.T) {
	for _, c := range []struct {
		name              string
		link, path, limit int // what the link says, what passes, what the config allows
		least, most       int // of MaxDatagram
	}{
		{"Ethernet", 1472, 1472, 0, 1443, 1443},
		{"Ethernet with a tunnel", 1472, 1420, 0, 1359, 1391},
		{"nothing larger", 1472, 1200, 0, mdpconn.MaxData, mdpconn.MaxData},
		{"jumbo frames", 8972, 8972, 0, 8943, 8943},
		{"jumbo frames, but one hop has not", 8972, 1472, 0, 1411, 1443},
		{"loopback", 65507, 65507, 0, 65478, 65478},
		{"a ceiling", 65507, 65507, 4000, 3971, 3971},
		{"less than packets that go anywhere", 1000, 1500, 0, mdpconn.MaxData, mdpconn.MaxData},
		{"no more than stock's", 65507, 65507, 1, mdpconn.MaxData, mdpconn.MaxData},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
				w := meetSized(t, network, c.link, mdpconn.Config{MaxPacket: c.limit})
				network.SetDrop(func(e memnet.Event) bool { return len(e.Data) > c.path })
				if most := w.most(); most != mdpconn.MaxData {
					t.Errorf("%d at first", most)
				}
				quietA, quietB := w.chat(t, time.Minute)
				if quietA > 100*time.Millisecond || quietB > 100*time.Millisecond {
					t.Errorf("quiet for %v, %v", quietA, quietB)
				}
				if most := w.most(); most < c.least || most > c.most {
					t.Errorf("MaxDatagram %d, want %d … %d", most, c.least, c.most)
				}
				w.sendsMost(t, "after a minute")
			})
		})
	}
}

// TestSizeProbes: [MSX-13.1] packets of more than 1,200 bytes are in the compact form;
// [MSX-13.2] sizes are tried from 1,452 bytes on, by halves, and two probes in a row
// without a pong refuse a size for ten minutes.
func TestSizeProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		w := meetSized(t, network, 1472, mdpconn.Config{})
		network.SetDrop(func(e memnet.Event) bool { return len(e.Data) > 1300 })
		tp := record(t, network)
		tried := func() (sizes []int, times map[int]int) {
			times = make(map[int]int)
			for _, p := range tp.take(w.la.LocalAddr(), anywhere) {
				n := len(p.data)
				if n <= 1200 {
					continue
				}
				if p.data[0] != byte(session.Compact) {
					t.Errorf("%d bytes in another form: % x …", n, p.data[:5])
				}
				if times[n]++; times[n] == 1 {
					sizes = append(sizes, n)
				}
			}
			return sizes, times
		}
		w.chat(t, 9*time.Minute)
		sizes, times := tried()
		if want := []int{1452, 1326, 1263, 1294}; !slices.Equal(sizes, want) {
			t.Errorf("tried %d bytes, want %d", sizes, want)
		}
		for n, k := range times {
			if want := map[bool]int{true: 2, false: 1}[n > 1300]; k != want {
				t.Errorf("%d bytes were tried %d times in nine minutes, want %d", n, k, want)
			}
		}
		w.chat(t, 2*time.Minute)
		if sizes, _ := tried(); len(sizes) == 0 || sizes[0] != 1452 {
			t.Errorf("tried %d bytes after ten minutes, want 1,452 first", sizes)
		}
	})
}

// TestSizeChecks: [MSX-13.3] while larger packets are sent, and only then, one of the size
// proven goes along: every two seconds where they are many or the peer is silent, else
// less often.
func TestSizeChecks(t *testing.T) {
	for _, c := range []struct {
		why     string
		larger  bool
		every   time.Duration // a datagram
		answers bool          // from the peer
		pings   int           // in 20 s
	}{
		{"small ones only", false, 50 * time.Millisecond, true, 0},
		{"many", true, 5 * time.Millisecond, true, 10},
		{"some", true, 25 * time.Millisecond, true, 3}, // 256 of them take 6.4 s
		{"few", true, 200 * time.Millisecond, true, 2}, // 10 s are over
		{"to a silent peer", true, 200 * time.Millisecond, false, 10},
	} {
		synctest.Test(t, func(t *testing.T) {
			network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
			w := meetSized(t, network, 1472, mdpconn.Config{})
			w.chat(t, 10*time.Second)
			most := w.most()
			text := string(make([]byte, map[bool]int{false: 100, true: most - 50}[c.larger]))
			tp := record(t, network)
			for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(c.every) {
				send(t, w.a, w.sa.LocalAddr(), w.sb.LocalAddr(), text)
				if c.answers {
					send(t, w.b, w.sb.LocalAddr(), w.sa.LocalAddr(), "well")
				}
				w.drain()
			}
			pings := 0
			for _, p := range tp.take(w.la.LocalAddr(), anywhere) {
				if len(p.data) == 1472 {
					pings++
				}
			}
			if pings < c.pings-1 || pings > c.pings+1 || c.pings == 0 && pings > 0 {
				t.Errorf("%s: %d pings of the size proven in 20 s, want %d", c.why, pings, c.pings)
			}
		})
	}
}

// What the link itself refuses is tried once, and not waited for.
func TestPathSizeRefusedByLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		c := &connected{network: network, la: network.Link(), lb: network.Link()}
		tight := tightLink{sizedLink{c.la, 1472}, 1300, make(map[int]int)}
		for n, l := range map[**mdpconn.Node]mdpconn.Link{&c.a: tight, &c.b: c.lb} {
			node, err := mdpconn.NewNode(mdpconn.Config{Links: []mdpconn.Link{l}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { node.Close() })
			*n = node
		}
		c.sa, c.ia = bind(t, c.a, mdpconn.Addr{Port: 1000})
		c.sb, c.ib = bind(t, c.b, mdpconn.Addr{Port: 2000})
		c.a.AddHint(c.b.Primary(), c.lb.LocalAddr())
		c.chat(t, time.Second)
		if most := c.most(); most < 1230 || most > 1280 {
			t.Errorf("MaxDatagram %d after a second, want that of 1300 bytes or a little less", most)
		}
		if len(tight.refused) == 0 {
			t.Error("the link refused nothing")
		}
		for size, k := range tight.refused {
			if k != 1 {
				t.Errorf("%d bytes were tried %d times", size, k)
			}
		}
	})
}

// TestPathSizeStepsDown: [MSX-13.3] a size that stops passing is given up within
// seconds, and found again where it passes again.
func TestPathSizeStepsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		w := meetSized(t, network, 8972, mdpconn.Config{})
		w.chat(t, 10*time.Second)
		before := w.most()
		if before < 8000 {
			t.Fatalf("MaxDatagram %d", before)
		}
		path := 1300
		network.SetDrop(func(e memnet.Event) bool { return len(e.Data) > path })
		data := string(make([]byte, before))
		for range 40 {
			send(t, w.a, w.sa.LocalAddr(), w.sb.LocalAddr(), data)
			w.chat(t, 100*time.Millisecond)
		}
		if most := w.most(); most > 1300 {
			t.Errorf("MaxDatagram %d after the path has become narrow", most)
		}
		send(t, w.a, w.sa.LocalAddr(), w.sb.LocalAddr(), data) // no error: it may have been made before
		if s := w.a.Stats().Sessions; s.TooLarge == 0 {
			t.Errorf("%+v", s)
		}
		path = 65507
		network.SetDrop(nil)
		w.chat(t, 11*time.Minute)
		if most := w.most(); most < before-100 {
			t.Errorf("MaxDatagram %d after the path has become wide again, was %d", most, before)
		}
		w.lb.Rebind()
		w.chat(t, 5*time.Second)
		w.sendsMost(t, "after a move")
	})
}

// Loss alone does not make packets small for long.
func TestPathSizeUnderLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond, Loss: 0.1}})
		w := meetSized(t, network, 1472, mdpconn.Config{})
		w.chat(t, 10*time.Second)
		small := 0
		for range 120 {
			w.chat(t, time.Second)
			if w.most() == mdpconn.MaxData {
				small++
			}
		}
		if small > 12 {
			t.Errorf("small packets for %d of 120 s at 10%% loss", small)
		}
	})
}

func TestLargeDatagramsOverUDP(t *testing.T) {
	var nodes [2]*mdpconn.Node
	for i := range nodes {
		n, err := mdpconn.NewNode(mdpconn.Config{UDP: []string{"127.0.0.1:0"}, Announce: mdpconn.AnnounceNever})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		nodes[i] = n
	}
	nodes[0].AddHint(nodes[1].Primary(), nodes[1].LinkAddrs()[0])
	_, in := bind(t, nodes[1], mdpconn.Addr{Port: 7000})
	to := mdpconn.Addr{SID: nodes[1].Primary(), Port: 7000}
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for nodes[0].MaxDatagram(mdpconn.Addr{Port: 1}, to) < 65467 {
		send(t, nodes[0], mdpconn.Addr{Port: 1}, to, "are there larger ones?")
		<-ticker.C
	}
	for range 50 {
		data := make([]byte, 65467)
		data[65466] = 1
		send(t, nodes[0], mdpconn.Addr{Port: 1}, to, string(data))
		d := <-in
		for len(d.Data) < 100 {
			d = <-in
		}
		if len(d.Data) != len(data) || d.Data[65466] != 1 {
			t.Fatalf("%d bytes", len(d.Data))
		}
		d.Release()
	}
}
