package mdpconn_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/mdptest"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
	"mesh.example/msp/mdpconn/session"
)

// newKeyedMesh makes a mesh whose first and last node have session keys, as config
// says; those between them have none, as stock has not. Every packet is checked
// against what ends a stock node.
func newKeyedMesh(t *testing.T, k int, im memnet.Impairment, config mdpconn.Config, edges ...[2]int) *keyedMesh {
	m := &keyedMesh{meshNet: &meshNet{t: t, network: memnet.New(memnet.Config{Unconnected: true, Impairment: im})}, config: config}
	guards := make(map[string]*mdptest.Guard)
	t.Cleanup(m.network.Tap(func(e memnet.Event) {
		if e.Injected || e.Duplicate {
			return
		}
		g := guards[e.From.String()]
		if g == nil {
			g = new(mdptest.Guard)
			guards[e.From.String()] = g
		}
		if err := g.Check(e.To, e.Data); err != nil {
			t.Error(err)
		}
	}))
	for i := range k {
		m.ids = append(m.ids, identity(t))
		m.nodes, m.links = append(m.nodes, nil), append(m.links, nil)
		m.begin(i, k)
	}
	m.connect(edges...)
	t.Cleanup(m.nodes[k-1].Announce())
	m.from, m.to, m.at, m.back = m.sockets(0, k-1)
	time.Sleep(3 * time.Second)
	return m
}

// A keyedMesh is a mesh whose ends talk under session keys.
type keyedMesh struct {
	*meshNet
	config   mdpconn.Config
	from, to mdpconn.Addr
	at, back inbox
}

func (m *keyedMesh) begin(i, k int) {
	config := m.config
	if i != 0 && i != k-1 {
		config = mdpconn.Config{NoSessions: true}
	}
	m.links[i] = m.network.Link()
	config.Identities, config.Links = []*mdpconn.Identity{m.ids[i]}, []mdpconn.Link{m.links[i]}
	n, err := mdpconn.NewNode(config)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { n.Close() })
	m.nodes[i] = n
}

func (m *keyedMesh) near() *mdpconn.Node { return m.nodes[0] }
func (m *keyedMesh) far() *mdpconn.Node  { return m.nodes[len(m.nodes)-1] }

// chat has both ends send every 50 ms, and gives how many of these datagrams did
// not arrive, or more than once; and how many were early.
func (m *keyedMesh) chat(d time.Duration, why string) (lost, early int) {
	m.t.Helper()
	got := make(map[string]int)
	collect := func() {
		synctest.Wait()
		for _, in := range []inbox{m.at, m.back} {
			for len(in) > 0 {
				d := <-in
				got[string(d.Data)]++
				if d.Early {
					early++
				}
				d.Release()
			}
		}
	}
	collect()
	clear(got)
	early = 0
	k := 0
	for end := time.Now().Add(d); time.Now().Before(end); k++ {
		send(m.t, m.near(), m.from, m.to, fmt.Sprint("there ", why, k))
		send(m.t, m.far(), m.to, m.from, fmt.Sprint("back ", why, k))
		time.Sleep(50 * time.Millisecond)
		collect()
	}
	time.Sleep(500 * time.Millisecond)
	collect()
	for i := range k {
		for _, text := range []string{fmt.Sprint("there ", why, i), fmt.Sprint("back ", why, i)} {
			if got[text] != 1 {
				lost++
			}
			delete(got, text)
		}
	}
	if len(got) > 0 {
		m.t.Errorf("%s: also heard %v", why, got)
	}
	return lost, early
}

// wantChat wants all of a chat to arrive once, and none of it early.
func (m *keyedMesh) wantChat(d time.Duration, why string) {
	m.t.Helper()
	if lost, early := m.chat(d, why); lost > 0 || early > 0 {
		m.t.Errorf("%s: %d datagrams lost or twice, %d early", why, lost, early)
	}
}

