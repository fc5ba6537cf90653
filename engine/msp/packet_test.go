package msp

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
	"time"
)

// Packets in their bytes and decoded: [MSP-2.1], [MSP-2.6], [MSP-2.7]; the
// lengths of [MSP-2.2].
var packetVectors = []struct {
	name, hex string
	packet    Packet
	canonical bool // what AppendPacket makes of it
}{
	{"stop", "08", Packet{Flags: FlagStop}, true},
	{"flags only, two bytes", "00aa", Packet{}, false},
	{"opening", "04ffff", Packet{Kind: KindAck, Flags: FlagFirst, Ack: 0xffff}, true},
	{"ack", "023412", Packet{Kind: KindAck, Flags: FlagAck, Ack: 0x1234}, true},
	{"ack with a fourth byte", "02341299", Packet{Kind: KindAck, Flags: FlagAck, Ack: 0x1234}, false},
	{"first message", "04ffff0000686921",
		Packet{Kind: KindMessage, Flags: FlagFirst, Ack: 0xffff, Payload: []byte("hi!")}, true},
	{"message", "02feff0180ff", Packet{Kind: KindMessage, Flags: FlagAck, Ack: 0xfffe, Seq: 0x8001, Payload: []byte{0xff}}, true},
	{"bare SHUTDOWN", "03050007 00", Packet{Kind: KindMessage, Flags: FlagAck | FlagShutdown, Ack: 5, Seq: 7}, true},
	{"unknown flags", "f2000000 00", Packet{Kind: KindMessage, Flags: 0xf0 | FlagAck}, true},
}

func TestPacketVectors(t *testing.T) {
	for _, v := range packetVectors {
		b := unhex(t, v.hex)
		got, err := ParsePacket(b)
		if err != nil || !samePacket(got, v.packet) {
			t.Errorf("%s: ParsePacket(%x) = %v %v, want %v", v.name, b, got, err, v.packet)
		}
		if enc := AppendPacket([]byte("x"), v.packet); v.canonical && !bytes.Equal(enc[1:], b) {
			t.Errorf("%s: AppendPacket(%v) = %x, want %x", v.name, v.packet, enc[1:], b)
		}
	}
}

// TestPacketTruncations cuts a message packet at every length: only the length
// decides which fields there are, and only the empty packet is malformed, [MSP-2.3].
func TestPacketTruncations(t *testing.T) {
	whole := unhex(t, "02341278563132")
	for n := range len(whole) + 1 {
		p, err := ParsePacket(whole[:n])
		if (err != nil) != (n == 0) {
			t.Errorf("%d bytes: error %v", n, err)
		}
		want := Packet{}
		switch {
		case n >= 5:
			want = Packet{KindMessage, FlagAck, 0x1234, 0x5678, whole[5:n]}
		case n >= 3:
			want = Packet{Kind: KindAck, Flags: FlagAck, Ack: 0x1234}
		case n >= 1:
			want = Packet{Flags: FlagAck}
		}
		if !samePacket(p, want) {
			t.Errorf("%d bytes: got %v, want %v", n, p, want)
		}
	}
}

// TestRecordedPackets decodes every MSP packet of the recorded exchanges of
// stock nodes to the recorded fields, and encodes it to the same bytes again.
func TestRecordedPackets(t *testing.T) {
	b, err := os.ReadFile("testdata/packets.json")
	if err != nil {
		t.Fatal(err)
	}
	var records []struct {
		Scenario, Hex, Payload string
		Flags                  Flags
		Ack, Seq               *Seq
	}
	if err := json.Unmarshal(b, &records); err != nil {
		t.Fatal(err)
	}
	if len(records) != 86 {
		t.Errorf("%d packets, want 86", len(records))
	}
	for i, r := range records {
		raw := unhex(t, r.Hex)
		want := Packet{Flags: r.Flags, Payload: unhex(t, r.Payload)}
		if r.Ack != nil {
			want.Kind, want.Ack = KindAck, *r.Ack
		}
		if r.Seq != nil {
			want.Kind, want.Seq = KindMessage, *r.Seq
		}
		got, err := ParsePacket(raw)
		if err != nil || !samePacket(got, want) {
			t.Errorf("%d, %s: ParsePacket(%s) = %v %v, want %v", i, r.Scenario, r.Hex, got, err, want)
		}
		if enc := AppendPacket(nil, got); !bytes.Equal(enc, raw) {
			t.Errorf("%d, %s: encoded %x, want %s", i, r.Scenario, enc, r.Hex)
		}
	}
}

