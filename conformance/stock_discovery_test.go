package conformance

import (
	"slices"
	"testing"
	"time"

	"mesh.example/msp/internal/stocktest"
	"mesh.example/msp/mdpconn"
)

// TestStockDiscovery: first contact, with our node in the place of each of the
// recorded ones. By the rules of stock it is reachable and in direct use soon, has
// proven the neighbour in turn, and stays so while nothing happens.
func TestStockDiscovery(t *testing.T) {
	for _, c := range []struct {
		us        string
		peers     []string
		scenarios []string
	}{
		{"A", []string{"B"}, []string{"discovery", "discovery_second_hop"}},
		{"B", []string{"A"}, []string{"discovery"}},
		{"B", []string{"A", "C"}, []string{"discovery", "discovery_second_hop"}},
		{"C", []string{"B"}, []string{"discovery_second_hop"}},
		{"N", []string{"B"}, []string{"minimal_neighbour"}},
	} {
		t.Run(c.us, func(t *testing.T) {
			amongStock(t, c.us, mdpconn.Config{}, func(t *testing.T, l *stockLab) {
				defer l.node.Announce()()
				var peers []*stocktest.Peer
				var plays []*stocktest.Play
				start := time.Now()
				for _, name := range c.peers {
					p := l.peer(name)
					peers, plays = append(peers, p), append(plays, p.Play(c.scenarios...))
				}
				for _, y := range plays {
					y.Done()
				}
				for i, p := range peers {
					l.wantReachable(p)
					if _, since, _, _ := p.Reachable(); since.Sub(start) > 3*time.Second {
						t.Errorf("reachable for %s after %v", c.peers[i], since.Sub(start))
					}
					sid := l.record.SID(c.peers[i])
					if path := l.node.Path(mdpconn.Primary, sid); path.Endpoint != p.Addr() {
						t.Errorf("the endpoint of %s is %v, want %v", c.peers[i], path.Endpoint, p.Addr())
					}
				}
				l.idle(peers)
			})
		})
	}
}

// idle lets a minute pass.
func (l *stockLab) idle(peers []*stocktest.Peer) {
	l.t.Helper()
	var before []int
	for _, p := range peers {
		before = append(before, p.Packets())
	}
	pass(time.Minute)
	for i, p := range peers {
		l.wantReachable(p)
		if _, _, breaks, _ := p.Reachable(); breaks > 0 {
			l.t.Errorf("the link lapsed %d times, want it to last", breaks)
		}
		if n := p.Packets() - before[i]; n > 60*6 {
			l.t.Errorf("%d packets in an idle minute", n)
		} else {
			l.t.Logf("%d packets in an idle minute", n)
		}
	}
}

// TestStockEcho: a recorded mdp ping of our node, and of the one behind it, gets its
// replies, in packets of either encapsulation.
func TestStockEcho(t *testing.T) {
	amongStock(t, "B", mdpconn.Config{}, func(t *testing.T, l *stockLab) {
		a, c := l.peer("A"), l.peer("C")
		first, second := a.Play("discovery"), c.Play("discovery_second_hop")
		first.Done()
		second.Done()
		a.Play("echo_direct", "echo_two_hop").Done()
		a.Play("encapsulation_single_from_A").Done()
		l.wantReachable(a)
		l.wantReachable(c)
	})
}

// TestStockIgnoresHellos: a node that we talk to, and that never answers a hello,
// gets them as docs/extension.md §9.1 tells: nine, further and further apart, and
// the next after ten minutes.
func TestStockIgnoresHellos(t *testing.T) {
	var want []time.Duration
	if !published {
		at := time.Duration(0)
		for try := range 17 {
			want = append(want, at)
			at += 100 * time.Millisecond << (try / 2)
		}
		want = append(want, want[16]+10*time.Minute)
	}
	amongStock(t, "A", mdpconn.Config{}, func(t *testing.T, l *stockLab) {
		defer l.node.Announce()()
		b := l.met("B")
		pc, err := l.node.ListenPacket(mdpconn.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		defer pc.Close()
		start := time.Now()
		talk := func(until, every time.Duration) {
			for time.Since(start) < until {
				_, err := pc.WriteTo([]byte("are you there?"), mdpconn.Addr{SID: l.record.SID("B"), Port: 7})
				try(t, "WriteTo", err)
				pass(every)
			}
		}
		talk(time.Minute, 100*time.Millisecond)
		talk(10*time.Minute+52*time.Second, time.Second)
		var got []time.Duration
		for _, at := range b.Hellos() {
			got = append(got, at.Sub(start))
		}
		if !slices.Equal(got, want) {
			t.Errorf("hellos came after %v, want %v", got, want)
		}
		l.wantReachable(b)
	})
}