// bodies counts what relays are given of enciphered payloads, or give on: bodies
// under session keys, and boxes.
func bodies(packets []taped) (keyed, boxes int) {
	for _, taped := range packets {
		var p overlay.Packet
		if taped.data[0] == byte(session.Compact) || p.Parse(taped.data, overlay.Context{Resolver: anySID{}}) != nil {
			continue
		}
		for pl := (overlay.Payload{}); p.Next(&pl); {
			switch {
			case pl.Flags&overlay.Ciphered == 0, pl.Flags&overlay.OneHop != 0 && pl.Source.SID == p.Sender.SID:
			case session.IsRelayed(pl.Body):
				keyed++
			default:
				boxes++
			}
		}
	}
	return keyed, boxes
}

// wantBodies wants what passes relays to be under session keys only.
func (tp *tape) wantBodies(t *testing.T, why string) {
	t.Helper()
	if keyed, boxes := bodies(tp.take(anywhere, anywhere)); keyed == 0 || boxes > 0 {
		t.Errorf("%s: %d bodies under session keys, %d boxes, want none of these", why, keyed, boxes)
	}
}

func (m *keyedMesh) wantSessions(begun uint64, why string) {
	m.t.Helper()
	for _, n := range []*mdpconn.Node{m.near(), m.far()} {
		if s := n.Stats(); s.Sessions.Begun != begun || s.Sessions.Unknown+s.Dropped.Crypto > 0 {
			m.t.Errorf("%s: want %d sessions and no failure: %+v", why, begun, s.Sessions)
		}
	}
}

// Two nodes agree on session keys through others that have none, and what those
// pass on is then under the keys (MSX-12.1, MSX-12.2).
func TestKeysOverRelays(t *testing.T) {
	for _, k := range []int{3, 5} {
		synctest.Test(t, func(t *testing.T) {
			m := newKeyedMesh(t, k, memnet.Impairment{Delay: time.Millisecond}, mdpconn.Config{}, line(k)...)
			tp := record(t, m.network)
			send(t, m.near(), m.from, m.to, "first")
			time.Sleep(100 * time.Millisecond)
			if d := m.at.want(t, "first", "first"); !d[0].Early {
				t.Error("the first datagram is not early")
			}
			tp.take(anywhere, anywhere)
			m.wantChat(10*time.Second, fmt.Sprint(k, " nodes"))
			tp.wantBodies(t, fmt.Sprint(k, " nodes"))
			m.wantSessions(1, fmt.Sprint(k, " nodes"))
			// The largest datagram passes, and the node's services answer.
			big := string(make([]byte, mdpconn.MaxData))
			send(t, m.near(), m.from, m.to, big)
			send(t, m.near(), m.from, mdpconn.Addr{SID: m.to.SID, Port: 7}, "echo")
			time.Sleep(100 * time.Millisecond)
			m.at.want(t, "the largest", big)
			m.back.want(t, "the echo", "echo")
			tp.wantBodies(t, "an echo")
		})
	}
}

// Peers that lose the direct way go on under the same keys through others, and
// back.
func TestKeysFollowTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newKeyedMesh(t, 3, memnet.Impairment{Delay: time.Millisecond}, mdpconn.Config{}, [2]int{0, 1}, [2]int{1, 2}, [2]int{0, 2})
		m.chat(5*time.Second, "to begin with")
		tp := record(t, m.network)
		for range 3 {
			m.wantChat(5*time.Second, "directly")
			if compact, _ := forms(tp.take(m.links[0].LocalAddr(), m.links[2].LocalAddr())); compact < 90 {
				t.Errorf("%d packets in compact form", compact)
			}
			m.network.Cut(m.links[0], m.links[2])
			m.chat(10*time.Second, "on the way to relays")
			tp.take(anywhere, anywhere)
			m.wantChat(5*time.Second, "relayed")
			tp.wantBodies(t, "relayed")
			m.network.Connect(m.links[0], m.links[2])
			m.wantChat(10*time.Second, "on the way back")
			tp.take(anywhere, anywhere)
		}
		m.wantSessions(1, "after three moves each way")
	})
}

