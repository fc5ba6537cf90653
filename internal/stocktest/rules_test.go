package stocktest

import (
	"strings"
	"testing"

	"mesh.example/msp/engine/msp"
	"mesh.example/msp/mdpconn/overlay"
)

// stockOnly are the recorded scenarios in which stock does what it may only do
// towards its kind: it writes the codes of a point-to-point link.
var stockOnly = map[string]int{"point_to_point_link": 33}

// notMSP are datagrams between high ports that are not MSP.
var notMSP = map[int]string{182: "another application's"}

// What stock sent passes the rules, packet by packet: what our node is held to is no
// more than what stock does. Its own repetitions are the one exception.
func TestRulesPassStock(t *testing.T) {
	r := ReadRecord(t)
	passed := 0
	for _, link := range []string{"A-B", "B-C", "N-B"} {
		ends := map[string]*Rules{}
		for _, name := range strings.Split(link, "-") {
			ends[name] = NewRules(r.Identities[name], r.all()...)
			for _, sid := range r.sids() {
				ends[name].learn(sid)
			}
		}
		for _, p := range r.Packets {
			if p.Link != link || stockOnly[p.Scenario] > 0 {
				continue
			}
			for name, rules := range ends {
				if name == p.From {
					continue
				}
				_, heard, err := rules.Packet(p.Data, !p.Broadcast)
				if err != nil && notMSP[p.N] == "" {
					t.Errorf("packet %d of %s: %v", p.N, p.Scenario, err)
				}
				for i := range heard {
					ends[p.From].Sent(&heard[i])
				}
			}
			passed++
		}
	}
	if want := len(r.Packets) - 33; passed != want {
		t.Errorf("%d packets were judged, want %d", passed, want)
	}
	t.Logf("%d of %d recorded packets were judged", passed, len(r.Packets))
}

