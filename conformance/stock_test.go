package conformance

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/internal/stocktest"
	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mspnet"
)

// A stockLab is one of our nodes in the place of a recorded one.
type stockLab struct {
	t      *testing.T
	record *stocktest.Record
	net    *memnet.Network
	node   *mdpconn.Node
	link   *memnet.Link
	us     string
}

// amongStock runs f in virtual time with our node in the place of us.
func amongStock(t *testing.T, us string, config mdpconn.Config, f func(t *testing.T, l *stockLab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &stockLab{t: t, record: stocktest.ReadRecord(t), net: memnet.New(memnet.Config{Unconnected: true}), us: us}
		l.link = l.net.Link()
		config.Links = []mdpconn.Link{l.link}
		config.Identities = []*mdpconn.Identity{l.record.Identities[us]}
		var err error
		if l.node, err = mdpconn.NewNode(config); err != nil {
			t.Fatal(err)
		}
		defer l.node.Close()
		f(t, l)
	})
}

// peer makes the stock neighbour of that name.
func (l *stockLab) peer(name string) *stocktest.Peer {
	l.t.Helper()
	p := stocktest.NewPeer(l.t, l.net, l.record, name, l.us, l.link.LocalAddr())
	l.net.Connect(l.link, p.Link())
	return p
}

func (l *stockLab) listen(port string) *mspnet.Listener {
	l.t.Helper()
	ln, err := (&mspnet.ListenConfig{Node: l.node}).Listen(context.Background(), "msp", ":"+port)
	if err != nil {
		l.t.Fatal(err)
	}
	// A peer ticks for ever, so that waiting for ever would be no deadlock.
	ln.(*mspnet.Listener).SetDeadline(time.Now().Add(2 * time.Minute))
	return ln.(*mspnet.Listener)
}

// dial dials from the recorded port. The stream begins with the first write.
func (l *stockLab) dial(from mdpconn.Port, to string, port mdpconn.Port) *mspnet.Conn {
	l.t.Helper()
	d := mspnet.Dialer{Node: l.node, Early: true, LocalAddr: mdpconn.Addr{Port: from}}
	c, err := d.Dial("msp", mdpconn.Addr{SID: l.record.SID(to), Port: port}.String())
	if err != nil {
		l.t.Fatal(err)
	}
	return c.(*mspnet.Conn)
}

// met lets our node and a stock neighbour find each other.
func (l *stockLab) met(name string) *stocktest.Peer {
	l.t.Helper()
	p := l.peer(name)
	scenarios := []string{"discovery"}
	if name == "C" || l.us == "C" {
		scenarios = append(scenarios, "discovery_second_hop")
	}
	p.Play(scenarios...).Done()
	l.wantReachable(p)
	return p
}

func (l *stockLab) wantReachable(p *stocktest.Peer) {
	l.t.Helper()
	if now, _, _, using := p.Reachable(); !now || !using {
		l.t.Errorf("by the rules of stock our node is reachable: %v, in direct use: %v, want both", now, using)
	}
}

func (l *stockLab) wantClosed(c *mspnet.Conn) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := c.CloseContext(ctx); err != nil {
		l.t.Errorf("closing: %v, want all delivered", err)
	}
}

// reply reads what stock says, answers, and ends in order with it.
func (l *stockLab) reply(c *mspnet.Conn, said, answer []byte) {
	l.t.Helper()
	wantRead(l.t, "what stock says", c, said)
	write(l.t, c, answer)
	try(l.t, "CloseWrite", c.CloseWrite())
	wantEOF(l.t, "stock's end", c)
	l.wantClosed(c)
}

// said gives what a node says on a recorded stream.
func (l *stockLab) said(scenario, from, to string, fromPort, toPort uint32) []byte {
	l.t.Helper()
	return l.record.Said(l.t, scenario, from, to, fromPort, toPort)
}

// streams runs a recorded stream between A and B twice: connect is our part in the
// place of A while B plays its own, and listen ours in the place of B while A does.
func streams(t *testing.T, scenario, port string,
	connect func(t *testing.T, l *stockLab, b *stocktest.Peer, play *stocktest.Play),
	listen func(t *testing.T, l *stockLab, a *stocktest.Peer, play *stocktest.Play, ln *mspnet.Listener)) {
	t.Run("we connect", func(t *testing.T) {
		amongStock(t, "A", mdpconn.Config{}, func(t *testing.T, l *stockLab) {
			defer l.node.Announce()()
			b := l.met("B")
			connect(t, l, b, b.Play(scenario))
		})
	})
	t.Run("we listen", func(t *testing.T) {
		amongStock(t, "B", mdpconn.Config{}, func(t *testing.T, l *stockLab) {
			ln := l.listen(port)
			defer ln.Close()
			a := l.met("A")
			listen(t, l, a, a.Play(scenario), ln)
		})
	})
}