// With RequireSessionKeys datagrams through others wait for the keys too, and relays
// see no box but those of hellos.
func TestRequireSessionKeysOverRelays(t *testing.T) {
	for _, k := range []int{3, 5} {
		synctest.Test(t, func(t *testing.T) {
			m := newKeyedMesh(t, k, memnet.Impairment{Delay: time.Millisecond}, mdpconn.Config{RequireSessionKeys: true}, line(k)...)
			tp := record(t, m.network)
			send(t, m.near(), m.from, m.to, "first")
			time.Sleep(50 * time.Millisecond)
			if d := m.at.want(t, "with the keys", "first"); d[0].Early {
				t.Errorf("%d nodes: the first datagram is early", k)
			}
			if _, boxes := bodies(tp.take(anywhere, anywhere)); boxes != 2*(k-1) {
				t.Errorf("%d nodes: %d boxes, want an offer and an answer on each hop", k, boxes)
			}
			m.wantChat(10*time.Second, "under keys")
			tp.wantBodies(t, "under keys")
			asks := m.near().Stats().Discovery.AsksSent
			time.Sleep(time.Minute)
			if now := m.near().Stats().Discovery.AsksSent; now != asks {
				t.Errorf("%d nodes: %d questions for an address of who is routed, and only idle", k, now-asks)
			}
			m.network.SetImpairmentAll(memnet.Impairment{Loss: 1})
			time.Sleep(15 * time.Minute) // the session is forgotten, and the routes
			m.network.SetImpairmentAll(memnet.Impairment{Delay: time.Millisecond})
			time.Sleep(10 * time.Second)
			send(t, m.near(), m.from, m.to, "later")
			time.Sleep(time.Second)
			m.at.want(t, "later", "later")
		})
	}
}

// A peer that begins anew is told by its notice that the keys of its other life
// are gone, however many relays are between (MSX-12.3).
func TestRestartOverRelays(t *testing.T) {
	for _, speaks := range []string{"the one that stayed", "the one that began anew"} {
		t.Run(speaks, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const k = 4
				m := newKeyedMesh(t, k, memnet.Impairment{Delay: time.Millisecond}, mdpconn.Config{}, line(k)...)
				in := toldInbox{newInbox(), make(chan mdpconn.SID, 10)}
				if _, err := m.near().Bind(mdpconn.Addr{Port: 5000}, in); err != nil {
					t.Fatal(err)
				}
				m.chat(time.Second, "in the other life")
				m.far().Close()
				m.begin(k-1, k)
				m.connect([2]int{k - 2, k - 1})
				defer m.far().Announce()()
				sb, at := bind(t, m.far(), mdpconn.Addr{Port: 2000})
				hold(t, m.far(), m.near())
				m.to, m.at = sb.LocalAddr(), at
				time.Sleep(10 * time.Second) // for the routes
				before := m.far().Stats().Sent.Packets
				if speaks == "the one that stayed" {
					for range 500 {
						send(t, m.near(), m.from, m.to, "who are you?")
					}
				} else {
					send(t, m.far(), m.to, m.from, "it is me")
				}
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
				if len(in.told) != 1 || <-in.told != m.ids[k-1].SID() {
					t.Errorf("told %d times of the restart, want once", len(in.told))
				}
				if sent := m.far().Stats().Sent.Packets - before; sent > 20 {
					t.Errorf("%d packets in answer to 500 of an unknown session", sent)
				}
				tp := record(t, m.network)
				m.wantChat(5*time.Second, "in the new life")
				tp.wantBodies(t, "in the new life")
			})
		})
	}
}

// A session is replaced over relays after two minutes of use, and nothing is lost.
func TestRekeyOverRelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newKeyedMesh(t, 3, memnet.Impairment{Delay: time.Millisecond}, mdpconn.Config{}, line(3)...)
		m.chat(time.Second, "to begin with")
		m.wantChat(5*time.Minute, "load")
		m.wantSessions(3, "after five minutes")
	})
}

