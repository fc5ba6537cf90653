package session

import (
	"encoding/hex"
	"testing"
)

func TestVarint(t *testing.T) {
	for _, test := range []struct { // RFC 9000 §A.1, and the limits
		v   uint64
		hex string
	}{
		{0, "00"}, {37, "25"}, {63, "3f"}, {64, "4040"}, {15293, "7bbd"}, {1<<14 - 1, "7fff"}, {1 << 14, "80004000"},
		{494878333, "9d7f3e7d"}, {1<<30 - 1, "bfffffff"}, {1 << 30, "c000000040000000"},
		{151288809941952652, "c2197c5eff14e88c"}, {maxVarint, "ffffffffffffffff"},
	} {
		b := appendVarint([]byte("x"), test.v)
		if got := hex.EncodeToString(b[1:]); got != test.hex {
			t.Errorf("%d: %s, want %s", test.v, got, test.hex)
		}
		v, rest, ok := parseVarint(append(b[1:], 0xee))
		if !ok || v != test.v || len(rest) != 1 {
			t.Errorf("%s: %d, %x, %v", test.hex, v, rest, ok)
		}
		for i := range len(b) - 1 {
			if _, _, ok := parseVarint(b[1 : 1+i]); ok {
				t.Errorf("%x was read", b[1:1+i])
			}
		}
	}
	if v, _, ok := parseVarint(unhex(t, "4025")); !ok || v != 37 { // more bytes than needed
		t.Errorf("got %d, %v", v, ok)
	}
}

func FuzzVarint(f *testing.F) {
	f.Add([]byte{0x7b, 0xbd})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, rest, ok := parseVarint(b)
		if !ok {
			return
		}
		out := appendVarint(nil, v)
		if again, _, ok := parseVarint(out); !ok || again != v || len(out) > len(b)-len(rest) {
			t.Fatalf("%x: %d came back as %x", b, v, out)
		}
	})
}
