package overlay

import (
	"bytes"
	"encoding/hex"
	"testing"
)

func TestPorts(t *testing.T) {
	for _, test := range []struct { // docs/overlay.md §6.1
		ports Ports
		hex   string
	}{
		{Ports{2, 2}, "05"},
		{Ports{1, 1}, "03"},
		{Ports{7, 258}, "0e8202"},
		{Ports{258, 7}, "840407"},
		{Ports{512, 259}, "80088302"},
		{Ports{7, 7001}, "0ed936"},
		{Ports{63, 127}, "7e7f"},
		{Ports{64, 128}, "80018001"},
		{Ports{MaxPort, 1}, "feffffff0f01"},
		{Ports{MaxPort, MaxPort}, "ffffffff0f"},
		{Ports{1 << 30, MaxPort}, "8080808008ffffffff07"},
	} {
		got, err := AppendPorts([]byte("x"), test.ports)
		if err != nil || hex.EncodeToString(got) != "78"+test.hex || len(got)-1 > MaxPortsLen {
			t.Errorf("%v: %x, %v, want %s", test.ports, got, err, test.hex)
		}
		b := unhex(t, test.hex+"ff")
		p, data, err := ParsePorts(b)
		if err != nil || p != test.ports || !bytes.Equal(data, []byte{0xff}) {
			t.Errorf("%s: %v, %x, %v, want %v", test.hex, p, data, err, test.ports)
		}
		for i := range len(b) - 1 {
			if p, _, err := ParsePorts(b[:i]); err == nil {
				t.Errorf("%x: %v, want an error", b[:i], p)
			}
		}
	}
}

func TestPortsMalformed(t *testing.T) {
	for _, test := range []struct{ hex, want string }{
		{"", "cut off"},
		{"80", "cut off"},
		{"0e", "cut off"},
		{"ffffffff", "cut off"},
		{"ffffffff10", "32 bits"},
		{"ffffffffff01", "32 bits"},
		{"0effffffff10", "32 bits"},
		{"8080808080808001", "32 bits"},
	} {
		_, _, err := ParsePorts(unhex(t, test.hex))
		wantError(t, err, test.want)
	}
	// Parsed, but not for use (docs/overlay.md §1.3).
	for _, test := range []struct{ hex, want string }{
		{"0effffffff0f", "source port 4294967295"},
		{"0e00", "source port 0"},
		{"0007", "destination port 0"},
		{"01", "destination port 0"},
	} {
		p, _, err := ParsePorts(unhex(t, test.hex))
		if err != nil {
			t.Errorf("%s: %v", test.hex, err)
		}
		wantError(t, p.Check(), test.want)
		dst := []byte("before")
		got, err := AppendPorts(dst, p)
		wantError(t, err, test.want)
		wantUntouched(t, dst, got)
	}
}

func FuzzPorts(f *testing.F) {
	for _, b := range vectorBodies(f, func(p *vecPayload) string { return p.Plaintext }) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, data, err := ParsePorts(b)
		if err != nil || p.Check() != nil {
			return
		}
		out, err := AppendPorts(nil, p)
		if err != nil || len(out)+len(data) > len(b) {
			t.Fatalf("%x grew to %x, %v", b, out, err)
		}
		if p2, _, err := ParsePorts(out); err != nil || p2 != p {
			t.Fatalf("%v came back as %v, %v", p, p2, err)
		}
	})
}
