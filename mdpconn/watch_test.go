package mdpconn_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/session"
)

const (
	interval   = 10 * time.Second // of pings, docs/extension.md §14
	spacing    = time.Second
	goneAfter  = 30 * time.Second
	watchDelay = 10 * time.Millisecond // of the link, one way
)

// A watchInbox is an inbox that is told what becomes of a peer that is watched over.
type watchInbox struct {
	inbox
	doubt, gone, restarted chan time.Time
}

func (b watchInbox) HandleDoubt(_, _ mdpconn.SID)            { b.doubt <- time.Now() }
func (b watchInbox) HandleGone(_, _ mdpconn.SID)             { b.gone <- time.Now() }
func (b watchInbox) HandleRestart(_, _ mdpconn.SID, _ int64) { b.restarted <- time.Now() }

// watchedPair is two nodes with session keys that hold each other, and what they are
// told. They have just heard each other.
type watchedPair struct {
	*connected
	told [2]watchInbox // a's, b's
	*tape
}

// watched runs f in a bubble with such a pair, with either of them having the
// greater SID.
func watched(t *testing.T, f func(t *testing.T, w *watchedPair)) {
	orders(t, func(t *testing.T, a, b *mdpconn.Identity) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: watchDelay}})
		f(t, newWatchedPair(t, network, mdpconn.Config{Identities: []*mdpconn.Identity{a}}, mdpconn.Config{Identities: []*mdpconn.Identity{b}}))
	})
}

func newWatchedPair(t *testing.T, network *memnet.Network, ca, cb mdpconn.Config) *watchedPair {
	w := &watchedPair{connected: meet(t, network, ca, cb)}
	for i, n := range []*mdpconn.Node{w.a, w.b} {
		w.told[i] = watchInbox{newInbox(), make(chan time.Time, 100), make(chan time.Time, 100), make(chan time.Time, 100)}
		if _, err := n.Bind(mdpconn.Addr{Port: 3000}, w.told[i]); err != nil {
			t.Fatal(err)
		}
	}
	w.chat(t, time.Second)
	w.tape = record(t, network)
	return w
}

// pings gives how many a and b have sent, together.
func (w *watchedPair) pings() uint64 {
	synctest.Wait()
	return w.a.Stats().Sessions.Pings + w.b.Stats().Sessions.Pings
}

// wantTold wants a and b to have been told nothing but what is said.
func (w *watchedPair) wantTold(t *testing.T, why string, doubts, gone, restarts [2]int) {
	t.Helper()
	synctest.Wait()
	for i, b := range w.told {
		if len(b.doubt) != doubts[i] || len(b.gone) != gone[i] || len(b.restarted) != restarts[i] {
			t.Errorf("%s: node %d was told of %d doubts, %d times that the peer is gone, %d restarts; want %d, %d, %d",
				why, i, len(b.doubt), len(b.gone), len(b.restarted), doubts[i], gone[i], restarts[i])
		}
	}
}

func (w *watchedPair) wantWatches(t *testing.T, why string, want bool) {
	t.Helper()
	synctest.Wait()
	if a, b := w.a.Watches(mdpconn.Primary, w.b.Primary()), w.b.Watches(mdpconn.Primary, w.a.Primary()); a != want || b != want {
		t.Errorf("%s: watches %v, %v, want %v", why, a, b, want)
	}
}

// TestOnePingPerInterval: [MSX-14.1], [MSX-14.3] a pair of SIDs that are held, by
// however many, and have nothing to say costs one ping and one pong per interval, and
// no more; an address translator between them hears both ways at least as often.
func TestOnePingPerInterval(t *testing.T) {
	watched(t, func(t *testing.T, w *watchedPair) {
		for range 100 {
			hold(t, w.a, w.b)
			hold(t, w.b, w.a)
		}
		w.wantWatches(t, "held", true)
		before, quiet := w.pings(), time.Now()
		w.take(anywhere, anywhere)
		const intervals = 100
		time.Sleep(intervals * interval)
		pings := w.pings() - before
		if pings < intervals-2 || pings > intervals {
			t.Errorf("%d pings in %d intervals", pings, intervals)
		}
		sent := w.take(anywhere, anywhere)
		compact, boxes := forms(sent)
		// Every two minutes the session is renewed: a hello goes with a ping, an answer
		// comes in the box, and is confirmed.
		const renewals = intervals*int(interval)/int(2*time.Minute) + 1
		if most := 2*int(pings) + renewals; compact > most || boxes > renewals {
			t.Errorf("%d packets in compact form for %d pings, %d boxes", compact, pings, boxes)
		}
		last := map[string]time.Time{}
		for _, p := range sent {
			if p.data[0] != byte(session.Compact) {
				continue
			}
			before, ok := last[p.from.String()]
			if !ok {
				before = quiet
			}
			if gap := p.at.Sub(before); gap > interval+spacing {
				t.Errorf("%v was silent for %v", p.from, gap)
			}
			last[p.from.String()] = p.at
		}
		w.wantTold(t, "idle", [2]int{}, [2]int{}, [2]int{})
	})
}

