package mdpconn_test

import (
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/session"
)

// pingBytes is the length of a packet with nothing but a ping, or a pong.
const pingBytes = session.Overhead + 1 + session.TokenSize

// TestPingIsAnswered: [MSX-11.2] a ping is answered to where it came from, once, and a
// pong is not.
func TestPingIsAnswered(t *testing.T) {
	watched(t, func(t *testing.T, w *watchedPair) {
		var pings []taped
		w.network.SetDrop(func(e memnet.Event) bool { return len(e.Data) == pingBytes })
		for len(pings) == 0 { // one that was lost
			time.Sleep(time.Second)
			for _, p := range w.take(anywhere, anywhere) {
				if len(p.data) == pingBytes {
					pings = append(pings, p)
				}
			}
		}
		w.network.SetDrop(nil)
		elsewhere := w.network.Link()
		w.take(anywhere, anywhere)
		for i, want := range []int{1, 0, 0} {
			w.network.Inject(elsewhere.LocalAddr(), pings[0].to, pings[0].data)
			time.Sleep(3 * watchDelay)
			var pongs [][]byte
			for _, p := range w.take(pings[0].to, elsewhere.LocalAddr()) {
				if len(p.data) == pingBytes {
					pongs = append(pongs, p.data)
				}
			}
			if len(pongs) != want {
				t.Errorf("ping %d: %d pongs, want %d", i, len(pongs), want)
			}
			for _, pong := range pongs {
				w.network.Inject(elsewhere.LocalAddr(), pings[0].from, pong)
			}
			time.Sleep(3 * watchDelay)
			for _, p := range w.take(pings[0].from, elsewhere.LocalAddr()) {
				if len(p.data) == pingBytes {
					t.Error("a pong was answered")
				}
			}
		}
	})
}

// TestPongFromElsewhere: [MSX-11.2] a pong shows the size of packets that pass only if it
// comes from where the ping went.
func TestPongFromElsewhere(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: 10 * time.Millisecond}})
			w := meetSized(t, network, 1472, mdpconn.Config{})
			from := w.lb.LocalAddr()
			if elsewhere {
				from = network.Link().LocalAddr()
			}
			isPong := func(e memnet.Event) bool {
				return e.From == w.lb.LocalAddr() && len(e.Data) == pingBytes && e.Data[0] == byte(session.Compact)
			}
			network.SetDrop(func(e memnet.Event) bool { return !e.Injected && isPong(e) })
			defer network.Tap(func(e memnet.Event) {
				if data := append([]byte(nil), e.Data...); !e.Injected && isPong(e) {
					go network.Inject(from, e.To, data)
				}
			})()
			w.chat(t, 10*time.Second)
			s := w.a.Stats().Sessions
			if elsewhere && (s.Pongs != 0 || w.most() != mdpconn.MaxData) || !elsewhere && (s.Pongs == 0 || w.most() == mdpconn.MaxData) {
				t.Errorf("from elsewhere %v: %d counted, MaxDatagram %d", elsewhere, s.Pongs, w.most())
			}
		})
	}
}

// TestNoticesAreFew: [MSX-11.3] a packet of an unknown session is answered with five
// bytes, ten times a second for each address.
func TestNoticesAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		n, l := keyedNode(t, network, mdpconn.Config{})
		from := network.Link()
		tp := record(t, network)
		packet := append([]byte{byte(session.Compact), 1, 2, 3, 4}, make([]byte, session.Overhead-5)...)
		const seconds = 10
		for range 50 * seconds {
			network.Inject(from.LocalAddr(), l.LocalAddr(), packet)
			time.Sleep(20 * time.Millisecond)
		}
		sent := tp.take(l.LocalAddr(), from.LocalAddr())
		if len(sent) < 10*seconds || len(sent) > 10*seconds+11 {
			t.Errorf("%d answers in %d s", len(sent), seconds)
		}
		for _, p := range sent {
			if id, ok := session.ParseUnknown(p.data); !ok || id != 0x01020304 {
				t.Fatalf("answered with %x", p.data)
			}
		}
		time.Sleep(time.Second) // several addresses may count as one
		other := network.Link()
		network.Inject(other.LocalAddr(), l.LocalAddr(), packet)
		network.Inject(other.LocalAddr(), l.LocalAddr(), packet[:4])
		if got := tp.take(l.LocalAddr(), other.LocalAddr()); len(got) != 1 {
			t.Errorf("%d answers to another address, want 1: its own, and none of 5 bytes to 4", len(got))
		}
		if s := n.Stats(); s.Sessions.Unknown != 50*seconds+1 {
			t.Errorf("%+v", s.Sessions)
		}
	})
}
