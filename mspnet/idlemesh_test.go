package mspnet_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mspnet"
)

// traffic is what all nodes of a mesh send in a minute: packets with link state,
// ticks, questions and challenges for addresses, and packets and bytes in all.
type traffic struct {
	records, ticks, asks, packets, bytes uint64
}

// idleMinute counts a minute in which nobody calls or writes.
func (m *mesh) idleMinute() (t traffic) {
	count := func() (t traffic) {
		synctest.Wait()
		for _, n := range m.nodes {
			s := n.Stats()
			t.records += s.Mesh.RecordsSent
			t.ticks += s.Discovery.TicksSent
			t.asks += s.Discovery.AsksSent + s.Discovery.ChallengesSent
			t.packets += s.Sent.Packets
			t.bytes += s.Sent.Bytes
		}
		return t
	}
	before := count()
	time.Sleep(time.Minute)
	after := count()
	return traffic{
		after.records - before.records, after.ticks - before.ticks, after.asks - before.asks,
		after.packets - before.packets, after.bytes - before.bytes,
	}
}

// listen has every node accept streams.
func (m *mesh) listen() {
	for _, n := range m.nodes {
		ln, err := (&mspnet.ListenConfig{Node: n}).Listen(context.Background(), "msp", ":80")
		if err != nil {
			m.t.Fatal(err)
		}
		m.t.Cleanup(func() { ln.Close() })
		go func() {
			for {
				if _, err := ln.Accept(); err != nil {
					return
				}
			}
		}()
	}
}

// open opens streams, each time between the same nodes, and leaves them open.
func (m *mesh) open(streams int) {
	m.t.Helper()
	k := len(m.nodes)
	for i := range streams {
		from := i % k
		to := (from + 1 + i*7%(k-1)) % k
		c := m.dial(from, mdpconn.Addr{SID: m.ids[to].SID(), Port: 80}.String())
		m.t.Cleanup(func() { c.Close() })
	}
}

// Link state and ticks of an idle mesh are as much with many streams as with none.
// Questions are challenges of neighbours, some for each when streams ask whether
// the other end is there, however many they are; a peer that is reached through
// others, and only idle, is not looked for. Two
// nodes that hear only each other send no link state at all: nothing but the ticks
// of those that announce themselves, two a second (docs/overlay.md §8).
func TestControlTrafficDoesNotGrowWithStreams(t *testing.T) {
	for _, c := range []struct {
		name  string
		k     int
		relay mdpconn.RelayMode
		edges [][2]int
		hard  bool // left out of short tests, and where the race detector makes it minutes
	}{
		{"pair", 2, mdpconn.RelayOn, chain(2), false},
		{"pair that does not relay", 2, mdpconn.RelayOff, chain(2), false},
		{"line of 5", 5, mdpconn.RelayOn, chain(5), false},
		{"grid of 49", 49, mdpconn.RelayOn, grid(7, 7), true},
		{"random graph of 50", 50, mdpconn.RelayOn, randomGraph(50, 4, rand.New(rand.NewPCG(1, 2))), true},
		{"30 that all hear each other", 30, mdpconn.RelayOn, complete(30), true},
	} {
		if c.hard && (testing.Short() || raceEnabled) {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			m := newMesh(t, 0, memnet.Impairment{Delay: time.Millisecond}, nil)
			m.relay = c.relay
			m.add(c.k, c.edges)
			m.listen()
			var sent [3]traffic
			for i := range sent { // with 0, 50 and 100 streams
				if i > 0 {
					m.open(50)
				}
				time.Sleep(time.Minute) // for changes to be told
				s := m.idleMinute()
				per := float64(c.k) * 60
				t.Logf("%s, %d streams: per node and second %.2f packets with link state, %.2f ticks, %.2f questions, %.2f packets and %.0f bytes in all",
					c.name, 50*i, float64(s.records)/per, float64(s.ticks)/per, float64(s.asks)/per, float64(s.packets)/per, float64(s.bytes)/per)
				sent[i] = s
			}
			none := sent[0]
			for i, s := range sent[1:] {
				if a, b := none.records+none.ticks, s.records+s.ticks; b > a+a/20 {
					t.Errorf("%s: %d records and ticks in a minute without streams, %d with %d", c.name, a, b, 50*(i+1))
				}
				if c.k == 2 && s.records > 0 {
					t.Errorf("%s: %d packets with link state with %d streams", c.name, s.records, 50*(i+1))
				}
			}
			if a, b := sent[1].asks, sent[2].asks; b > a+a/10 {
				t.Errorf("%s: %d questions in a minute with 50 streams, %d with 100 between the same nodes", c.name, a, b)
			}
			if most := uint64(6 * len(c.edges)); sent[2].asks > most {
				t.Errorf("%s: %d questions in a minute with 100 idle streams, want %d at most: six per pair of neighbours", c.name, sent[2].asks, most)
			}
			if c.k == 2 && none.packets != none.ticks {
				t.Errorf("%s: not at rest: %+v", c.name, none)
			}
		})
	}
}
