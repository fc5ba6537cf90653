package overlay

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"
)

func TestKeyMap(t *testing.T) {
	l, id := newLab(t), vectors(t).Identities["A"]
	m := NewKeyResponse(l.a, ed25519.NewKeyFromSeed(unhex(t, id.SignSeed)))
	if !m.Verify(l.a) || m.Verify(l.b) {
		t.Error("the response has to verify for A and for nobody else")
	}
	if want := "keymap response " + strings.ToUpper(id.SignPublicKey); m.String() != want {
		t.Errorf("got %q, want %q", m, want)
	}
	b := AppendKeyMap(nil, &m)
	for i := range b {
		got, err := ParseKeyMap(b[:i])
		if i == 1 {
			if err != nil || got != (KeyMap{}) || got.Verify(l.a) || got.String() != "keymap request" {
				t.Errorf("request: %v, %v", got, err)
			}
		} else if err == nil {
			t.Errorf("first %d bytes: %v, want an error", i, got)
		}
		bad := slices.Clone(b)
		bad[i] ^= 1
		if got, err := ParseKeyMap(bad); err == nil && got.Verify(l.a) {
			t.Errorf("byte %d changed, but it verifies", i)
		}
	}
	if got, err := ParseKeyMap(b); err != nil || got != m {
		t.Errorf("%v, %v, want %v", got, err, m)
	}
	for _, test := range []struct {
		data []byte
		want string
	}{
		{nil, "no application data"},
		{[]byte{0xf0}, "0xf0"},
		{[]byte{0x02, 0}, "2 bytes"},
		{append(slices.Clone(b), 0), "98 bytes"},
	} {
		_, err := ParseKeyMap(test.data)
		wantError(t, err, test.want)
	}
}

func FuzzKeyMap(f *testing.F) {
	for _, b := range vectorBodies(f, dataTo(PortKeyMap)) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseKeyMap(b)
		if err != nil {
			return
		}
		_, _ = m.Verify(SID{1}), m.String()
		if out := AppendKeyMap(nil, &m); !bytes.Equal(out, b) {
			t.Fatalf("%x came back as %x", b, out)
		}
	})
}