// each sentence of the rules, broken once.
func TestRulesRefuse(t *testing.T) {
	r := ReadRecord(t)
	a, b := r.Identities["A"], r.Identities["B"]
	sidA, sidB := overlay.SID(a.SID()), overlay.SID(b.SID())
	key, err := a.SharedKey(b.SID())
	if err != nil {
		t.Fatal(err)
	}
	full := func(sid overlay.SID) []byte { return append([]byte{32}, sid[:]...) }
	head := func(flags byte, more ...byte) []byte {
		return append(append(append([]byte{1, 1}, full(sidA)...), flags), more...)
	}
	payload := func(flags byte, seq byte, body ...byte) []byte {
		p := append([]byte{flags | 0x05}, full(sidB)...)
		return append(append(p, seq, byte(len(body)>>8), byte(len(body))), body...)
	}
	nonce := byte(0)
	sealed := func(ports overlay.Ports, data string) []byte {
		nonce++
		plain, _ := overlay.AppendPorts(nil, ports)
		body, err := overlay.SealBody(nil, key, &[24]byte{nonce}, append(plain, data...))
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	stream := overlay.Ports{Destination: 512, Source: 259}
	packet := func(p msp.Packet) []byte {
		return append(head(1), payload(0x30, nonce+1, sealed(stream, string(msp.AppendPacket(nil, p)))...)...)
	}
	first := packet(msp.Packet{Kind: msp.KindMessage, Flags: msp.FlagFirst, Ack: 0xffff, Payload: []byte("x")})
	links := func(body ...byte) []byte { return append(head(1), payload(0, 9, append([]byte{5}, body...)...)...) }
	twice := func(b []byte) [][]byte { return [][]byte{b, b} }
	one := func(b []byte) [][]byte { return [][]byte{b} }
	big := make([]byte, 1200)
	for _, c := range []struct {
		why     string
		packets [][]byte // of which the last is refused
	}{
		{"version 2", one([]byte{2, 1, 2, 0x23, 0x45, 0})},
		{"code 0x00", one([]byte{0, 1, 0, 0})},
		{"stock would have to ask", one([]byte{0, 1, 2, 0x23, 0x45, 1})},
		{"the sender is the receiver", one(append(append([]byte{0, 1}, full(sidB)...), 1))},
		{"packet flags", one(head(0x81))},
		{"but sent to one", one(head(0))},
		{"interface 0", one(head(3, 0))},
		{"came before", twice(head(5, 7))},
		{"are missing", [][]byte{head(5, 7), head(5, 40)}},
		{"payload flags", one(append(head(1), payload(0x08, 1, 5, 1)...))},
		{"goes with signed", one(append(head(1), payload(0x10, 1, 5, 1)...))},
		{"for two payloads", [][]byte{append(head(1), payload(0, 1, 0x0e, 0x83, 2, 1)...), append(head(1), payload(0, 1, 0x0e, 0x83, 2, 2)...)}},
		{"1200 bytes", one(append(head(1), payload(0, 1, big...)...))},
		{"payload type", one(append(head(1), append(append([]byte{0x85}, full(sidB)...), 0x50, 1, 0, 0)...))},
		{"payloads in version 0", one(append(append([]byte{0, 1}, full(sidA)...), append(append([]byte{1, 0x85}, full(sidB)...), 0x60, 0, 0)...))},
		{"without data", one(append(head(1), payload(0, 1, 0x80, 8, 0x83, 2)...))},
		{"unicast that is plain", one(append(head(1), payload(0, 1, 0x80, 8, 0x83, 2, 1)...))},
		{"more bytes than needed", one(append(head(1), payload(0, 1, 0x8e, 0, 0x83, 2, 1)...))},
		{"a key map that is not ciphered", one(append(head(1), payload(0, 1, 3, 2)...))},
		{"an echo request", [][]byte{head(1), append(append([]byte{1, 1, 1, sidA[0], 1, 5, 1, sidB[0], 1, 1160 >> 8, 1160 & 0xff}, 0x0e, 0x83, 2), big[:1157]...)}},
		{"past the end", one(links(200, 0, 0xff, 1, 0xff))},
		{"flags", one(links(5, 0x40, 0xff, 1, 0xff))},
		{"version", one(links(5, 0, 0xff, 200, 0xff))},
		{"interface", one(links(6, 1, 0xff, 1, 0xff, 16))},
		{"without records", one(links(0))},
		{"flags that stock does not know", one(packet(msp.Packet{Kind: msp.KindAck, Flags: 0x24, Ack: 0xffff}))},
		{"a STOP is 1 byte", one(packet(msp.Packet{Kind: msp.KindAck, Flags: msp.FlagStop, Ack: 0xffff}))},
		{"an ack field without ACK", one(packet(msp.Packet{Kind: msp.KindAck, Flags: msp.FlagFirst}))},
		{"FIRST from one", one(packet(msp.Packet{Kind: msp.KindAck, Flags: msp.FlagFirst | msp.FlagAck}))},
		{"the newest sent is -1", one(packet(msp.Packet{Kind: msp.KindAck, Flags: msp.FlagAck}))},
		{"without bytes", one(packet(msp.Packet{Kind: msp.KindMessage, Ack: 0xffff}))},
		{"message 1 is the next", [][]byte{first, packet(msp.Packet{Kind: msp.KindMessage, Ack: 0xffff, Seq: 2, Payload: []byte("y")})}},
		{"same number for two messages", [][]byte{first, packet(msp.Packet{Kind: msp.KindMessage, Ack: 0xffff, Payload: []byte("y")})}},
	} {
		rules := NewRules(b, r.all()...)
		rules.Lossless = true
		for i, data := range c.packets {
			_, _, err := rules.Packet(data, true)
			if last := i == len(c.packets)-1; !last && err != nil || last && (err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(c.why))) {
				t.Errorf("%s: packet %d gives %v", c.why, i, err)
			}
		}
	}
}