// Whoever talks is not pinged, and who is not held is not watched over.
func TestNoNeedlessPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: watchDelay}})
		w := &watchedPair{connected: &connected{network: network}}
		w.a, w.la = keyedNode(t, network, mdpconn.Config{})
		w.b, w.lb = keyedNode(t, network, mdpconn.Config{})
		w.sa, w.ia = bind(t, w.a, mdpconn.Addr{Port: 1000})
		w.sb, w.ib = bind(t, w.b, mdpconn.Addr{Port: 2000})
		w.a.AddHint(w.b.Primary(), w.lb.LocalAddr())
		w.chat(t, time.Second)
		time.Sleep(time.Minute)
		w.wantWatches(t, "nobody holds it", false)
		releases := []func(){hold(t, w.a, w.b), hold(t, w.b, w.a)}
		w.chat(t, 2*time.Minute)
		w.wantWatches(t, "held", true)
		if n := w.pings(); n != 0 {
			t.Errorf("%d pings of a peer that talks, or that nobody holds", n)
		}
		time.Sleep(2*interval + spacing)
		if n := w.pings(); n == 0 {
			t.Error("no ping of a peer that is held")
		}
		for _, release := range releases {
			release()
		}
		before := w.pings()
		time.Sleep(time.Minute)
		w.wantWatches(t, "released", false)
		if n := w.pings() - before; n != 0 {
			t.Errorf("%d pings of a peer that was released", n)
		}
		for _, n := range []*mdpconn.Node{w.a, w.b} {
			if at := n.NextWake(); !at.IsZero() && at.Before(time.Now().Add(time.Second)) {
				t.Errorf("the node wakes in %v", time.Until(at))
			}
		}
	})
}

// TestPeerVanishes: [MSX-14.1] a peer from which nothing comes is pinged every second,
// looked for after three pings, and gone after 30 s.
func TestPeerVanishes(t *testing.T) {
	watched(t, func(t *testing.T, w *watchedPair) {
		heard := time.Now()
		w.network.SetImpairmentAll(memnet.Impairment{Loss: 1})
		time.Sleep(interval - spacing)
		if n := w.pings(); n != 0 {
			t.Errorf("%d pings before there was silence for an interval", n)
		}
		time.Sleep(3*spacing - watchDelay)
		quiet := w.a.Stats().Discovery.ChallengesSent + w.b.Stats().Discovery.ChallengesSent
		time.Sleep(4 * spacing)
		for _, n := range []*mdpconn.Node{w.a, w.b} {
			if s := n.Stats(); s.Sessions.Pings < 4 {
				t.Errorf("%d pings in 15 s", s.Sessions.Pings)
			}
		}
		if now := w.a.Stats().Discovery.ChallengesSent + w.b.Stats().Discovery.ChallengesSent; now < quiet+2 {
			t.Errorf("%d challenges before three pings were sent, and %d since: no other way is looked for", quiet, now-quiet)
		}
		w.wantTold(t, "looked for", [2]int{}, [2]int{}, [2]int{})
		time.Sleep(time.Until(heard.Add(5 * time.Minute)))
		w.wantTold(t, "gone", [2]int{}, [2]int{1, 1}, [2]int{})
		for i, b := range w.told {
			if silence := (<-b.gone).Sub(heard); silence < goneAfter-100*time.Millisecond || silence > goneAfter+2*spacing {
				t.Errorf("node %d held its peer for gone after %v", i, silence)
			}
		}
		w.wantWatches(t, "gone", false)
		if n := w.a.Stats().Sessions.Pings; n > 22 {
			t.Errorf("%d pings, a second apart from 10 s to 30 s", n)
		}
		w.network.SetImpairmentAll(memnet.Impairment{Delay: watchDelay})
		w.chat(t, 5*time.Second)
		w.wantWatches(t, "back", true)
	})
}

