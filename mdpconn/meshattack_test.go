package mdpconn_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
)

// A chain of three, of which the first and the last talk.
type attacked struct {
	*meshNet
	from, to mdpconn.Addr
	at, back inbox
}

func newAttacked(t *testing.T, k int, edges ...[2]int) *attacked {
	a := &attacked{meshNet: newMesh(t, k, memnet.Impairment{Delay: time.Millisecond})}
	a.connect(edges...)
	t.Cleanup(a.nodes[k-1].Announce())
	a.from, a.to, a.at, a.back = a.sockets(0, k-1)
	time.Sleep(3 * time.Second)
	a.talk("at the beginning")
	return a
}

// talk sends a datagram each way.
func (a *attacked) talk(when string) {
	a.t.Helper()
	last := len(a.nodes) - 1
	for range 3 { // the first may be what a way proves to be dead by
		send(a.t, a.nodes[0], a.from, a.to, when)
		time.Sleep(time.Second)
		send(a.t, a.nodes[last], a.to, a.from, when)
		time.Sleep(time.Second)
	}
	if len(a.at) == 0 || len(a.back) == 0 {
		a.t.Fatalf("%s: %d datagrams arrived, and %d came back", when, len(a.at), len(a.back))
	}
	for _, in := range []inbox{a.at, a.back} {
		for len(in) > 0 {
			if d := <-in; string(d.Data) != when {
				a.t.Fatalf("%s: got %q", when, d.Data)
			}
		}
	}
}

// Link state in a neighbour's name counts only from the neighbour's address.
func TestForgedLinkState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttacked(t, 3, line(3)...)
		relay, far := a.nodes[1].Primary(), a.nodes[2].Primary()
		lost := overlay.LinkRecord{Flags: overlay.LinkNoPath, Receiver: overlay.To(overlay.SID(far)), Version: 3}
		forged := packet(t, relay, linkState(t, relay, a.nodes[0].Primary(), lost))
		routes := a.nodes[0].Stats().Tables.Routes
		for i := range 100 {
			a.network.Inject(eve(byte(i)), a.links[0].LocalAddr(), forged)
		}
		synctest.Wait()
		time.Sleep(100 * time.Millisecond)
		if got := a.nodes[0].Stats().Tables.Routes; got != routes || routes != 2 {
			t.Fatalf("%d routes became %d by link state from elsewhere", routes, got)
		}
		// Who can send in the neighbour's name and from its address can take the
		// route away, until the neighbour says again what is true.
		a.network.Inject(a.links[1].LocalAddr(), a.links[0].LocalAddr(), forged)
		time.Sleep(100 * time.Millisecond)
		if got := a.nodes[0].Stats().Tables.Routes; got != 1 {
			t.Fatalf("%d routes", got)
		}
		time.Sleep(6 * time.Second)
		a.talk("after forged link state")
	})
}

// A neighbour that says it reaches everybody, and passes nothing on, is left
// for the way that works; and what it is given it cannot read.
func TestLyingNeighbour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttacked(t, 5, line(5)...)
		far := a.nodes[4].Primary()
		liar := newPuppet(t, a.network, a.network.Link(), identity(t), a.nodes[0].Primary(), far)
		a.network.Connect(a.links[0], liar.link)
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
					liar.neighbourly(a.nodes[0], a.links[0], time.Second, reached(far, liar.id.SID()))
				}
			}
		}()
		defer func() { close(stop); <-stopped }()
		time.Sleep(5 * time.Second)
		// A new conversation, so that nothing is known to work: the first
		// datagrams go to the liar, who offers the shorter way.
		liar.take()
		for i := range 10 {
			send(t, a.nodes[0], a.from, a.to, fmt.Sprint("secret ", i))
			time.Sleep(500 * time.Millisecond)
		}
		given := 0
		for _, h := range liar.take() {
			if h.payload.Flags&overlay.Ciphered != 0 && mdpconn.SID(h.payload.Destination.SID) == far {
				given++
			}
		}
		if given == 0 || len(a.at) == 0 || given+len(a.at) < 10 {
			t.Errorf("of 10 datagrams the liar got %d, and %d arrived", given, len(a.at))
		}
		for len(a.at) > 0 {
			(<-a.at).Data[0] = 0
		}
		a.talk("past the liar")
	})
}

