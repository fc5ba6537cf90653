package mspnet_test

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mspnet"
)

// upload sends so much from a client to a server, twice, and gives the second
// connection's ends and how long that took. The first has shown that packets which
// may be marked pass.
func upload(t *testing.T, p *earlyPair, algorithm mspnet.Congestion, published bool, bytesOf int) (near, far *mspnet.Conn, took time.Duration) {
	addr := mdpconn.Addr{SID: p.server.Primary(), Port: 80}.String() + "@" + p.hint
	data := bytes.Repeat([]byte("0123456789abcdef"), bytesOf/16)
	for range 2 {
		start := time.Now()
		c, err := (&mspnet.Dialer{Node: p.client, Congestion: algorithm, Published: published}).Dial("msp", addr)
		if err != nil {
			t.Fatal(err)
		}
		a, err := p.ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		near, far = c.(*mspnet.Conn), a.(*mspnet.Conn)
		go func() {
			near.Write(data)
			near.CloseWrite()
		}()
		got, err := io.ReadAll(far)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes arrived: %v", len(got), err)
		}
		far.CloseWrite()
		io.ReadAll(near)
		took = time.Since(start)
	}
	return near, far, took
}

// TestMarksEndToEnd: where a queue marks, streams keep it short by the marks, without
// a loss.
func TestMarksEndToEnd(t *testing.T) {
	needsKeys(t)
	for _, algorithm := range []mspnet.Congestion{mspnet.BBR, mspnet.CUBIC} {
		t.Run(algorithm.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newEarlyPair(t, mdpconn.Config{}, mdpconn.Config{})
				p.network.SetImpairmentAll(memnet.Impairment{
					Delay: 10 * time.Millisecond, Rate: 20e6, QueueBytes: 500_000, MarkAfter: 10 * time.Millisecond,
				})
				near, far, took := upload(t, p, algorithm, false, 8<<20)
				from, to := near.Stats(), far.Stats()
				lost := p.network.Stats().QueueDropped
				rate := float64(8<<20) * 8 / took.Seconds() / 20e6
				t.Logf("%.2f of the rate, %d of %d packets marked, %d heeded, %d dropped", rate, to.Marked, to.PacketsReceived, from.Heeded, lost)
				if to.Marked == 0 || from.Heeded != to.Marked || from.Marked > 0 {
					t.Errorf("%d marked, %d heeded", to.Marked, from.Heeded)
				}
				if rate < 0.85 || lost > 0 {
					t.Errorf("%.2f of the rate, %d dropped", rate, lost)
				}
				if n := mspnet.StatsOf(p.server).MDP.Sessions; n.Marked < to.Marked {
					t.Errorf("the node counts %d", n.Marked)
				}
			})
		})
	}
}

// TestPublishedIsNotMarked: a connection in the published format, which knows no marks,
// is not sent so that routers mark it, be it under session keys or not.
func TestPublishedIsNotMarked(t *testing.T) {
	needsKeys(t)
	synctest.Test(t, func(t *testing.T) {
		p := newEarlyPair(t, mdpconn.Config{}, mdpconn.Config{})
		markable := 0
		t.Cleanup(p.network.Tap(func(e memnet.Event) {
			if e.ECN != mdpconn.NotECT {
				markable++
			}
		}))
		upload(t, p, mspnet.BBR, true, 1<<20)
		if markable > 0 || mspnet.StatsOf(p.client).MDP.Sessions.Sent == 0 {
			t.Errorf("%d packets may be marked", markable)
		}
		upload(t, p, mspnet.BBR, false, 1<<20)
		if markable == 0 {
			t.Error("and none of the other format")
		}
	})
}