// Copies, echoes, changed and cut packets do nothing at the ends of a session that
// goes over relays, nor do its bodies under other headers (MSX-12.4).
func TestRelayedSessionAttacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const k = 3
		m := newKeyedMesh(t, k, memnet.Impairment{Delay: time.Millisecond}, mdpconn.Config{}, line(k)...)
		tp := record(t, m.network)
		m.chat(2*time.Second, "recorded")
		packets := tp.take(anywhere, anywhere)
		begun := m.near().Stats().Sessions.Begun + m.far().Stats().Sessions.Begun
		elsewhere := m.network.Link()
		stranger := identity(t).SID()
		for _, p := range packets {
			m.network.Inject(p.from, p.to, p.data)
			m.network.Inject(elsewhere.LocalAddr(), p.to, p.data)
			m.network.Inject(p.to, p.from, p.data)
			m.network.Inject(p.from, p.to, p.data[:len(p.data)/2])
			for i := 0; i < len(p.data); i += 5 {
				changed := append([]byte(nil), p.data...)
				changed[i] ^= 1 << (i % 8)
				m.network.Inject(p.from, p.to, changed)
			}
			for _, pl := range parsed(p.data) {
				if !session.IsRelayed(pl.Body) {
					continue
				}
				for _, to := range []int{0, k - 1} {
					for _, source := range []mdpconn.SID{m.ids[k-1-to].SID(), m.ids[1].SID(), stranger} {
						q := overlay.Payload{
							Flags: overlay.OneHop | overlay.Ciphered | overlay.Signed, Source: overlay.To(overlay.SID(source)),
							Destination: overlay.To(overlay.SID(m.ids[to].SID())), Type: overlay.TypeData, Body: pl.Body,
						}
						for _, sender := range []mdpconn.SID{m.ids[1].SID(), source} {
							m.network.Inject(m.links[1].LocalAddr(), m.links[to].LocalAddr(), packet(t, sender, q))
							m.network.Inject(elsewhere.LocalAddr(), m.links[to].LocalAddr(), packet(t, sender, q))
						}
					}
				}
				compact := append([]byte(nil), pl.Body...)
				compact[0] = byte(session.Compact)
				m.network.Inject(m.links[1].LocalAddr(), m.links[k-1].LocalAddr(), compact)
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		m.at.want(t, "at the far end")
		m.back.want(t, "at the near end")
		if now := m.near().Stats().Sessions.Begun + m.far().Stats().Sessions.Begun; now != begun {
			t.Errorf("%d sessions more", now-begun)
		}
		for _, n := range []*mdpconn.Node{m.near(), m.far()} {
			other := m.ids[0].SID()
			if n == m.near() {
				other = m.ids[k-1].SID()
			}
			if p := n.Path(mdpconn.Primary, other); p.Endpoint.IsValid() {
				t.Errorf("it has an endpoint now, %v", p.Endpoint)
			}
		}
		time.Sleep(2 * time.Second)
		tp.take(anywhere, anywhere)
		m.wantChat(time.Second, "after the attack")
		tp.wantBodies(t, "after the attack")
	})
}

// What was recorded before the session is worth nothing once it stands, and a
// notice that it is unknown, from whomever, brings an offer at most.
func TestDowngradeOverRelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newKeyedMesh(t, 3, memnet.Impairment{Delay: time.Millisecond}, mdpconn.Config{}, line(3)...)
		tp := record(t, m.network)
		send(t, m.near(), m.from, m.to, "early")
		time.Sleep(100 * time.Millisecond)
		m.at.want(t, "early", "early")
		held := tp.take(anywhere, anywhere)
		for range 3 {
			m.chat(time.Second, "between")
			for _, p := range held {
				m.network.Inject(p.from, p.to, p.data)
			}
			time.Sleep(20 * time.Millisecond)
			m.at.want(t, "again")
			time.Sleep(11 * time.Minute)
		}
		if s := m.far().Stats().Sessions; s.Downgrades == 0 {
			t.Errorf("no downgrade was noticed: %+v", s)
		}
		m.chat(time.Second, "once more")

		// The relay tells the near end that the far one's session is unknown: as
		// itself, and as the far end, for which it has no key.
		tp.take(anywhere, anywhere)
		m.wantChat(time.Second, "to see ids")
		var ids []uint32
		for _, p := range tp.take(m.links[0].LocalAddr(), anywhere) {
			for _, pl := range parsed(p.data) {
				if h, ok := session.ParseHead(pl.Body); ok && session.IsRelayed(pl.Body) {
					ids = append(ids, h.ID)
				}
			}
		}
		if len(ids) == 0 {
			t.Fatal("no session ids were seen")
		}
		key, err := m.ids[1].SharedKey(m.ids[0].SID())
		if err != nil {
			t.Fatal(err)
		}
		notice := sealed(t, key, m.ids[0].SID(), overlay.Ports{Destination: session.HelloPort, Source: session.HelloPort},
			string(session.AppendUnknown(nil, ids[0])))
		offers := m.near().Stats().Sessions.Offers
		for _, sender := range []mdpconn.SID{m.ids[1].SID(), m.ids[2].SID()} {
			for range 20 {
				m.network.Inject(m.links[1].LocalAddr(), m.links[0].LocalAddr(), packet(t, sender, notice))
			}
		}
		m.wantChat(time.Second, "after notices")
		if now := m.near().Stats().Sessions.Offers; now != offers {
			t.Errorf("notices of others brought %d offers", now-offers)
		}
		tp.wantBodies(t, "after notices")
	})
}