// TestPartitionHeals: a partition that ends before the peer is gone ends nothing;
// [MSX-14.5] whoever had lost three pings is in doubt then.
func TestPartitionHeals(t *testing.T) {
	for _, c := range []struct {
		d      time.Duration
		doubts [2]int
	}{
		{11*time.Second + 500*time.Millisecond, [2]int{0, 0}},
		{20 * time.Second, [2]int{1, 1}},
		{29 * time.Second, [2]int{1, 1}},
	} {
		watched(t, func(t *testing.T, w *watchedPair) {
			w.network.SetImpairmentAll(memnet.Impairment{Loss: 1})
			time.Sleep(c.d)
			w.network.SetImpairmentAll(memnet.Impairment{Delay: watchDelay})
			time.Sleep(5 * time.Minute)
			w.wantTold(t, c.d.String(), c.doubts, [2]int{}, [2]int{})
			w.wantWatches(t, c.d.String(), true)
			w.wantEndpoints(t, c.d.String())
		})
	}
}

// TestRestartFoundByPing: [MSX-14.2] a peer that has begun anew and says nothing is
// found out by the next ping: it does not know the session.
func TestRestartFoundByPing(t *testing.T) {
	watched(t, func(t *testing.T, w *watchedPair) {
		heard := time.Now()
		w.restart(t, mdpconn.Config{Identities: []*mdpconn.Identity{w.b.Identity(w.b.Primary())}})
		time.Sleep(time.Minute)
		w.wantTold(t, "restarted", [2]int{}, [2]int{}, [2]int{1, 0})
		if d := (<-w.told[0].restarted).Sub(heard); d > interval+spacing+6*watchDelay {
			t.Errorf("found out after %v", d)
		}
	})
}

// restart ends b without a word, and has it begin anew at the same address. Nobody
// there holds a.
func (w *watchedPair) restart(t *testing.T, config mdpconn.Config) {
	t.Helper()
	addr := w.lb.LocalAddr()
	w.network.SetImpairmentAll(memnet.Impairment{Loss: 1})
	w.b.Close()
	w.network.SetImpairmentAll(memnet.Impairment{Delay: watchDelay})
	link, err := w.network.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	w.lb, w.b = link, keyedNodeOn(t, link, config)
}

// TestRestartWithoutKeys: [MSX-14.4] a peer that has begun anew without session keys
// answers challenges, and is gone all the same.
func TestRestartWithoutKeys(t *testing.T) {
	watched(t, func(t *testing.T, w *watchedPair) {
		heard := time.Now()
		passed := w.a.Stats().Discovery.ChallengesPassed
		w.restart(t, mdpconn.Config{Identities: []*mdpconn.Identity{w.b.Identity(w.b.Primary())}, NoSessions: true})
		time.Sleep(time.Minute)
		w.wantTold(t, "restarted", [2]int{}, [2]int{1, 0}, [2]int{})
		if d := (<-w.told[0].gone).Sub(heard); d > goneAfter+spacing {
			t.Errorf("gone after %v", d)
		}
		if now := w.a.Stats().Discovery.ChallengesPassed; now == passed {
			t.Error("it answered no challenge: this shows nothing")
		}
	})
}

// A peer without session keys is not watched over, nor one that this node has none
// with; as it has with a daemon, or within itself.
func TestNobodyToWatch(t *testing.T) {
	for _, no := range [][2]bool{{true, false}, {false, true}, {true, true}} {
		synctest.Test(t, func(t *testing.T) {
			network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: watchDelay}})
			w := newWatchedPair(t, network, mdpconn.Config{NoSessions: no[0]}, mdpconn.Config{NoSessions: no[1]})
			w.wantWatches(t, "without session keys", false)
			network.SetImpairmentAll(memnet.Impairment{Loss: 1})
			time.Sleep(time.Minute)
			w.wantTold(t, "without session keys", [2]int{}, [2]int{}, [2]int{})
			if n := w.pings(); n != 0 {
				t.Errorf("%d pings", n)
			}
			if w.a.Watches(mdpconn.Primary, w.a.Primary()) || w.a.Watches(w.b.Primary(), w.a.Primary()) {
				t.Error("watches over its own SID, or for one that is not its own")
			}
		})
	}
}

// A peer that moves while there is nothing to say is found, by the pings of whoever
// moved.
func TestWatchFollowsAMove(t *testing.T) {
	watched(t, func(t *testing.T, w *watchedPair) {
		for i := range 4 {
			if i%2 == 0 {
				w.lb.Rebind()
			} else {
				w.la.Rebind()
			}
			time.Sleep(time.Minute)
			w.wantEndpoints(t, "after the move")
			w.wantWatches(t, "after the move", true)
		}
		for i, b := range w.told {
			if len(b.gone) > 0 {
				t.Errorf("node %d held its peer for gone", i)
			}
		}
	})
}