// TestStockHello: both sides say a line and then shut down, ours in place of
// either.
func TestStockHello(t *testing.T) {
	streams(t, "msp_hello", "512", func(t *testing.T, l *stockLab, _ *stocktest.Peer, play *stocktest.Play) {
		c := l.dial(259, "B", 512)
		write(t, c, l.said("msp_hello", "A", "B", 259, 512))
		wantAll(t, "stock's line", c, l.said("msp_hello", "B", "A", 512, 259))
		l.wantClosed(c)
		play.Done()
	}, func(t *testing.T, l *stockLab, _ *stocktest.Peer, play *stocktest.Play, ln *mspnet.Listener) {
		l.reply(accept(t, ln), l.said("msp_hello", "A", "B", 259, 512), l.said("msp_hello", "B", "A", 512, 259))
		play.Done()
	})
}

// TestStockTransfer: 20,000 bytes one way.
func TestStockTransfer(t *testing.T) {
	streams(t, "msp_20kB", "513", func(t *testing.T, l *stockLab, b *stocktest.Peer, play *stocktest.Play) {
		c := l.dial(260, "B", 513)
		write(t, c, l.said("msp_20kB", "A", "B", 260, 513))
		try(t, "CloseWrite", c.CloseWrite())
		wantEOF(t, "stock's end", c)
		l.wantClosed(c)
		play.Done()
		if got := b.Heard(260, 513).Bytes(); string(got) != string(l.said("msp_20kB", "A", "B", 260, 513)) || len(got) != 20000 {
			t.Errorf("stock got %d bytes", len(got))
		}
	}, func(t *testing.T, l *stockLab, _ *stocktest.Peer, play *stocktest.Play, ln *mspnet.Listener) {
		c := accept(t, ln)
		try(t, "CloseWrite", c.CloseWrite())
		wantAll(t, "20 kB", c, l.said("msp_20kB", "A", "B", 260, 513))
		l.wantClosed(c)
		play.Done()
	})
}

// TestStockStop: the first connection goes on, while a second one is refused.
func TestStockStop(t *testing.T) {
	streams(t, "msp_stop", "514", func(t *testing.T, l *stockLab, _ *stocktest.Peer, play *stocktest.Play) {
		one := l.dial(262, "B", 514)
		write(t, one, l.said("msp_stop", "A", "B", 262, 514))
		pass(time.Second)
		two := l.dial(263, "B", 514)
		write(t, two, l.said("msp_stop", "A", "B", 263, 514))
		if _, err := two.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("the second reads %v, want ECONNREFUSED", err)
		}
		try(t, "CloseWrite", one.CloseWrite())
		wantAll(t, "stock's answer", one, l.said("msp_stop", "B", "A", 514, 262))
		l.wantClosed(one)
		play.Done()
	}, func(t *testing.T, l *stockLab, a *stocktest.Peer, play *stocktest.Play, ln *mspnet.Listener) {
		one := accept(t, ln)
		ln.Close()
		wantRead(t, "stock's question", one, l.said("msp_stop", "A", "B", 262, 514))
		pass(2500 * time.Millisecond) // as recorded; the second comes meanwhile
		write(t, one, l.said("msp_stop", "B", "A", 514, 262))
		try(t, "CloseWrite", one.CloseWrite())
		wantEOF(t, "stock's end", one)
		l.wantClosed(one)
		play.Done()
		if !a.Heard(514, 263).Stop {
			t.Error("the second was not refused")
		}
	})
}

// TestStockTwoHop: a stream between A and C through B, ours in place of each.
func TestStockTwoHop(t *testing.T) {
	t.Run("we connect", func(t *testing.T) {
		amongStock(t, "A", mdpconn.Config{}, func(t *testing.T, l *stockLab) {
			defer l.node.Announce()()
			b := l.met("B")
			b.Play("discovery_second_hop").Done()
			play := b.Play("msp_two_hop")
			c := l.dial(261, "C", 512)
			write(t, c, l.said("msp_two_hop", "A", "C", 261, 512))
			wantAll(t, "the answer", c, l.said("msp_two_hop", "C", "A", 512, 261))
			l.wantClosed(c)
			play.Done()
		})
	})
	t.Run("we relay", func(t *testing.T) {
		amongStock(t, "B", mdpconn.Config{}, func(t *testing.T, l *stockLab) {
			a, c := l.peer("A"), l.peer("C")
			first, second := a.Play("discovery"), c.Play("discovery_second_hop")
			first.Done()
			second.Done()
			l.wantReachable(a)
			l.wantReachable(c)
			for _, p := range []struct {
				at *stocktest.Peer
				of string
			}{{a, "C"}, {c, "A"}} {
				if via, ok := p.at.Way(l.record.SID(p.of)); !ok || via != l.node.Primary() {
					t.Errorf("it is told that %s is reached through %v, %v", p.of, via, ok)
				}
			}
			first, second = a.Play("msp_two_hop"), c.Play("msp_two_hop")
			first.Done()
			second.Done()
		})
	})
	t.Run("we listen", func(t *testing.T) {
		amongStock(t, "C", mdpconn.Config{}, func(t *testing.T, l *stockLab) {
			ln := l.listen("512")
			defer ln.Close()
			b := l.met("B")
			play := b.Play("msp_two_hop")
			l.reply(accept(t, ln), l.said("msp_two_hop", "A", "C", 261, 512), l.said("msp_two_hop", "C", "A", 512, 261))
			play.Done()
		})
	})
}
