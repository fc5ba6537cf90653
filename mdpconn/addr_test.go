package mdpconn

import (
	"net"
	"strings"
	"testing"
)

var _ net.Addr = Addr{}

func TestParseAddr(t *testing.T) {
	a, err := ParseSID(sidA)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		text string
		want Addr
		back string // what it prints as
	}{
		{sidA + ":7", Addr{a, 7}, sidA + ":7"},
		{strings.ToLower(sidA) + ":2147483647", Addr{a, MaxPort}, sidA + ":2147483647"},
		{":1", Addr{Primary, 1}, ":1"},
		{"*:4110", Addr{All, 4110}, "*:4110"},
		{":0", Addr{Primary, 0}, ":0"},
		{"*:007", Addr{All, 7}, "*:7"},
	} {
		got, err := ParseAddr(test.text)
		if err != nil || got != test.want {
			t.Errorf("ParseAddr(%q) = %v, %v, want %v", test.text, got, err, test.want)
		}
		if got.String() != test.back || got.Network() != "mdp" {
			t.Errorf("ParseAddr(%q) prints as %q of %q, want %q of mdp", test.text, got, got.Network(), test.back)
		}
	}
}

func TestParseAddrRefuses(t *testing.T) {
	for _, test := range []struct{ text, wantInError string }{
		{"", "no port"},
		{sidA, "no port"},
		{"7", "no port"},
		{":", "bad port"},
		{"*:", "bad port"},
		{":2147483648", "0 … 2147483647"},
		{":4294967297", "bad port"}, // 2^32+1
		{":-1", "bad port"},
		{":+1", "bad port"},
		{":0x10", "bad port"},
		{":1_0", "bad port"},
		{": 1", "bad port"},
		{":1:2", "bad port"},
		{"::1", "bad port"},
		{"**:1", `"**"`},
		{"localhost:80", `"localhost"`},
		{sidA[1:] + ":1", "63 characters"},
		{strings.Repeat("0", 64) + ":1", "first 31 bytes"},
		{strings.Repeat("F", 64) + ":1", "top bit"},
		{":" + strings.Repeat("1", 100000), "bad port"},
		{":\n1", `":\n1"`},
	} {
		a, err := ParseAddr(test.text)
		wantError(t, "ParseAddr", err, test.wantInError)
		if a != (Addr{}) {
			t.Errorf("ParseAddr(%q) gave %v with an error", test.text, a)
		}
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{sidA + ":7", ":1", "*:2147483647", ":0", "x:1", "::", sidA} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAddr(text)
		if err != nil {
			wantError(t, "ParseAddr", err, "expected")
			return
		}
		if a.Port > MaxPort {
			t.Errorf("ParseAddr(%q) has port %d", text, a.Port)
		}
		if a.SID != Primary && a.SID != All && a.SID.Check() != nil {
			t.Errorf("ParseAddr(%q) passed a bad SID", text)
		}
		if b, err := ParseAddr(a.String()); err != nil || b != a {
			t.Errorf("ParseAddr(%q) = %v, whose text gives %v, %v", text, a, b, err)
		}
		if len(a.String()) > len(text) {
			t.Errorf("%q became longer: %q", text, a.String())
		}
	})
}
