package conformance

import (
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mspnet"
)

// TestCongestion: what an end sends avoids congestion as its Dialer or ListenConfig
// has it: over a link that loses at random CUBIC is slow, BBR, which is what they
// have unless told, is not.
func TestCongestion(t *testing.T) {
	if published {
		t.Skip("the published format has one way only")
	}
	// took is how long a transfer takes, up or down, by an algorithm.
	took := func(a mspnet.Congestion, up bool) (d time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, memnet.Config{Seed: 1, Impairment: memnet.Impairment{Delay: oneWay, Loss: 0.03}})
			lc, dialer := mspnet.ListenConfig{}, mspnet.Dialer{Node: w.client}
			if up {
				dialer.Congestion = a
			} else {
				lc.Congestion = a
			}
			l := w.listenOn(t, lc, ":42")
			nc, err := dialer.Dial("msp", w.target(port))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			from, to := nc.(*mspnet.Conn), accept(t, l)
			if !up {
				write(t, from, []byte("begin"))
				wantRead(t, "the server", to, []byte("begin"))
				from, to = to, from
			}
			data := random(1 << 20)
			start := time.Now()
			go func() {
				write(t, from, data)
				try(t, "CloseWrite", from.CloseWrite())
			}()
			wantAll(t, "the reader", to, data)
			d = time.Since(start)
		})
		return d
	}
	for name, up := range map[string]bool{"Dialer": true, "ListenConfig": false} {
		byDefault, bbr, cubic := took(0, up), took(mspnet.BBR, up), took(mspnet.CUBIC, up)
		t.Logf("%s: 1 MB took %v by default, %v by BBR, %v by CUBIC", name, byDefault, bbr, cubic)
		if cubic < 3*max(bbr, byDefault) {
			t.Errorf("%s: 1 MB took %v by default, %v by BBR, %v by CUBIC", name, byDefault, bbr, cubic)
		}
	}
}