// A body that was held back is taken once, and as its session's peer's only: other
// headers make it nobody else's, and their address is no address of the peer
// (MSX-12.4).
func TestHeldBackBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newKeyedMesh(t, 3, memnet.Impairment{Delay: time.Millisecond}, mdpconn.Config{}, line(3)...)
		m.chat(time.Second, "to begin with")
		if p := m.far().Path(mdpconn.Primary, m.near().Primary()); len(p.Candidates) > 0 {
			t.Errorf("what relays passed on gave addresses: %+v", p)
		}
		tp := record(t, m.network)
		m.network.SetImpairmentAll(memnet.Impairment{Loss: 1})
		send(t, m.near(), m.from, m.to, "held back")
		var body []byte
		for _, p := range tp.take(m.links[0].LocalAddr(), anywhere) {
			for _, pl := range parsed(p.data) {
				if session.IsRelayed(pl.Body) {
					body = append([]byte(nil), pl.Body...)
				}
			}
		}
		m.network.SetImpairmentAll(memnet.Impairment{Delay: time.Millisecond})
		elsewhere := m.network.Link()
		inject := func(from *memnet.Link, sender, source mdpconn.SID, body []byte) {
			m.network.Inject(from.LocalAddr(), m.links[2].LocalAddr(), packet(t, sender, overlay.Payload{
				Flags: overlay.OneHop | overlay.Ciphered | overlay.Signed, Source: overlay.To(overlay.SID(source)),
				Destination: overlay.To(overlay.SID(m.far().Primary())), Type: overlay.TypeData, Body: body,
			}))
			synctest.Wait()
		}
		relay, near, stranger := m.ids[1].SID(), m.ids[0].SID(), identity(t).SID()
		inject(m.links[1], relay, stranger, body)
		inject(m.links[1], relay, relay, body)
		inject(elsewhere, stranger, stranger, body)
		for i := 1; i < len(body); i++ {
			changed := append([]byte(nil), body...)
			changed[i] ^= 1
			inject(m.links[1], relay, near, changed)
			if i >= overlay.MinSessionBody {
				inject(m.links[1], relay, near, body[:i])
			}
		}
		m.at.want(t, "of others, and changed")
		inject(elsewhere, near, near, body)
		inject(m.links[1], relay, near, body)
		m.at.want(t, "as it is", "held back")
		time.Sleep(5 * time.Second)
		if p := m.far().Path(mdpconn.Primary, near); p.Endpoint.IsValid() {
			t.Errorf("it has an address now: %+v", p)
		}
		m.wantChat(time.Second, "afterwards")
	})
}

// parsed gives the payloads of a packet, whatever its abbreviations; none of one
// in compact form.
func parsed(data []byte) (pls []overlay.Payload) {
	var p overlay.Packet
	if data[0] == byte(session.Compact) || p.Parse(data, overlay.Context{Resolver: anySID{}}) != nil {
		return nil
	}
	for pl := (overlay.Payload{}); p.Next(&pl); {
		pls = append(pls, pl)
	}
	return pls
}