// TestEncode is about the second encoder, which writes in front of a queued message.
func TestEncode(t *testing.T) {
	m := outMessage{buf: append(make([]byte, HeaderLen), "abc"...), shutdown: true}
	got := m.encode(FlagAck, 0x1234, 0xabcd)
	want := AppendPacket(nil, Packet{KindMessage, FlagAck | FlagShutdown, 0x1234, 0xabcd, []byte("abc")})
	if !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

// TestPacketString: a log line that is wrong costs hours.
func TestPacketString(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Packet{Flags: FlagStop}.String(), "STOP"},
		{Packet{}.String(), "0"},
		{Packet{Kind: KindAck, Flags: FlagFirst | 0x30, Ack: noAck}.String(), "FIRST|EXT|0x20 ack=65535"},
		{Packet{KindMessage, FlagAck | FlagShutdown, 3, 4, []byte("ab")}.String(), "SHUTDOWN|ACK ack=3 seq=4 len=2"},
		{(Listening | Closed | Stopped).String(), "LISTENING|CLOSED|STOPPED"},
		{State(0).String(), "0"},
		{TimedOut.String(), "timed out"},
		{(&MessageSizeError{1025, 1024}).Error(), "msp: message of 1025 bytes, at most 1024 fit"},
		{addr('A', 7).String(), "41000000…:7"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// TestSeq: [MSP-3.1] numbers wrap at 2^16, [MSP-3.2] and compare by the sign of
// their 16-bit difference.
func TestSeq(t *testing.T) {
	for _, c := range []struct {
		a, b Seq
		diff int
	}{
		{0, 0, 0}, {1, 0, 1}, {0, 1, -1}, {0, 0xffff, 1}, {0xffff, 0, -1}, {5, 0xfff0, 21},
		{0x7fff, 0, 0x7fff}, {0x8000, 0, -0x8000}, {0x8001, 0, -0x7fff},
	} {
		if got := c.a.sub(c.b); got != c.diff {
			t.Errorf("%d - %d = %d, want %d", c.a, c.b, got, c.diff)
		}
		if got := c.b.add(c.diff); got != c.a {
			t.Errorf("%d + %d = %d, want %d", c.b, c.diff, got, c.a)
		}
	}
}

// TestEmptyPacket: [MSP-2.3] "A packet of length 0 MUST be dropped without any effect."
func TestEmptyPacket(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.advance(time.Second)
		h.skip()
		heard := h.c.idle.lastHeard
		h.writeRaw()
		h.mux.InputUnbound(h.now, h.local, h.remote, nil, true)
		h.turn()
		h.wantIdle("an empty packet is not answered")
		if h.c.idle.lastHeard != heard {
			t.Error("it proved that the peer is alive")
		}
		if s := h.mux.Stats(); s.Malformed != 2 || s.Unknown != 0 {
			t.Errorf("%d malformed, %d unknown, want 2 and 0", s.Malformed, s.Unknown)
		}
		h.mux.Input(h.now, h.local, addr('X', 1), nil)
		h.turn()
		h.wantIdle("nor is one of an unknown connection")
	})
}

// TestStopAtAnyLength: [MSP-2.4] a packet with STOP is an abort at any length, and
// nothing else in it is read.
func TestStopAtAnyLength(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 9} {
		established(t, func(t *testing.T, h *harness) {
			h.send("hello")
			h.skip()
			p := AppendPacket(nil, h.msg(FlagStop|FlagAck|FlagFirst|FlagShutdown, 0, 0, "data"))
			h.writeRaw(p[:n]...)
			h.wantCause("STOP aborts", Reset)
			h.wantGot("its message is not read")
			if h.c.Flushed() {
				t.Error("its ack was read")
			}
			h.wantIdle("STOP is not answered")
		})
	}
}

// TestShortPackets: [MSP-2.5] a packet of 1 or 2 bytes without STOP says only that
// the peer is alive.
func TestShortPackets(t *testing.T) {
	for _, b := range [][]byte{{0}, {byte(FlagFirst)}, {byte(FlagAck | FlagShutdown), 0}, {0xf0, 0xff}} {
		established(t, func(t *testing.T, h *harness) {
			h.send("hello")
			h.wantPacket("the message", h.msg(0, 0, 0, "hello"))
			h.advance(9 * time.Second)
			h.skip()
			h.writeRaw(b...)
			h.wantIdle("it is not answered")
			if h.c.Flushed() || h.c.EOF() {
				t.Error("its flags were read")
			}
			h.advance(9 * time.Second)
			h.wantCause("it proved that the peer is alive", Open)
			h.advance(time.Second)
			h.wantCause("…at that time", TimedOut)
		})
	}
}

// TestIgnoredParts: [MSP-2.6] the fourth byte and [MSP-2.8] the bits 0x10 to 0x80
// "MUST be ignored", [MSP-2.9] as SHUTDOWN is without a seq field.
func TestIgnoredParts(t *testing.T) {
	established(t, func(t *testing.T, h *harness) {
		h.send("a", "b")
		h.skip()
		h.writeRaw(append(AppendPacket(nil, h.ack(FlagAck|FlagShutdown|0xf0, 0)), 0x77)...)
		if len(h.c.snd.queue) != 1 {
			t.Errorf("an ack with a fourth byte and unknown flags was not taken: %+v", h.c.Stats())
		}
		if h.c.EOF() {
			t.Error("SHUTDOWN without seq was taken")
		}
		h.write(h.msg(FlagAck|0xf0, 1, 0, "x"))
		h.wantPacket("unknown flags are not sent back", h.ack(FlagAck, 0))
		h.wantGot("a message with unknown flags is taken", "x")
	})
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(s), []byte(" "), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func samePacket(a, b Packet) bool {
	return a.Kind == b.Kind && a.Flags == b.Flags && a.Ack == b.Ack && a.Seq == b.Seq && bytes.Equal(a.Payload, b.Payload)
}

// FuzzPacket: no bytes but none are malformed; what was parsed is encoded to the
// same bytes, but for those that the protocol ignores.
func FuzzPacket(f *testing.F) {
	for _, v := range packetVectors {
		b, _ := hex.DecodeString(string(bytes.ReplaceAll([]byte(v.hex), []byte(" "), nil)))
		f.Add(b)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePacket(b)
		if (err != nil) != (len(b) == 0) {
			t.Fatalf("%x: error %v", b, err)
		}
		if err != nil {
			return
		}
		enc := AppendPacket(nil, p)
		used := map[Kind]int{KindFlags: 1, KindAck: ackLen, KindMessage: len(b)}[p.Kind]
		if !bytes.Equal(enc, b[:used]) {
			t.Fatalf("%x: encoded %x", b, enc)
		}
		again, err := ParsePacket(enc)
		if err != nil || !samePacket(again, p) || again.String() != p.String() {
			t.Fatalf("%x: parsed again %v %v, want %v", b, again, err, p)
		}
	})
}