// The watch outlives the session: those that are worn are replaced along with a
// ping; where one ends, connections see to themselves until there is another.
func TestWatchAndSessions(t *testing.T) {
	watched(t, func(t *testing.T, w *watchedPair) {
		begun := w.a.Stats().Sessions.Begun
		time.Sleep(10 * time.Minute)
		if n := w.a.Stats().Sessions.Begun - begun; n < 4 || n > 5 {
			t.Errorf("%d sessions in ten idle minutes", n)
		}
		w.wantTold(t, "replaced", [2]int{}, [2]int{}, [2]int{})
		w.wantWatches(t, "replaced", true)
		w.b.CloseSession(w.a.Primary()) // who pings it hears so, and offers another
		time.Sleep(time.Minute)
		w.wantTold(t, "ended at one end", [2]int{}, [2]int{}, [2]int{})
		w.wantWatches(t, "ended at one end", true)
		w.a.CloseSession(w.b.Primary())
		w.b.CloseSession(w.a.Primary())
		time.Sleep(interval + 2*spacing)
		w.wantTold(t, "ended at both ends", [2]int{1, 1}, [2]int{}, [2]int{})
		w.wantWatches(t, "ended at both ends", false)
		w.chat(t, time.Second)
		w.wantWatches(t, "another session", true)
	})
}

// TestWatchIsForDirectPeers: [MSX-14.5] a peer that is reached through others is not
// watched over. When the direct way is lost and there is one through others,
// connections are to see to themselves, and when it is back they need not.
func TestWatchIsForDirectPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newKeyedMesh(t, 3, memnet.Impairment{Delay: time.Millisecond}, mdpconn.Config{}, [2]int{0, 1}, [2]int{1, 2})
		hold(t, m.near(), m.far())
		hold(t, m.far(), m.near())
		told := watchInbox{newInbox(), make(chan time.Time, 100), make(chan time.Time, 100), make(chan time.Time, 100)}
		if _, err := m.near().Bind(mdpconn.Addr{Port: 3000}, told); err != nil {
			t.Fatal(err)
		}
		want := func(why string, watches bool, doubts int) {
			t.Helper()
			synctest.Wait()
			if got := m.near().Watches(mdpconn.Primary, m.far().Primary()); got != watches || len(told.doubt) != doubts || len(told.gone) > 0 {
				t.Errorf("%s: watches %v, doubts %d, gone %d; want %v, %d, none", why, got, len(told.doubt), len(told.gone), watches, doubts)
			}
		}
		m.chat(5*time.Second, "through a relay")
		time.Sleep(time.Minute)
		want("through a relay", false, 0)
		m.network.Connect(m.links[0], m.links[2])
		m.chat(10*time.Second, "and directly")
		time.Sleep(time.Minute)
		want("directly", true, 0)
		m.network.Cut(m.links[0], m.links[2])
		time.Sleep(20 * time.Second)
		want("through a relay again", false, 1)
		time.Sleep(time.Minute)
		want("through a relay again, later", false, 1)
		if s := m.near().Stats().Sessions; s.Gone != 0 || s.Pings == 0 {
			t.Errorf("%+v", s)
		}
	})
}

// The handlers of all sockets are told, each once, those of other identities not.
func TestWatchHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: watchDelay}})
		ids := []*mdpconn.Identity{identity(t), identity(t)}
		w := newWatchedPair(t, network, mdpconn.Config{Identities: ids}, mdpconn.Config{})
		other := watchInbox{newInbox(), make(chan time.Time, 100), make(chan time.Time, 100), make(chan time.Time, 100)}
		every := watchInbox{newInbox(), make(chan time.Time, 100), make(chan time.Time, 100), make(chan time.Time, 100)}
		for _, b := range []struct {
			at mdpconn.Addr
			to watchInbox
		}{
			{mdpconn.Addr{Port: 3001}, w.told[0]}, {mdpconn.Addr{SID: mdpconn.All, Port: 3002}, every},
			{mdpconn.Addr{SID: ids[1].SID(), Port: 3003}, other},
		} {
			if _, err := w.a.Bind(b.at, b.to); err != nil {
				t.Fatal(err)
			}
		}
		network.SetImpairmentAll(memnet.Impairment{Loss: 1})
		time.Sleep(time.Minute)
		got := []int{len(w.told[0].gone), len(every.gone), len(other.gone)}
		if want := []int{1, 1, 0}; !slices.Equal(got, want) {
			t.Errorf("told %v times, want %v", got, want)
		}
	})
}
