package mdpconn_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/session"
)

// A markableTape counts the packets that enter a network and may be marked.
type markableTape struct {
	t       *testing.T
	packets int            // of at least one datagram
	pings   int            // small ones
	pongAt  time.Time      // after the first of them, when its pong can be there
	delay   time.Duration  // of the network, one way
	to      netip.AddrPort // if valid: where all of them have to go
}

func recordMarkable(t *testing.T, network *memnet.Network, delay time.Duration) *markableTape {
	tp := &markableTape{t: t, delay: delay}
	t.Cleanup(network.Tap(func(e memnet.Event) {
		switch {
		case e.ECN == mdpconn.NotECT:
			return
		case e.Data[0] != byte(session.Compact):
			t.Errorf("a packet that is not in compact form may be marked: %v", e)
		case tp.to.IsValid() && e.To != tp.to:
			t.Errorf("%v may be marked, and that was only to be to %v", e, tp.to)
		case len(e.Data) > 100:
			tp.packets++
			if e.Time.Before(tp.pongAt) || tp.pongAt.IsZero() {
				t.Errorf("%v may be marked, before there was a pong", e)
			}
		default:
			tp.pings++
			if tp.pongAt.IsZero() {
				tp.pongAt = e.Time.Add(2 * delay)
			}
		}
	}))
	return tp
}

// sendMarkable sends datagrams, which may be marked or not.
func sendMarkable(t *testing.T, n *mdpconn.Node, from, to mdpconn.Addr, size int, codes ...mdpconn.ECN) {
	t.Helper()
	var batch []mdpconn.Datagram
	for i, ecn := range codes {
		data := fmt.Append(nil, i)
		batch = append(batch, mdpconn.Datagram{Local: from, Remote: to, Data: append(data, make([]byte, size-len(data))...), ECN: ecn})
	}
	if k, err := n.Send(batch); k != len(batch) || err != nil {
		t.Fatalf("sent %d of %d: %v", k, len(batch), err)
	}
}

// bulk has a send pairs of datagrams, and b answer what arrives, every 20 ms. It
// gives the codepoints with which they arrived, and the longest time that
// nothing did.
func (c *connected) bulk(t *testing.T, d time.Duration) (codes map[mdpconn.ECN]int, quiet time.Duration) {
	t.Helper()
	codes = make(map[mdpconn.ECN]int)
	last := time.Now()
	for end := time.Now().Add(d); time.Now().Before(end); {
		sendMarkable(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), 1000, mdpconn.ECT0, mdpconn.ECT0)
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		for ; len(c.ib) > 0; last = time.Now() {
			d := <-c.ib
			codes[d.ECN]++
			d.Release()
			sendMarkable(t, c.b, c.sb.LocalAddr(), c.sa.LocalAddr(), 10, mdpconn.ECT0)
		}
		for len(c.ia) > 0 {
			d := <-c.ia
			if d.ECN != mdpconn.NotECT {
				t.Errorf("an answer may be marked: %v", d.ECN)
			}
			d.Release()
		}
		quiet = max(quiet, time.Since(last))
	}
	return codes, quiet
}

