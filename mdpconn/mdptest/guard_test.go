package mdptest

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// from is an envelope with a sender of two bytes, flags follow.
func from(rest ...byte) []byte { return append([]byte{1, 1, 2, 0xaa, 0xbb}, rest...) }

// data is a packet with a plain payload for one hop.
func data(body ...byte) []byte {
	b := from(0x01, 0x05, 1, 0xcc, 9)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

func zeros(n int) []byte { return make([]byte, n) }

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// Everything that ends a stock daemon is seen, and what is much like it but
// harmless is let pass.
func TestCheckPacket(t *testing.T) {
	for _, c := range []struct {
		why    string
		packet []byte
		want   string // in the error; "" for none
	}{
		{"a tick", from(0), ""},
		{"all that an envelope may have", from(0x07, 15, 0xff), ""},
		{"interface 16", from(0x02, 16), "interface 16"},
		{"no interface after all", from(0x02, 0), "interface 0"},
		{"ends with the sender", from(), "ends with the sender"},
		{"sender of code 0", []byte{1, 1, 0, 0}, "code 0"},
		{"sender of code 33", []byte{1, 1, 33, 0}, "code 0x21"},
		{"sender is cut off", []byte{1, 1, 32, 1, 2, 3}, "cut off"},
		{"sender is BROADCAST", join([]byte{1, 1, 32}, []byte(strings.Repeat("\xff", 32)), []byte{0}), "no SID"},
		{"SELF as sender", []byte{1, 1, 0xff, 0}, "code 0xff"},
		{"version 2", []byte{2, 1, 1, 1, 0}, "version 2"},
		{"encapsulation 3", []byte{1, 3, 1, 1, 0}, "encapsulation 3"},
		{"unknown packet flags", from(0x08), "packet flags"},
		{"data", data(0x0e, 0x09, 'x'), ""},
		{"data without data", data(0x0e, 0x09), "without data"},
		{"ports are cut off", data(0x80), "cut off"},
		{"to port 0", data(0x00, 0x09, 'x'), "port 0"},
		{"destination of code 0", from(0, 0x05, 0, 9, 0, 3, 0x0e, 9, 'x'), "destination: address with code 0"},
		{"next hop of code 0", from(0, 0x01, 1, 0xcc, 0, 0x3f, 9, 0, 3, 0x0e, 9, 'x'), "next hop: address with code 0"},
		{"source of code 0", from(0, 0x04, 0, 1, 0xcc, 9, 0, 3, 0x0e, 9, 'x'), "source: address with code 0"},
		{"two payloads, the second bad", join(data(0x0e, 0x09, 'x'), []byte{0x05, 0, 9, 0, 3, 0x0e, 9, 'x'}), "code 0"},
		{"TTL 0", from(0, 0x01, 1, 0xcc, 1, 0xdd, 0x20, 9, 0, 3, 0x0e, 9, 'x'), "TTL"},
		{"an enciphered broadcast", from(0, 0x37, 9, 0, 50), "enciphered broadcast"},
		{"a signed broadcast", join(from(0, 0x27, 9, 0, 67, 0x0e, 9, 'x'), zeros(64)), ""},
		{"signed without data", join(from(0, 0x27, 9, 0, 66, 0x0e, 9), zeros(64)), "without data"},
		{"CIPHERED alone", from(0, 0x15, 1, 0xcc, 9, 0, 0), "without SIGNED"},
		{"enciphered", join(from(0, 0x35, 1, 0xcc, 9, 0, 43), zeros(43)), ""},
		{"enciphered, too short for data", join(from(0, 0x35, 1, 0xcc, 9, 0, 41), zeros(41)), "without data"},
		{"top bit of the nonce", join(from(0, 0x35, 1, 0xcc, 9, 0, 43, 0x81), zeros(42)), "nonce"},
		{"under session keys", join(from(0, 0x35, 1, 0xcc, 9, 0, 24, 0x80), zeros(23)), ""},
		{"under session keys, too short", join(from(0, 0x35, 1, 0xcc, 9, 0, 23, 0x80), zeros(22)), "without data"},
		{"flag 0x08", from(0, 0x0d, 1, 0xcc, 9, 0, 0), "0x08"},
		{"body runs past the end", from(0, 0x05, 1, 0xcc, 9, 0, 4, 0x0e, 9, 'x'), "cut off"},
		{"SINGLE", []byte{1, 2, 1, 0xaa, 0, 0x05, 1, 0xcc, 9, 0x0e, 9, 'x'}, ""},
		{"version 0 has no numbers", []byte{0, 1, 1, 0xaa, 0, 0x05, 1, 0xcc, 0, 3, 0x0e, 9, 'x'}, ""},
		{"1199 bytes of body are too much for a packet, no more", join([]byte{1, 2, 1, 0xaa, 0, 0x85, 1, 0xcc, 0x50, 9}, zeros(1199)), "packet of 1209"},
		{"1200 bytes of body", join([]byte{1, 2, 1, 0xaa, 0, 0x05, 1, 0xcc, 9, 0x0e, 9}, zeros(1198)), "body of 1200"},
		{"a record", data(5, 0x0c, 0x19, 0xff, 1, 1, 0x62, 0, 4, 0, 0, 0, 7), ""},
		{"a record that is longer than the body", data(5, 0x0d, 0x19, 0xff, 1, 1, 0x62, 0, 4, 0, 0, 0, 7), "12 are left"},
		{"the same, the second one", data(5, 4, 0x02, 0xff, 1, 5, 0x02, 0xff, 1), "ends a daemon"},
		{"a record with code 0", data(5, 7, 0x20, 0, 2, 0xff, 0, 0), "code 0"},
		{"interface 16 in a record", data(5, 0x0c, 0x19, 0xff, 1, 1, 0x62, 16, 4, 0, 0, 0, 7), "interface 16"},
		{"version 128 in a record", data(5, 4, 0x02, 0xff, 128), "version 128"},
		{"version 255 without a path", data(5, 4, 0x02, 0xff, 255), ""},
		{"an unfinished list behind its end", data(5, 4, 0x02, 0xff, 1, 0, 99), ""},
		{"a trace with code 0", data(0x11, 1, 0xaa, 0), "code 0"},
		{"STUN with code 0", data(0x0b, 0, 1, 2, 3, 4, 5, 6), "code 0"},
		{"STUN", data(0x0b, 1, 0xaa, 1, 2, 3, 4, 5, 6), ""},
		{"echo", data(join([]byte{0x0e, 9}, zeros(1157))...), ""},
		{"echo whose answer is 1200 bytes", data(join([]byte{0x0e, 9}, zeros(1158))...), "the answer of 1200"},
		{"an explain", from(0, 0x87, 0x60, 9, 0, 4, 2, 0xaa, 0xbb, 0xfd), ""},
		{"an empty explain", from(0, 0x87, 0x60, 9, 0, 0), ""},
		{"an explain with code 0", from(0, 0x87, 0x60, 9, 0, 1, 0), "code 0"},
		{"an explain with SELF", from(0, 0x87, 0x60, 9, 0, 1, 0xff), "item 0xff"},
	} {
		err := CheckPacket(c.packet, nil)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", c.why, err, c.want)
		}
	}
}

