package overlay

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/nacl/box"
)

// The recorded shared keys are NaCl's (docs/overlay.md §6.3).
func TestSharedKeys(t *testing.T) {
	v := vectors(t)
	for pair, want := range v.BoxSharedKeys {
		a, b, _ := strings.Cut(pair, "-")
		for _, ends := range [][2]string{{a, b}, {b, a}} {
			sid := [32]byte(v.sid(t, ends[1]))
			secret := [32]byte(unhex(t, v.Identities[ends[0]].BoxSecretKey))
			var key [32]byte
			box.Precompute(&key, &sid, &secret)
			if got := hex.EncodeToString(key[:]); got != want {
				t.Errorf("%v: %s, want %s", ends, got, want)
			}
		}
	}
}

func TestSealBodyRefuses(t *testing.T) {
	for _, test := range []struct {
		nonce     byte
		plaintext []byte
		want      string
	}{
		{0x80, sizedPorts(4), "top bit"},
		{0, nil, "cut off"},
		{0, []byte{0x0f}, "no application data"},
		{0, []byte{0x0e, 0x82, 0x02}, "no application data"},
		{0, []byte{0x01, 'x'}, "destination port 0"},
		{0, sizedPorts(MaxSealed + 1), "1160 bytes"},
	} {
		dst := []byte("before")
		got, err := SealBody(dst, new([32]byte), &[NonceLen]byte{test.nonce}, test.plaintext)
		wantError(t, err, test.want)
		wantUntouched(t, dst, got)
	}
}

func TestSealAndOpenBody(t *testing.T) {
	key, nonce := &[32]byte{1}, &[NonceLen]byte{0x7f, 1}
	for _, plaintext := range [][]byte{{0x0f, 'x'}, sizedPorts(MaxSealed)} {
		body, err := SealBody([]byte("dst"), key, nonce, plaintext)
		if err != nil || len(body) != 3+SealOverhead+len(plaintext) || len(body)-3 > MaxBody {
			t.Fatalf("%d bytes, %v", len(body), err)
		}
		body = body[3:]
		if got, err := Nonce(body); err != nil || got != *nonce {
			t.Errorf("nonce %x, %v", got, err)
		}
		got, err := OpenBody([]byte("dst"), key, body)
		if err != nil || !bytes.Equal(got[3:], plaintext) {
			t.Errorf("opened to %d bytes, %v", len(got), err)
		}
	}
}

func TestOpenBodyRefuses(t *testing.T) {
	key, nonce := &[32]byte{1}, &[NonceLen]byte{}
	body, err := SealBody(nil, key, nonce, []byte{0x0f, 'x'})
	if err != nil {
		t.Fatal(err)
	}
	refused := func(why string, key *[32]byte, b []byte) {
		t.Helper()
		dst := []byte("before")
		if got, err := OpenBody(dst, key, b); err == nil || !bytes.Equal(got, dst) {
			t.Errorf("%s: got %x, %v", why, got, err)
		}
	}
	for i := range body {
		refused("truncated", key, body[:i])
		bad := slices.Clone(body)
		bad[i] ^= 1
		refused("changed", key, bad)
	}
	refused("longer", key, append(slices.Clone(body), 0))
	refused("other key", &[32]byte{2}, body)
	body[0] |= 0x80
	_, err = OpenBody(nil, key, body)
	wantError(t, err, "top bit")
}

func TestSignBody(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	pub := (*[32]byte)(key.Public().(ed25519.PublicKey))
	plaintext := []byte{0x0f, 'x'}
	body, err := SignBody(nil, key, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := VerifyBody(pub, body); err != nil || !bytes.Equal(got, plaintext) {
		t.Errorf("got %x, %v", got, err)
	}
	for i := range body {
		if _, err := VerifyBody(pub, body[:i]); err == nil {
			t.Errorf("first %d bytes verify", i)
		}
		bad := slices.Clone(body)
		bad[i] ^= 1
		_, err := VerifyBody(pub, bad)
		wantError(t, err, "does not verify")
	}
	for _, test := range []struct {
		plaintext []byte
		want      string
	}{
		{[]byte{0x0f}, "no application data"},
		{sizedPorts(MaxSigned + 1), "1136 bytes"},
	} {
		_, err := SignBody(nil, key, test.plaintext)
		wantError(t, err, test.want)
	}
}

func FuzzBody(f *testing.F) {
	for _, b := range vectorBodies(f, func(p *vecPayload) string { return p.Plaintext }) {
		f.Add(b)
	}
	f.Add(make([]byte, SealOverhead))
	priv := ed25519.NewKeyFromSeed(make([]byte, 32))
	pub := (*[32]byte)(priv.Public().(ed25519.PublicKey))
	f.Fuzz(func(t *testing.T, b []byte) {
		key := &[32]byte{7}
		if out, err := OpenBody(nil, key, b); err == nil {
			t.Fatalf("%x opened to %x", b, out)
		}
		if out, err := VerifyBody(pub, b); err == nil {
			t.Fatalf("%x verified as %x", b, out)
		}
		sealed, err := SealBody(nil, key, new([NonceLen]byte), b)
		if err == nil {
			if out, err := OpenBody(nil, key, sealed); err != nil || !bytes.Equal(out, b) {
				t.Fatalf("%x came back as %x, %v", b, out, err)
			}
		}
		signed, err := SignBody(nil, priv, b)
		if err == nil {
			if out, err := VerifyBody(pub, signed); err != nil || !bytes.Equal(out, b) {
				t.Fatalf("%x came back as %x, %v", b, out, err)
			}
		}
	})
}

func BenchmarkSealBody(b *testing.B) {
	plaintext, key, nonce := sizedPorts(1032), new([32]byte), new([NonceLen]byte)
	buf := make([]byte, 0, MaxPacket)
	b.SetBytes(int64(len(plaintext)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := SealBody(buf, key, nonce, plaintext); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenBody(b *testing.B) {
	plaintext, key, nonce := sizedPorts(1032), new([32]byte), new([NonceLen]byte)
	body, err := SealBody(nil, key, nonce, plaintext)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, MaxPacket)
	b.SetBytes(int64(len(plaintext)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := OpenBody(buf, key, body); err != nil {
			b.Fatal(err)
		}
	}
}
