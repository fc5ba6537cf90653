package mdpconn_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
)

// apart makes a pair of which b hears a and a does not hear b, so that no session
// comes about. All that a sends is recorded.
func apart(t *testing.T) (c *connected, tp *tape) {
	network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
	c = meet(t, network, mdpconn.Config{}, mdpconn.Config{})
	network.CutOneWay(c.lb, c.la)
	return c, record(t, network)
}

// texts takes what has arrived at b.
func (c *connected) texts(t *testing.T) (got []string) {
	t.Helper()
	synctest.Wait()
	for len(c.ib) > 0 {
		d := <-c.ib
		got = append(got, string(d.Data))
		d.Release()
	}
	return got
}

// TestEarlyDatagrams: [MSX-10.8] before a session stands a datagram is delivered once,
// whatever copies of it arrive, and not if it is ten seconds older than the newest.
func TestEarlyDatagrams(t *testing.T) {
	for _, c := range []struct {
		late time.Duration
		want bool
	}{{0, true}, {9 * time.Second, true}, {11 * time.Second, false}} {
		synctest.Test(t, func(t *testing.T) {
			w, tp := apart(t)
			var held atomic.Bool
			w.network.SetDrop(func(memnet.Event) bool { return held.Load() })
			send(t, w.a, w.sa.LocalAddr(), w.sb.LocalAddr(), "before")
			time.Sleep(time.Second)
			if got := w.texts(t); !slices.Equal(got, []string{"before"}) {
				t.Fatalf("got %q", got)
			}
			tp.take(anywhere, anywhere)
			held.Store(true)
			send(t, w.a, w.sa.LocalAddr(), w.sb.LocalAddr(), "held back")
			synctest.Wait()
			late := tp.take(w.la.LocalAddr(), w.lb.LocalAddr())
			held.Store(false)
			time.Sleep(c.late)
			send(t, w.a, w.sa.LocalAddr(), w.sb.LocalAddr(), "overtakes")
			time.Sleep(20 * time.Millisecond)
			for range 3 {
				for _, p := range late {
					w.network.Inject(p.from, p.to, p.data)
				}
				time.Sleep(time.Second)
			}
			want := []string{"overtakes"}
			if c.want {
				want = append(want, "held back")
			}
			if got := w.texts(t); !slices.Equal(got, want) {
				t.Errorf("%v late: got %q, want %q", c.late, got, want)
			}
			if n := w.b.Stats().Sessions.Begun; n != 0 {
				t.Errorf("%d sessions: this shows nothing", n)
			}
		})
	}
}

// TestOvertakenBox: [MSX-10.10] once a session stands a datagram in the box passes if it
// was made up to a second before the newest one heard, once, and else not.
func TestOvertakenBox(t *testing.T) {
	for _, c := range []struct {
		apart time.Duration
		want  []string
	}{
		{500 * time.Millisecond, []string{"held back"}},
		{1500 * time.Millisecond, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
			w := meet(t, network, mdpconn.Config{}, mdpconn.Config{})
			tp := record(t, network)
			var held atomic.Bool
			held.Store(true)
			network.SetDrop(func(memnet.Event) bool { return held.Load() })
			send(t, w.a, w.sa.LocalAddr(), w.sb.LocalAddr(), "held back")
			synctest.Wait()
			late := tp.take(w.la.LocalAddr(), w.lb.LocalAddr())
			time.Sleep(c.apart)
			held.Store(false)
			for range 4 { // with a hello, when that is due
				send(t, w.a, w.sa.LocalAddr(), w.sb.LocalAddr(), "newer")
				time.Sleep(100 * time.Millisecond)
			}
			if n := w.b.Stats().Sessions.Begun; n != 1 {
				t.Fatalf("%d sessions", n)
			}
			w.texts(t)
			for range 3 {
				for _, p := range late {
					network.Inject(p.from, p.to, p.data)
				}
				time.Sleep(100 * time.Millisecond)
			}
			if got := w.texts(t); !slices.Equal(got, c.want) {
				t.Errorf("%v older: got %q, want %q", c.apart, got, c.want)
			}
		})
	}
}
