package mdpconn_test

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
)

func TestTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		one, two := identity(t), identity(t)
		n, _ := newNode(t, network, mdpconn.Config{Identities: []*mdpconn.Identity{one, two}})
		ear := network.Link() // packets that nobody hears are not recorded
		defer ear.Close()
		tp := record(t, network)
		ticks := func(why string, d time.Duration, want int) {
			t.Helper()
			time.Sleep(d)
			got := tp.take(anywhere, anywhere)
			if len(got) != 2*want { // one for each identity
				t.Errorf("%s: %d packets in %v, want %d", why, len(got), d, 2*want)
			}
			for i, p := range got {
				if id := []*mdpconn.Identity{one, two}[i%2]; p.to != memnet.Broadcast || !bytes.Equal(p.data, tickOf(id.SID())) {
					t.Errorf("%s: packet %x to %v, want a tick", why, p.data, p.to)
				}
			}
		}
		ticks("nobody listens", 10*time.Minute, 0)
		if !n.NextWake().IsZero() {
			t.Error("an idle node wakes of itself")
		}
		stop1, stop2 := n.Announce(), n.Announce()
		ticks("announcing", 4900*time.Millisecond, 10)
		ticks("no neighbour is heard", 25100*time.Millisecond, 6)
		stop1()
		stop1()
		ticks("one still announces", time.Minute, 12)
		stop2()
		ticks("nobody announces", 10*time.Minute, 0)
		if !n.NextWake().IsZero() {
			t.Error("an idle node wakes of itself")
		}
	})
}

func TestTicksWithNeighbour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		n, l := newNode(t, network, mdpconn.Config{Announce: mdpconn.AnnounceAlways})
		time.Sleep(time.Minute)
		before := n.Stats().Discovery.TicksSent
		sid := identity(t).SID()
		for range 60 {
			network.Inject(eve(1), l.LocalAddr(), tickOf(sid))
			time.Sleep(time.Second)
		}
		if got := n.Stats().Discovery.TicksSent - before; got < 115 || got > 121 {
			t.Errorf("%d ticks in a minute with a neighbour, want 120", got)
		}
	})
}

func TestAnnounceNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		quiet, _ := newNode(t, network, mdpconn.Config{Announce: mdpconn.AnnounceNever})
		defer quiet.Announce()()
		time.Sleep(time.Minute)
		if s := quiet.Stats().Sent.Packets; s != 0 {
			t.Errorf("%d packets sent", s)
		}
		// Whoever knows it finds it.
		n, _ := newNode(t, network, mdpconn.Config{})
		_, in := bind(t, quiet, mdpconn.Addr{Port: 55})
		send(t, n, mdpconn.Addr{Port: 55}, mdpconn.Addr{SID: quiet.Primary(), Port: 55}, "found")
		in.want(t, "quiet node", "found")
	})
}

// explainAsk asks for the SIDs that begin so.
func explainAsk(t *testing.T, asker mdpconn.SID, prefix []byte) []byte {
	t.Helper()
	body, err := overlay.AppendExplainItem(nil, overlay.ExplainItem{Kind: overlay.AskPrefix, Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	return packet(t, asker, overlay.Payload{Flags: overlay.ToBroadcast | overlay.OneHop, Type: overlay.TypeExplain, Body: body})
}

func TestQuestionsForOwnSIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		n, l := newNode(t, network, mdpconn.Config{})
		sid, asker := n.Primary(), identity(t).SID()
		tp := record(t, network)
		answers := func(why string, prefix []byte, want int) {
			t.Helper()
			network.Inject(eve(1), l.LocalAddr(), explainAsk(t, asker, prefix))
			got := tp.take(l.LocalAddr(), eve(1))
			got = slices.DeleteFunc(got, func(p taped) bool { // a node that announces itself challenges who asks
				_, pls := payloads(t, p.data)
				return pls[0].Type == overlay.TypeData
			})
			if len(got) != want {
				t.Fatalf("%s: %d answers, want %d", why, len(got), want)
			}
			for _, p := range got {
				sender, pls := payloads(t, p.data)
				if sender != sid || len(pls) != 1 || pls[0].Type != overlay.TypeExplain || len(pls[0].Body) != 0 ||
					mdpconn.SID(pls[0].Destination.SID) != asker {
					t.Errorf("%s: answer %x", why, p.data)
				}
			}
		}
		other := identity(t).SID()
		answers("31 bytes", sid[:31], 1)
		answers("16 bytes", sid[:16], 1)
		answers("a guess, of a node that does not announce itself", sid[:3], 0)
		answers("another SID", other[:31], 0)
		stop := n.Announce()
		answers("a guess, of one that does", sid[:1], 1)
		stop()

		// However many ask, there are few answers.
		before := n.Stats().Sent.Explains
		for range 1000 {
			network.Inject(eve(1), l.LocalAddr(), explainAsk(t, asker, sid[:31]))
			synctest.Wait()
		}
		if got := n.Stats().Sent.Explains - before; got > 100 {
			t.Errorf("%d answers at once", got)
		}
		time.Sleep(time.Second)
		tp.take(anywhere, anywhere)
		answers("a second later", sid[:31], 1)
	})
}

