package overlay

import (
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"strings"
	"testing"

	"golang.org/x/crypto/curve25519"
)

func TestSIDCheck(t *testing.T) {
	le := func(first, middle, last byte) (s SID) {
		for i := range s {
			s[i] = middle
		}
		s[0], s[31] = first, last
		return s
	}
	valid := newLab(t).a
	flipped := valid
	flipped[31] |= 0x80
	for _, test := range []struct {
		name string
		sid  SID
		want string
	}{
		{"ANY", SID{}, "31 bytes are zero"},
		{"INTERNAL", le(0, 0, 1), "31 bytes are zero"},
		{"BROADCAST", le(0xff, 0xff, 0xff), "top bit"},
		{"top bit flipped", flipped, "top bit"},
		{"u = 1", le(1, 0, 0), "low order"},
		{"order 8", lowOrder[1], "low order"},
		{"order 8, other", lowOrder[2], "low order"},
		{"p - 1", le(0xec, 0xff, 0x7f), "low order"},
		{"p", le(0xed, 0xff, 0x7f), "2^255-19"},
		{"p + 1", le(0xee, 0xff, 0x7f), "2^255-19"},
		{"2^255 - 1", le(0xff, 0xff, 0x7f), "2^255-19"},
	} {
		wantError(t, test.sid.Check(), test.want, test.sid.String())
	}
	for _, sid := range append(newLab(t).all(), le(0xeb, 0xff, 0x7f), SID{9}) {
		if err := sid.Check(); err != nil {
			t.Error(err)
		}
	}
}

// Every point of low order, and no other, gives a zero shared secret.
func TestSIDCheckAgreesWithX25519(t *testing.T) {
	scalar := make([]byte, 32)
	scalar[0], scalar[31] = 8, 64
	for _, sid := range lowOrder {
		if _, err := curve25519.X25519(scalar, sid[:]); err == nil {
			t.Errorf("%v is not of low order", sid)
		}
	}
}

func TestSIDFromSignKey(t *testing.T) {
	v := vectors(t)
	for name, id := range v.Identities {
		got, err := SIDFromSignKey(unhex(t, id.SignPublicKey))
		if err != nil || got != v.sid(t, name) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, id.SID)
		}
	}
	for _, test := range []struct{ key, want string }{
		{"", "not 32 bytes"},
		{strings.Repeat("00", 31), "not 32 bytes"},
		{strings.Repeat("00", 33), "not 32 bytes"},
		{"01" + strings.Repeat("00", 31), "neutral"},                                      // y = 1
		{"01" + strings.Repeat("00", 30) + "80", "neutral"},                               // the same, sign bit set
		{"ed" + strings.Repeat("ff", 30) + "7f", "canonical"},                             // y = p
		{"ec" + strings.Repeat("ff", 30) + "7f", "zero"},                                  // y = -1: u = 0
		{"02" + strings.Repeat("00", 31), "not a point"},                                  // no x for y = 2
		{strings.Repeat("00", 32), "low order"},                                           // y = 0: order 4, u = 1
		{strings.Repeat("ff", 32), "canonical"},                                           // y >= p
		{hex.EncodeToString(make([]byte, 30)) + "0080", "low order"},                      // y = 0, sign bit set
		{"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "low order"}, // order 8
	} {
		_, err := SIDFromSignKey(unhex(t, test.key))
		wantError(t, err, test.want)
	}
}

// The two ways from a seed to the SID agree (docs/overlay.md §1.1).
func FuzzSIDFromSignKey(f *testing.F) {
	f.Add(make([]byte, 32))
	for _, id := range vectors(f).Identities {
		f.Add(unhex(f, id.SignSeed))
		f.Add(unhex(f, id.SignPublicKey))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if sid, err := SIDFromSignKey(b); err == nil && sid.Check() != nil {
			t.Errorf("sign key %x gave %v", b, sid)
		}
		if len(b) != ed25519.SeedSize {
			return
		}
		h := sha512.Sum512(b)
		want, err := curve25519.X25519(h[:32], curve25519.Basepoint)
		if err != nil {
			t.Fatal(err)
		}
		got, err := SIDFromSignKey(ed25519.NewKeyFromSeed(b).Public().(ed25519.PublicKey))
		if err != nil || got != SID(want) {
			t.Errorf("seed %x: %v, %v, want %x", b, got, err, want)
		}
	})
}

func BenchmarkSIDFromSignKey(b *testing.B) {
	key := unhex(b, vectors(b).Identities["A"].SignPublicKey)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := SIDFromSignKey(key); err != nil {
			b.Fatal(err)
		}
	}
}
