package mdpconn_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
)

// Bounds that docs/security.md states, of what a node sends to an address that
// has proven nothing.
const (
	amplification = 16        // bytes sent for each that came, of one packet
	echoed        = 3         // the same, of any number that are enciphered
	reflected     = 80 * 1000 // bytes per second, whatever else comes
	served        = 42        // bytes for each of one question for services, which draws eight answers
	servedRate    = 82 * 1000 // bytes per second, when questions for services come
	floodOf       = 1000
)

// provocations are packets that draw an answer. The address they come from need
// not be the sender's.
func provocations(t *testing.T, target mdpconn.SID) map[string]func(i int) []byte {
	ids := make([]*mdpconn.Identity, 8)
	for i := range ids {
		ids[i] = identity(t)
	}
	// explain asks, in the name of a SID.
	explain := func(sid mdpconn.SID, prefixes ...[]byte) []byte {
		var body []byte
		for _, p := range prefixes {
			body, _ = overlay.AppendExplainItem(body, overlay.ExplainItem{Kind: overlay.AskPrefix, Prefix: p})
		}
		return packet(t, sid, overlay.Payload{
			Flags: overlay.OneHop | overlay.ToBroadcast, Type: overlay.TypeExplain, Body: body,
		})
	}
	request := func(i int, to uint32, data string) []byte {
		id := ids[i%len(ids)]
		key, _ := id.SharedKey(target)
		return packet(t, id.SID(), sealed(t, key, target, overlay.Ports{Destination: to, Source: 99}, data))
	}
	fresh := func(i int) mdpconn.SID { return mdpconn.SID{byte(i), byte(i >> 8), 7, 31: 1} }
	// services asks for services, in the name of a SID.
	services := func(sid mdpconn.SID, flags overlay.PayloadFlags, question string) []byte {
		body, _ := overlay.AppendPorts(nil, overlay.Ports{Destination: 11, Source: 99})
		return packet(t, sid, overlay.Payload{
			Flags: overlay.OneHop | flags, Destination: overlay.To(overlay.SID(target)), Type: overlay.TypeData, Body: append(body, question...),
		})
	}
	many := make([][]byte, 16)
	for i := range many {
		many[i] = target[:1+i]
	}
	return map[string]func(i int) []byte{
		"a tick of two bytes":         func(i int) []byte { return []byte{0, 1, 2, byte(i), byte(i >> 8), 0} },
		"a tick":                      func(i int) []byte { return tickOf(fresh(i)) },
		"a question":                  func(i int) []byte { return explain(fresh(i), target[:1]) },
		"many questions at once":      func(i int) []byte { return explain(fresh(i), many...) },
		"a question about 1 byte":     func(i int) []byte { return explain(fresh(i), []byte{byte(i)}) },
		"short echo":                  func(i int) []byte { return shortened(request(i, 7, "x")) },
		"echo":                        func(i int) []byte { return request(i, 7, "x") },
		"long echo":                   func(i int) []byte { return request(i, 7, strings.Repeat("x", 1000)) },
		"a request for the sign key":  func(i int) []byte { return request(i, 1, "\x02") },
		"a datagram for a bound port": func(i int) []byte { return request(i, 1000, "x") },
		"for services":                func(i int) []byte { return services(fresh(i), 0, "?") },
		"to all, for services":        func(i int) []byte { return services(fresh(i), overlay.ToBroadcast, "?") },
		"enciphered, for services":    func(i int) []byte { return request(i, 11, "?") },
	}
}

// shortened abbreviates both SIDs of a packet of one payload.
func shortened(b []byte) []byte {
	short := append([]byte{1, 1, 2}, b[3:5]...)
	rest := b[3+32:] // packet flags, payload flags, destination
	short = append(append(short, rest[:2]...), 2)
	return append(append(short, rest[3:5]...), rest[3+32:]...)
}

// What comes from an address that has proven nothing draws few bytes to it, in
// proportion to one packet, and in a second to any number of them.
func TestAmplification(t *testing.T) {
	names := provocations(t, identity(t).SID())
	for name := range names {
		var one, drawn, flood int
		synctest.Test(t, func(t *testing.T) { one, drawn, flood = provoke(t, name) })
		t.Logf("%s: %d bytes drew %d, %.1f times; %d in a second drew %d", name, one, drawn, float64(drawn)/float64(one), floodOf, flood)
		most, limit := amplification, reflected
		if strings.HasSuffix(name, "for services") {
			most, limit = served, servedRate
		}
		if strings.HasSuffix(name, "echo") {
			limit += echoed * one * floodOf
		}
		if drawn > most*one || flood > limit {
			t.Errorf("%s: %d bytes drew %d, want at most %d times as many; a second of them %d, want at most %d",
				name, one, drawn, most, flood, limit)
		}
	}
}

// provoke sends one packet, and then floodOf within a second, and gives the size of
// the one, and the bytes that it and the others drew.
func provoke(t *testing.T, name string) (one, drawn, flood int) {
	var sent atomic.Int64
	network := memnet.New(memnet.Config{})
	n, l := newRelay(t, network, mdpconn.Config{Announce: mdpconn.AnnounceAlways})
	bind(t, n, mdpconn.Addr{Port: 1000})
	for i := range 9 { // one more than is told to one question
		register(t, n, strings.Repeat("x", 63), mdpconn.Port(1<<28+i))
	}
	victim, err := network.Listen(eve(1))
	if err != nil {
		t.Fatal(err)
	}
	defer victim.Close()
	defer network.Tap(func(e memnet.Event) {
		if e.To == eve(1) && e.Fate == memnet.Passed {
			sent.Add(int64(len(e.Data)))
		}
	})()
	all := provocations(t, n.Primary())
	next := all[name]
	time.Sleep(time.Second)
	if name == "short echo" { // its senders have to be known
		for i := range 8 {
			network.Inject(eve(2), l.LocalAddr(), all["echo"](i))
		}
		time.Sleep(time.Second)
	}
	b := next(0)
	network.Inject(eve(1), l.LocalAddr(), b)
	time.Sleep(10 * time.Second)
	one, drawn = len(b), int(sent.Load())
	for i := range floodOf {
		network.Inject(eve(1), l.LocalAddr(), next(1+i))
		time.Sleep(time.Millisecond)
	}
	synctest.Wait()
	return one, drawn, int(sent.Load()) - drawn
}