// What is enciphered is checked too, by who has the key.
func TestCheckPacketOpens(t *testing.T) {
	packet := join(from(0, 0x35, 1, 0xcc, 9, 0, 43), zeros(43))
	open := func(plain ...byte) func([]byte) ([]byte, bool) {
		return func([]byte) ([]byte, bool) { return plain, true }
	}
	if err := CheckPacket(packet, open(0x0e, 9, 'x')); err != nil {
		t.Error(err)
	}
	for _, plain := range [][]byte{{0x0e, 9}, {5, 9}, {0x11, 0}} {
		if CheckPacket(packet, open(plain...)) == nil {
			t.Errorf("plaintext %x passed", plain)
		}
	}
}

func TestGuard(t *testing.T) {
	a, b := netip.MustParseAddrPort("10.0.0.1:4110"), netip.MustParseAddrPort("10.0.0.2:4110")
	short := func(seq byte) []byte { return from(0x04, seq) }
	full := func(seq byte) []byte {
		return join([]byte{1, 1, 32, 0xaa, 0xbb, 0xcc}, zeros(29), []byte{0x04, seq})
	}
	other := []byte{1, 1, 2, 0xaa, 0xcc, 0x04, 2}
	var g Guard
	for i, p := range []struct {
		to     netip.AddrPort
		packet []byte
		ok     bool
	}{
		{a, short(1), true}, {a, short(2), true}, {b, short(2), true},
		{a, other, true}, {a, from(0), true},
		{a, short(2), false}, {a, full(2), false}, {a, full(3), true}, {a, short(3), false}, {a, short(2), true},
	} {
		if err := g.Check(p.to, p.packet); (err == nil) != p.ok {
			t.Errorf("packet %d: error %v", i, err)
		}
	}
}

// What stock sent passes.
func TestCheckRecorded(t *testing.T) {
	var file struct {
		Packets []struct{ Hex string }
	}
	read(t, "../overlay/testdata/overlay.json", &file)
	for i, p := range file.Packets {
		b, err := hex.DecodeString(p.Hex)
		if err == nil {
			err = CheckPacket(b, nil)
		}
		if err != nil {
			t.Errorf("packet %d: %v", i, err)
		}
	}
	if len(file.Packets) == 0 {
		t.Error("nothing was recorded")
	}
}

func read(t *testing.T, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestCheckMessage(t *testing.T) {
	message := func(remote byte, port uint32, flags, queue byte, payload []byte) []byte {
		b := zeros(75)
		binary.NativeEndian.PutUint32(b[32:], 300)
		b[36] = remote
		binary.NativeEndian.PutUint32(b[68:], port)
		b[72], b[73] = flags, queue
		return append(b, payload...)
	}
	for _, c := range []struct {
		why     string
		message []byte
		want    string
	}{
		{"data", message(1, 80, 0, 4, zeros(1060)), ""},
		{"too short to be read", zeros(74), ""},
		{"queue 5", message(1, 80, 0, 5, zeros(1)), "queue 5"},
		{"queue 5 on a command", message(0, 2, 0, 5, nil), "queue 5"},
		{"a command", message(0, 2, 0, 0, nil), ""},
		{"the interface command", message(0, 4, 0, 0, zeros(9)), "command 4"},
		{"no data", message(1, 80, 0, 0, nil), "without data"},
		{"no data, with BIND", message(1, 80, 4, 0, nil), "without data"},
		{"1156 bytes", message(1, 80, 0, 0, zeros(1156)), ""},
		{"1157 bytes", message(1, 80, 0, 0, zeros(1157)), "1157 bytes"},
		{"1196 bytes, plain", message(1, 80, 3, 0, zeros(1196)), ""},
		{"1197 bytes, plain", message(1, 80, 3, 0, zeros(1197)), "1197 bytes"},
		{"link state that runs past its end", message(1, 2, 0, 0, []byte{9, 2, 0xff, 1}), "are left"},
		{"a trace with code 0", message(1, 8, 0, 0, []byte{0}), "code 0"},
	} {
		err := CheckMessage(c.message)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", c.why, err, c.want)
		}
	}
}