// TestECNWhenProven: [MSX-11.4], [MSX-11.5] packets may be marked after a ping that
// might be has had its pong, if all that is in them may be, and if it is enough to
// stand in a queue. Hellos, challenges, answers and pongs never may.
func TestECNWhenProven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay = 10 * time.Millisecond
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: delay}})
		c := meet(t, network, mdpconn.Config{}, mdpconn.Config{})
		tp := recordMarkable(t, network, delay)
		tp.to = c.lb.LocalAddr()
		codes, _ := c.bulk(t, 10*time.Second)
		if tp.packets < 900 || tp.pings < 4 || tp.pings > 7 || codes[mdpconn.ECT0] < 900 || codes[mdpconn.CE] > 0 || codes[mdpconn.NotECT] > 20 {
			t.Errorf("%d packets, %d pings; arrived %v", tp.packets, tp.pings, codes)
		}
		if s := c.a.Stats().Sessions; s.Markable != uint64(tp.packets+tp.pings) || s.Marked > 0 {
			t.Errorf("a: %d markable, want %d; %d marked", s.Markable, tp.packets+tp.pings, s.Marked)
		}
		if s := c.b.Stats().Sessions; s.Markable+s.Marked > 0 {
			t.Errorf("b: %d markable, %d marked", s.Markable, s.Marked)
		}
		const e, n = mdpconn.ECT0, mdpconn.NotECT
		for _, batch := range []struct {
			why  string
			size int
			ask  []mdpconn.ECN
			want string
		}{
			{"who sends them does not heed marks", 1000, []mdpconn.ECN{n, n}, "[Not-ECT Not-ECT]"},
			{"a few bytes", 100, []mdpconn.ECN{e, e, e}, "[Not-ECT Not-ECT Not-ECT]"},
			{"one of two packets", 1000, []mdpconn.ECN{n, e, e}, "[Not-ECT ECT(0) ECT(0)]"},
			{"two share a packet, and one may not", 500, []mdpconn.ECN{e, n, e, e}, "[Not-ECT Not-ECT ECT(0) ECT(0)]"},
			{"odd ones", 1000, []mdpconn.ECN{e, mdpconn.CE, mdpconn.ECT1, e}, "[ECT(0) Not-ECT Not-ECT ECT(0)]"},
		} {
			c.drain()
			sendMarkable(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), batch.size, batch.ask...)
			time.Sleep(50 * time.Millisecond)
			synctest.Wait()
			var got []mdpconn.ECN
			for len(c.ib) > 0 {
				d := <-c.ib
				got = append(got, d.ECN)
			}
			if fmt.Sprint(got) != batch.want {
				t.Errorf("%s: %v arrived, want %s", batch.why, got, batch.want)
			}
		}
	})
}

// TestECNMarks: datagrams tell that their packet was marked, and the node counts such
// packets.
func TestECNMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		c := meet(t, network, mdpconn.Config{}, mdpconn.Config{})
		c.bulk(t, time.Second)
		network.SetImpairmentAll(memnet.Impairment{Delay: 10 * time.Millisecond, Rate: 1e6, MarkAfter: time.Millisecond})
		codes, _ := c.bulk(t, 10*time.Second) // of two packets, 10 ms long, the second waits
		if codes[mdpconn.CE] < 400 || codes[mdpconn.ECT0] < 400 || codes[mdpconn.NotECT] > 0 {
			t.Errorf("arrived %v", codes)
		}
		if s := c.b.Stats().Sessions; s.Marked < uint64(codes[mdpconn.CE]) || s.Marked > uint64(codes[mdpconn.CE])+10 {
			t.Errorf("%d packets marked, in which were %d datagrams", s.Marked, codes[mdpconn.CE])
		}
	})
}

// A bareLink is a link that does not know of codepoints.
type bareLink struct{ mdpconn.Link }

// TestECNNotOffered: [MSX-11.4] nothing may be marked where one of the two does not want it, or
// has a link that does not know of it, or there are no session keys.
func TestECNNotOffered(t *testing.T) {
	for _, c := range []struct {
		name         string
		a, b         mdpconn.Config
		bareA, bareB bool
	}{
		{"sender off", mdpconn.Config{NoECN: true}, mdpconn.Config{}, false, false},
		{"receiver off", mdpconn.Config{}, mdpconn.Config{NoECN: true}, false, false},
		{"sender's link", mdpconn.Config{}, mdpconn.Config{}, true, false},
		{"receiver's link", mdpconn.Config{}, mdpconn.Config{}, false, true},
		{"no session keys", mdpconn.Config{NoSessions: true}, mdpconn.Config{}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := memnet.New(memnet.Config{})
				w := &connected{network: network, la: network.Link(), lb: network.Link()}
				node := func(config mdpconn.Config, l *memnet.Link, bare bool) *mdpconn.Node {
					if config.Links = []mdpconn.Link{l}; bare {
						config.Links = []mdpconn.Link{bareLink{l}}
					}
					n, err := mdpconn.NewNode(config)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { n.Close() })
					return n
				}
				w.a, w.b = node(c.a, w.la, c.bareA), node(c.b, w.lb, c.bareB)
				w.sa, w.ia = bind(t, w.a, mdpconn.Addr{Port: 1000})
				w.sb, w.ib = bind(t, w.b, mdpconn.Addr{Port: 2000})
				w.a.AddHint(w.b.Primary(), w.lb.LocalAddr())
				tp := recordMarkable(t, network, 0)
				codes, _ := w.bulk(t, 3*time.Second)
				if tp.packets+tp.pings > 0 || codes[mdpconn.NotECT] < 250 {
					t.Errorf("%d packets and %d pings may be marked; arrived %v", tp.packets, tp.pings, codes)
				}
			})
		})
	}
}

