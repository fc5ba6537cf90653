package mdpconn_test

import (
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
)

// A recording that is played back long after is dropped, whoever sends it.
func TestLateDatagramIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		tape := record(t, c.network)
		send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), "once")
		c.ib.want(t, "at first", "once")
		taken := tape.take(c.la.LocalAddr(), c.lb.LocalAddr())
		if len(taken) != 1 {
			t.Fatalf("%d packets recorded, want 1", len(taken))
		}
		again := func() { c.network.Inject(c.la.LocalAddr(), c.lb.LocalAddr(), taken[0].data); synctest.Wait() }
		time.Sleep(49 * time.Second)
		again()
		c.ib.want(t, "the layer above remembers that long", "once")
		time.Sleep(2 * time.Second)
		again()
		c.ib.want(t, "late")
		if n := c.b.Stats().Dropped.Late; n != 1 {
			t.Errorf("%d late datagrams counted, want 1", n)
		}
		time.Sleep(time.Second)
		c.talk(t, "afterwards")
	})
}

// A node whose clock was set back is heard again as soon as it has answered the
// challenge that its first datagram brings.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		c.b.AheadOf(c.a.Primary(), time.Hour)
		send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), "lost")
		synctest.Wait()
		c.ib.want(t, "it may be a recording")
		time.Sleep(time.Second)
		c.talk(t, "a second later")
	})
}
