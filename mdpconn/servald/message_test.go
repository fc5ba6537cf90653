package servald

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"mesh.example/msp/mdpconn/mdptest"
)

var (
	sidA = SID{0: 0xa1, 31: 0x0a}
	sidB = SID{0: 0xb1, 31: 0x0b}
)

func TestParseShort(t *testing.T) {
	whole := (&Message{LocalSID: sidA, RemoteSID: sidB}).AppendAny(nil)
	if len(whole) != HeaderLen {
		t.Fatalf("a header of %d bytes, want %d", len(whole), HeaderLen)
	}
	for n := range whole {
		if _, err := Parse(whole[:n]); err == nil {
			t.Errorf("%d bytes were decoded, want an error", n)
		}
	}
	if _, err := Parse(whole); err != nil {
		t.Error(err)
	}
}

func TestAppendRefuses(t *testing.T) {
	data := Message{LocalSID: sidA, LocalPort: 1000, RemoteSID: sidB, RemotePort: 2000, Payload: []byte("x")}
	command := Message{RemotePort: CommandSearch}
	for _, c := range []struct {
		why    string
		from   Message
		change func(m *Message)
		want   string
	}{
		{"§5: the daemon that delivers it terminates", data, func(m *Message) { m.Payload = nil }, "without data"},
		{"§5: also with BIND", data, func(m *Message) { m.Payload, m.Flags = nil, Bind }, "without data"},
		{"§5: also with CLOSE", data, func(m *Message) { m.Payload, m.Flags = nil, Close }, "without data"},
		{"§5: also a broadcast", data, func(m *Message) { m.Payload, m.RemoteSID, m.Flags = nil, Broadcast, NoCrypt }, "without data"},
		{"§3: kills the daemon", data, func(m *Message) { m.Queue = 5 }, "queue 5"},
		{"§3: kills the daemon", command, func(m *Message) { m.Queue = 255 }, "queue 255"},
		{"§5: the local daemon terminates", data, func(m *Message) { m.Payload = make([]byte, MaxPayload+1) }, "1061 bytes"},
		{"§5", command, func(m *Message) { m.Payload = make([]byte, MaxPayload+1) }, "1061 bytes"},
		{"§7: overlay packets of any content", command, func(m *Message) { m.RemotePort = CommandPackets }, "command 4"},
		{"§7: refused", command, func(m *Message) { m.RemotePort = 99 }, "command 99"},
		{"§3: refused", data, func(m *Message) { m.TTL = 32 }, "TTL 32"},
		{"§3: refused", data, func(m *Message) { m.Flags = NoSign }, "signed"},
		{"§5: refused", data, func(m *Message) { m.RemoteSID = Broadcast }, "broadcast"},
		{"§4.1: refused", data, func(m *Message) { m.LocalSID = Broadcast }, "from the SID FFFF"},
		{"§4.1: refused", data, func(m *Message) { m.LocalSID = Internal }, "from the SID 0000"},
		{"§3: no address", data, func(m *Message) { m.RemoteSID = Internal }, "to the SID 0000"},
		{"§3: the daemon's", data, func(m *Message) { m.Flags = Error }, "flags ERROR"},
		{"§3: unknown", data, func(m *Message) { m.Flags = 0x40 }, "flags 0x40"},
		{"§5: refused", data, func(m *Message) { m.LocalPort = 0 }, "port 0"},
		{"§5", data, func(m *Message) { m.RemotePort = 0 }, "remote port 0"},
		{"31 bits", data, func(m *Message) { m.RemotePort = 1 << 31 }, "remote port"},
		{"31 bits", data, func(m *Message) { m.LocalPort = 1 << 31 }, "local port"},
	} {
		m := c.from
		c.change(&m)
		b, err := m.Append([]byte("before"))
		if err == nil || !strings.Contains(err.Error(), c.want) || string(b) != "before" {
			t.Errorf("%s: %v gave %q, %v, want an error with %q", c.why, &m, b, err, c.want)
		}
	}
}

// ends tells whether a datagram from a client would end a stock daemon, here or
// where it is delivered, by §5 and docs/overlay.md §11, read as a daemon reads
// it: without the codec's help.
func ends(b []byte) string {
	switch {
	case len(b) < 75:
		return ""
	case b[73] >= 5:
		return "a queue of 5 or more"
	case len(b)-75 > 1060:
		return "a long payload"
	}
	if bytes.Equal(b[36:68], make([]byte, 32)) {
		port := uint32(b[68]) | uint32(b[69])<<8 | uint32(b[70])<<16 | uint32(b[71])<<24
		if port == 4 {
			return "overlay packets of a client's own"
		}
		return ""
	}
	if len(b) == 75 {
		return "a data message without data"
	}
	if bytes.Equal(b[36:68], bytes.Repeat([]byte{0xff}, 32)) && b[72]&1 == 0 {
		return "an enciphered broadcast"
	}
	return ""
}

// Whatever Append is asked for, nothing comes out that ends a daemon.
func TestAppendEndsNoDaemon(t *testing.T) {
	sids := []SID{Any, Internal, Broadcast, sidA, sidB}
	ports := []uint32{0, 1, 2, 3, 4, 5, 6, 7, 99, 1 << 30, 1<<31 - 1, 1 << 31, 1<<32 - 1}
	lengths := []int{0, 1, 5, 1029, 1059, 1060, 1061, 1140, 1157, 1197, 1200, 1400, 2000}
	payload := make([]byte, 2000)
	rng := rand.New(rand.NewPCG(1, 2))
	sent := 0
	for i := range 100_000 {
		m := Message{
			LocalSID: sids[rng.IntN(len(sids))], LocalPort: ports[rng.IntN(len(ports))],
			RemoteSID: sids[rng.IntN(len(sids))], RemotePort: ports[rng.IntN(len(ports))],
			Flags: Flags(rng.IntN(256)), Queue: byte(rng.IntN(8)), TTL: byte(rng.IntN(40)),
			Payload: payload[:lengths[rng.IntN(len(lengths))]],
		}
		if i%4 > 0 {
			m.Flags &= NoCrypt | NoSign | Bind | Close
		}
		if i%2 > 0 {
			m.Queue &= 3
		}
		b, err := m.Append(nil)
		if err != nil {
			continue
		}
		sent++
		if why := ends(b); why != "" {
			t.Fatalf("%v was encoded: %s", &m, why)
		}
	}
	if sent < 100 {
		t.Errorf("only %d messages were encoded", sent)
	}
}

func TestMessageText(t *testing.T) {
	m := Message{LocalSID: sidA, LocalPort: 1, RemoteSID: sidB, RemotePort: 2, Flags: Bind | Reuse | 0x80, Payload: []byte("x")}
	if got, want := m.String(), "A1000000…:1 ↔ B1000000…:2 BIND|REUSE|0x80 queue=0 ttl=0 len=1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzMessage(f *testing.F) {
	eachVector(f, func(_ string, d *vecDatagram) { f.Add(d.bytes(f)) })
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		if again := m.AppendAny(nil); !bytes.Equal(again, b) {
			t.Fatalf("encoded again\n%x, want\n%x", again, b)
		}
		_ = m.String()
		if sent, err := m.Append(nil); err == nil && ends(sent) != "" {
			t.Fatalf("%v was encoded: %s", &m, ends(sent))
		} else if err == nil && mdptest.CheckMessage(sent) != nil {
			t.Fatalf("%v was encoded: %v", &m, mdptest.CheckMessage(sent))
		}
	})
}
