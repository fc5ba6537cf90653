package overlay

import (
	"encoding/hex"
	"net/netip"
	"testing"
)

func TestSTUN(t *testing.T) {
	l := newLab(t)
	s := STUN{
		{Address{Code: 1, SID: l.a}, netip.MustParseAddrPort("10.98.0.1:4110")},
		{Address{Code: 1, SID: l.a}, netip.MustParseAddrPort("[::ffff:10.98.0.2]:1")},
	}
	b, err := AppendSTUN(nil, s)
	if want := "0123" + "0a620001" + "100e" + "fe" + "0a620002" + "0001"; err != nil || hex.EncodeToString(b) != want {
		t.Errorf("%x, %v, want %s", b, err, want)
	}
	got, err := ParseSTUN(b, l.all())
	if want := "stun 23458761…@10.98.0.1:4110 23458761…@10.98.0.2:1"; err != nil || got.String() != want {
		t.Errorf("%v, %v, want %s", got, err, want)
	}
	for i := range b {
		if got, err := ParseSTUN(b[:i], l.all()); err == nil && i != 0 && i != 8 {
			t.Errorf("first %d bytes: %v", i, got)
		}
	}
	for _, test := range []struct {
		entry STUNEntry
		want  string
	}{
		{STUNEntry{To(l.a), netip.MustParseAddrPort("[::1]:1")}, "[::1]:1"},
		{STUNEntry{To(l.a), netip.AddrPort{}}, "want IPv4"},
		{STUNEntry{Address{}, netip.MustParseAddrPort("10.0.0.1:1")}, "first 31 bytes"},
	} {
		got, err := AppendSTUN(b, append(s[:1:1], test.entry))
		wantError(t, err, test.want)
		wantUntouched(t, b, got)
	}
}

func FuzzSTUN(f *testing.F) {
	f.Add(unhex(f, "01230a620001100efe0a6200020001"))
	known := newLab(f).all()
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSTUN(b, known)
		if err != nil {
			return
		}
		out, err := AppendSTUN(nil, s)
		if err != nil {
			return // an address that does not resolve
		}
		again, err := ParseSTUN(out, known)
		if err != nil || again.String() != s.String() || len(out) > len(b) {
			t.Fatalf("%v came back as %v, %v", s, again, err)
		}
	})
}