// TestECNEndsWithALaterLink: [MSX-11.4] the peer hears at once of a link that came later and
// does not tell of marks, once, and has nothing marked from then on.
func TestECNEndsWithALaterLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		c := meet(t, network, mdpconn.Config{}, mdpconn.Config{})
		if codes, _ := c.bulk(t, 10*time.Second); codes[mdpconn.ECT0] == 0 {
			t.Fatalf("arrived %v", codes)
		}
		before := c.b.Stats().Sessions.Offers
		if err := c.b.AddLink(bareLink{network.Link()}); err != nil {
			t.Fatal(err)
		}
		c.bulk(t, 100*time.Millisecond)
		tp := recordMarkable(t, network, 0)
		if codes, _ := c.bulk(t, time.Minute); tp.packets+tp.pings > 0 || codes[mdpconn.NotECT] < 5000 {
			t.Errorf("%d packets and %d pings may be marked; arrived %v", tp.packets, tp.pings, codes)
		}
		if n := c.b.Stats().Sessions.Offers - before; n != 1 {
			t.Errorf("%d offers, want 1", n)
		}
	})
}

// TestECNBlackHole: [MSX-11.5] where packets that may be marked stop passing, they go
// as others do within seconds, and are not tried again for minutes.
func TestECNBlackHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		c := meet(t, network, mdpconn.Config{}, mdpconn.Config{})
		if codes, _ := c.bulk(t, 5*time.Second); codes[mdpconn.ECT0] == 0 {
			t.Fatalf("arrived %v", codes)
		}
		tries := 0
		network.SetDrop(func(e memnet.Event) bool {
			if e.ECN != mdpconn.NotECT {
				tries++
				return true
			}
			return false
		})
		codes, quiet := c.bulk(t, 10*time.Second)
		if quiet > 4*time.Second || codes[mdpconn.NotECT] == 0 {
			t.Errorf("quiet for %v, arrived %v", quiet, codes)
		}
		tries = 0
		if codes, quiet := c.bulk(t, 9*time.Minute); quiet > 100*time.Millisecond || tries > 0 {
			t.Errorf("quiet for %v after that, arrived %v, %d tries", quiet, codes, tries)
		}
		network.SetDrop(nil)
		c.bulk(t, 2*time.Minute)
		if codes, _ := c.bulk(t, time.Second); codes[mdpconn.ECT0] == 0 || codes[mdpconn.NotECT] > 0 {
			t.Errorf("arrived %v, once they pass again", codes)
		}
	})
}

// TestECNOutage: an outage of all packets is no reason to do without for long.
func TestECNOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		c := meet(t, network, mdpconn.Config{}, mdpconn.Config{})
		c.bulk(t, 5*time.Second)
		network.SetDrop(func(memnet.Event) bool { return true })
		c.bulk(t, 20*time.Second)
		network.SetDrop(nil)
		c.bulk(t, 10*time.Second)
		if codes, _ := c.bulk(t, time.Second); codes[mdpconn.ECT0] == 0 || codes[mdpconn.NotECT] > 0 {
			t.Errorf("arrived %v, once all packets pass again", codes)
		}
	})
}

// TestECNPingsLost: [MSX-11.5] four lost pings in a row do not end it.
func TestECNPingsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		c := meet(t, network, mdpconn.Config{}, mdpconn.Config{})
		c.bulk(t, 5*time.Second)
		pings := 0
		network.SetDrop(func(e memnet.Event) bool {
			if e.ECN == mdpconn.NotECT || len(e.Data) > 100 {
				return false
			}
			pings++
			return pings%5 != 0
		})
		codes, _ := c.bulk(t, time.Minute)
		if codes[mdpconn.NotECT] > 0 || pings < 50 {
			t.Errorf("arrived %v, with %d pings", codes, pings)
		}
	})
}