// A held peer is asked for until it is found, and no longer.
func TestHoldSearches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		n, _ := newNode(t, network, mdpconn.Config{})
		id := identity(t)
		ear := network.Link() // packets that nobody hears are not recorded
		defer ear.Close()
		tp := record(t, network)
		begin := time.Now()
		release, err := n.Hold(mdpconn.Primary, id.SID())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		var at []time.Duration
		for _, p := range tp.take(anywhere, memnet.Broadcast) {
			at = append(at, p.at.Sub(begin))
			_, pls := payloads(t, p.data)
			sid := id.SID()
			if want := append([]byte{31}, sid[:31]...); len(pls) != 1 || !bytes.Equal(pls[0].Body, want) {
				t.Errorf("question %x", p.data)
			}
		}
		ms := time.Millisecond
		want := []time.Duration{10 * ms, 260 * ms, 760 * ms, 1760 * ms, 2760 * ms}
		if len(at) != len(want) {
			t.Fatalf("questions after %v, want %v", at, want)
		}
		for i := range at {
			if at[i] != want[i] {
				t.Fatalf("questions after %v, want %v", at, want)
			}
		}
		b, lb := newNode(t, network, mdpconn.Config{Identities: []*mdpconn.Identity{id}})
		time.Sleep(2 * time.Second)
		if p := n.Path(mdpconn.Primary, id.SID()); p.Endpoint != lb.LocalAddr() {
			t.Errorf("not found: %+v", p)
		}
		asked := n.Stats().Discovery
		time.Sleep(time.Hour)
		if got := n.Stats().Discovery; got != asked || !n.NextWake().IsZero() || !b.NextWake().IsZero() {
			t.Errorf("an idle connection costs something: %+v, %+v", asked, got)
		}
		release()
		release()
		if tb := n.Stats().Tables; tb.Held != 0 || tb.Peers != 1 {
			t.Errorf("after release: %+v", tb)
		}
	})
}

// A release that comes while the search goes on ends it.
func TestReleaseEndsTheSearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := newNode(t, memnet.New(memnet.Config{}), mdpconn.Config{})
		release, err := n.Hold(mdpconn.Primary, identity(t).SID())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		release()
		asked := n.Stats().Discovery.AsksSent
		time.Sleep(time.Hour)
		if got := n.Stats().Discovery.AsksSent; got != asked || !n.NextWake().IsZero() {
			t.Errorf("%d more questions after the release", got-asked)
		}
	})
}

// A hint that leads nowhere does not keep the peer from being found.
func TestDeadHint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		a, _ := newNode(t, network, mdpconn.Config{})
		b, lb := newNode(t, network, mdpconn.Config{})
		_, ib := bind(t, b, mdpconn.Addr{Port: 55})
		a.AddHint(b.Primary(), eve(1))
		send(t, a, mdpconn.Addr{Port: 55}, mdpconn.Addr{SID: b.Primary(), Port: 55}, "lost")
		time.Sleep(300 * time.Millisecond)
		send(t, a, mdpconn.Addr{Port: 55}, mdpconn.Addr{SID: b.Primary(), Port: 55}, "found")
		ib.want(t, "b", "found")
		if p := a.Path(mdpconn.Primary, b.Primary()); p.Endpoint != lb.LocalAddr() {
			t.Errorf("%+v", p)
		}
	})
}

// A deafLink refuses broadcasts, as a system does that does not permit them.
type deafLink struct{ *memnet.Link }

func (l deafLink) WritePackets(ps []mdpconn.Packet) (int, error) {
	for i := range ps {
		if ps[i].Addr == memnet.Broadcast {
			return i, syscall.EACCES
		}
		if _, err := l.Link.WritePackets(ps[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(ps), nil
}

func TestBroadcastsNotPermitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		network := memnet.New(memnet.Config{})
		n, err := mdpconn.NewNode(mdpconn.Config{
			Links:  []mdpconn.Link{deafLink{network.Link()}},
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		b, lb := newNode(t, network, mdpconn.Config{})
		_, ib := bind(t, b, mdpconn.Addr{Port: 55})
		defer n.Announce()()
		send(t, n, mdpconn.Addr{Port: 55}, mdpconn.Addr{SID: b.Primary(), Port: 55}, "one")
		time.Sleep(time.Minute)
		ib.want(t, "no way to ask")
		if s := n.Stats(); s.Discovery.BroadcastErrors < 20 || s.Sent.Errors < 20 {
			t.Errorf("%+v", s)
		}
		if lines := strings.Count(log.String(), "\n"); lines != 1 {
			t.Errorf("%d lines logged, want 1:\n%s", lines, &log)
		}
		n.AddHint(b.Primary(), lb.LocalAddr())
		send(t, n, mdpconn.Addr{Port: 55}, mdpconn.Addr{SID: b.Primary(), Port: 55}, "two")
		ib.want(t, "b", "two")
	})
}