// Forged ticks of new SIDs fill a small table, at a bounded rate; neighbours stay
// and new ones are still found.
func TestFloodOfStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttacked(t, 3, line(3)...)
		r := rand.NewChaCha8([32]byte{1})
		sid := a.nodes[0].Primary()
		before := a.nodes[1].Stats()
		for range 20 {
			for range 500 {
				r.Read(sid[:31])
				a.network.Inject(eve(1), a.links[1].LocalAddr(), tickOf(sid))
			}
			time.Sleep(50 * time.Millisecond)
		}
		s := a.nodes[1].Stats()
		if tb := s.Tables; tb.Unproven > tb.UnprovenLimit || tb.Neighbours > tb.UnprovenLimit+2 || tb.Strangers > tb.StrangerLimit || tb.Heard > tb.HeardLimit {
			t.Errorf("%+v", tb)
		}
		if sent := s.Sent.Packets - before.Sent.Packets; sent > 500 {
			t.Errorf("10000 forged ticks in a second drew %d packets", sent)
		}
		a.talk("after a flood of strangers")
		a.network.Connect(a.links[1], newPuppet(t, a.network, a.network.Link(), identity(t)).link)
		if p := a.nodes[1].Stats().Tables; p.Unproven != 0 {
			t.Errorf("strangers that nothing is heard of stay: %+v", p)
		}
	})
}

// A neighbour that tells of thousands fills its share of the table, and no more.
func TestFloodOfAdvertisements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttacked(t, 3, line(3)...)
		p := newPuppet(t, a.network, a.network.Link(), identity(t))
		a.network.Connect(a.links[1], p.link)
		p.neighbourly(a.nodes[1], a.links[1], 2*time.Second)
		r := rand.NewChaCha8([32]byte{2})
		sid := p.id.SID()
		for range 1000 {
			var records []overlay.LinkRecord
			for range 5 {
				r.Read(sid[:31])
				records = append(records, reached(sid, p.id.SID()))
			}
			p.say(a.links[1].LocalAddr(), linkState(t, p.id.SID(), a.nodes[1].Primary(), records...))
		}
		synctest.Wait()
		time.Sleep(time.Second)
		for i, n := range a.nodes {
			if tb := n.Stats().Tables; tb.LinksTold > 600 || tb.Routes > 600 {
				t.Errorf("node %d: %+v", i, tb)
			}
		}
		a.talk("after a flood of advertisements")
		p.link.Close()
		time.Sleep(20 * time.Second)
		for i, n := range a.nodes {
			if tb := n.Stats().Tables; tb.LinksTold > 4 || tb.Routes != 2 {
				t.Errorf("node %d, after the attacker went: %+v", i, tb)
			}
		}
	})
}

// Questions are answered and asked at a bounded rate.
func TestFloodOfQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttacked(t, 3, line(3)...)
		p := newPuppet(t, a.network, a.network.Link(), identity(t))
		a.network.Connect(a.links[1], p.link)
		p.neighbourly(a.nodes[1], a.links[1], 2*time.Second)
		far, relay := a.nodes[2].Primary(), a.nodes[1].Primary()
		before := a.nodes[1].Stats().Sent.Packets
		for i := range 2000 {
			body, _ := overlay.AppendExplainItem(nil, overlay.ExplainItem{Kind: overlay.AskPrefix, Prefix: far[:1+i%31]})
			p.say(a.links[1].LocalAddr(), overlay.Payload{
				Flags: overlay.OneHop, Destination: overlay.To(overlay.SID(relay)), Type: overlay.TypeExplain, Body: body,
			})
			rec := reached(far, p.id.SID())
			rec.Transmitter = abbreviated(mdpconn.SID{byte(i), byte(i >> 8), 1}, 3)
			rec.Transmitter.SID[31] = 1
			p.say(a.links[1].LocalAddr(), linkState(t, p.id.SID(), relay, rec))
		}
		time.Sleep(time.Second)
		if sent := a.nodes[1].Stats().Sent.Packets - before; sent > 600 {
			t.Errorf("4000 packets with questions and unknown SIDs drew %d packets", sent)
		}
		a.talk("after a flood of questions")
	})
}

// Everything that a relay heard, cut off at every length and replayed from
// anywhere, changes no route and ends nothing.
func TestTruncatedAndReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttacked(t, 3, line(3)...)
		tp := record(t, a.network)
		a.talk("for the record")
		heard := tp.take(anywhere, a.links[1].LocalAddr())
		if len(heard) > 40 {
			heard = heard[:40]
		}
		routes := a.nodes[1].Stats().Tables.Routes
		for _, p := range heard {
			for cut := range p.data {
				for _, from := range []netip.AddrPort{p.from, eve(7)} {
					a.network.Inject(from, p.to, p.data[:cut])
				}
			}
			synctest.Wait()
		}
		for range 3 {
			for _, p := range heard {
				a.network.Inject(eve(8), p.to, p.data)
				a.network.Inject(p.from, p.to, p.data)
			}
		}
		time.Sleep(time.Second)
		if s := a.nodes[1].Stats(); s.Tables.Routes != routes {
			t.Errorf("%d routes became %d", routes, s.Tables.Routes)
		}
		for len(a.at) > 0 { // replays are delivered: MDP does not protect from them
			<-a.at
		}
		for len(a.back) > 0 {
			<-a.back
		}
		a.talk("after replays")
	})
}