// A fadingLink is a link that may not know of codepoints any more, as a socket of
// which the kernel refuses them.
type fadingLink struct {
	*memnet.Link
	off bool
}

func (l *fadingLink) ECN() bool { return !l.off }

// TestECNGivenUp: a link that gives codepoints up is asked for none.
func TestECNGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
		c := meet(t, network, mdpconn.Config{}, mdpconn.Config{})
		fading := &fadingLink{Link: network.Link()}
		a, err := mdpconn.NewNode(mdpconn.Config{Links: []mdpconn.Link{fading}})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		c.a, c.la = a, fading.Link
		c.sa, c.ia = bind(t, a, mdpconn.Addr{Port: 1000})
		a.AddHint(c.b.Primary(), c.lb.LocalAddr())
		c.bulk(t, 5*time.Second)
		fading.off = true
		c.bulk(t, time.Second)
		markable := a.Stats().Sessions.Markable
		if codes, _ := c.bulk(t, 5*time.Second); codes[mdpconn.ECT0] > 0 || a.Stats().Sessions.Markable != markable || markable == 0 {
			t.Errorf("arrived %v, %d then %d may be marked", codes, markable, a.Stats().Sessions.Markable)
		}
	})
}

// TestECNAfterMove: [MSX-11.5] a new address has to be proven first.
func TestECNAfterMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay = 10 * time.Millisecond
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: delay}})
		c := meet(t, network, mdpconn.Config{}, mdpconn.Config{})
		c.bulk(t, 5*time.Second)
		old := c.lb.LocalAddr()
		moved := c.lb.Rebind()
		proven := time.Time{}
		t.Cleanup(network.Tap(func(e memnet.Event) {
			switch {
			case e.ECN == mdpconn.NotECT || e.To == old:
			case e.To != moved:
				t.Errorf("%v may be marked", e)
			case len(e.Data) < 100 && proven.IsZero():
				proven = e.Time.Add(2 * delay)
			case len(e.Data) > 100 && (proven.IsZero() || e.Time.Before(proven)):
				t.Errorf("%v may be marked, before there was a pong", e)
			}
		}))
		c.bulk(t, 10*time.Second)
		if codes, _ := c.bulk(t, time.Second); codes[mdpconn.ECT0] == 0 {
			t.Errorf("arrived %v, long after the move", codes)
		}
	})
}

// TestECNNotOverRelays: [MSX-11.4] what goes through others is never marked.
func TestECNNotOverRelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newKeyedMesh(t, 3, memnet.Impairment{}, mdpconn.Config{}, [2]int{0, 1}, [2]int{1, 2})
		m.chat(2*time.Second, "before")
		relayed := m.far().Stats().Sessions.Received
		tp := recordMarkable(t, m.network, 0)
		for range 50 {
			sendMarkable(t, m.near(), m.from, m.to, 900, mdpconn.ECT0, mdpconn.ECT0, mdpconn.ECT0)
			time.Sleep(50 * time.Millisecond)
		}
		synctest.Wait()
		got := 0
		for ; len(m.at) > 0; got++ {
			if d := <-m.at; d.ECN != mdpconn.NotECT {
				t.Errorf("%v arrived", d.ECN)
			}
		}
		if got != 150 || tp.packets+tp.pings > 0 || m.far().Stats().Sessions.Received < relayed+150 {
			t.Errorf("%d arrived, %d packets and %d pings may be marked", got, tp.packets, tp.pings)
		}
	})
}

// TestECNNames: what logs and tests print.
func TestECNNames(t *testing.T) {
	var names []string
	for ecn := range mdpconn.CE + 2 {
		names = append(names, ecn.String())
	}
	if got := strings.Join(names, " "); got != "Not-ECT ECT(1) ECT(0) CE ECN(4)" {
		t.Error(got)
	}
}
