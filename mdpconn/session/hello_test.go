package session

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

// helloBytes is a well-formed hello of n bytes.
func helloBytes(kind HelloKind, n int) []byte {
	b := make([]byte, n)
	b[0], b[1], b[5] = 1, byte(kind), 1
	if kind == AnswerHello {
		b[9] = 2
	}
	return b
}

func TestHello(t *testing.T) {
	b := unhex(t, "01"+"02"+"0a0b0c0d"+"01020304"+strings.Repeat("ab", 32)+strings.Repeat("cd", 58))
	h, err := ParseHello(b)
	if err != nil {
		t.Fatal(err)
	}
	if h.Kind != AnswerHello || h.ID != 0x0a0b0c0d || h.OfferID != 0x01020304 || h.Ephemeral[31] != 0xab || len(h.Sealed) != 58 {
		t.Errorf("got %+v", h)
	}
	if got := AppendHello([]byte("x"), &h); !bytes.Equal(got[1:], b) {
		t.Errorf("came back as %x", got)
	}
	if got, want := h.String(), "answer id 0a0b0c0d to 01020304 e abababab… 100 bytes"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for i := range b {
		if _, err := ParseHello(b[:i]); err == nil {
			t.Errorf("a hello of %d bytes was read", i)
		}
	}
}

// TestHelloMalformed: [MSX-9.1] a hello has 100 to 1,024 bytes, and is of a form that is
// known.
func TestHelloMalformed(t *testing.T) {
	change := func(at int, v byte, kind HelloKind) []byte {
		b := helloBytes(kind, 100)
		b[at] = v
		return b
	}
	for _, test := range []struct {
		b    []byte
		want string
	}{
		{helloBytes(OfferHello, 99), "99 bytes"},
		{helloBytes(OfferHello, 1025), "1025 bytes"},
		{change(0, 2, OfferHello), "version 2"},
		{change(1, 0, OfferHello), "kind 0"},
		{change(1, 3, OfferHello), "kind 3"},
		{change(5, 0, OfferHello), "id 0"},
		{change(9, 1, OfferHello), "answers 00000001"},
		{change(9, 0, AnswerHello), "offer 0"},
	} {
		_, err := ParseHello(test.b)
		wantError(t, test.want, err, test.want)
	}
	for _, kind := range []HelloKind{OfferHello, AnswerHello} {
		for _, n := range []int{MinHello, MaxHello} {
			if _, err := ParseHello(helloBytes(kind, n)); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestPayload(t *testing.T) {
	p := Payload{Boot: 0x0102030405060708, Time: 0x1112131415161718, Capabilities: ours}
	const want = "0102030405060708" + "1112131415161718" +
		"0100" + "0200" + "03048000ffe3" + "04026328" + "05026710" + "0006000000000000"
	b := AppendPayload(nil, &p)
	if got := hex.EncodeToString(b); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	got, err := ParsePayload(b)
	if err != nil || got != p {
		t.Errorf("came back as %v, %v", got, err)
	}
	if got, want := p.String(), "boot 72623859790382856 time 1230066625199609624 aes chacha compact 65507 large 9000 liveness 10s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for i := range b {
		got, err := ParsePayload(b[:i])
		if err == nil && (i < 16 || got == p && i != len(b)-8) { // all but the padding is the same
			t.Errorf("%d bytes of %d were read as %v", i, len(b), got)
		}
	}
}

// The least payload makes a hello of 100 bytes, and what pads it is skipped.
func TestPayloadIsPadded(t *testing.T) {
	for _, c := range []Capabilities{
		{}, {ChaCha: true}, {AES: true, ChaCha: true}, {ChaCha: true, Compact: 1200}, {AES: true, ChaCha: true, Compact: 1200},
		{AES: true, ChaCha: true, Large: 20}, {ChaCha: true, ECN: true}, ours,
	} {
		p := Payload{Capabilities: c}
		b := AppendPayload(nil, &p)
		if n := len(b) + helloOverhead; n < MinHello || n > MinHello+10 {
			t.Errorf("%v: hello of %d bytes", c, n)
		}
		if got, err := ParsePayload(b); err != nil || got != p {
			t.Errorf("%v came back as %v, %v", p, got, err)
		}
	}
}

// TestCapabilities: [MSX-9.3] what is unknown is skipped, the first of two counts, and
// numbers out of range are taken as the nearest allowed.
func TestCapabilities(t *testing.T) {
	const head = "00000000000000010000000000000002"
	for _, test := range []struct {
		hex  string
		want Capabilities
	}{
		{"", Capabilities{}},
		{"0200", Capabilities{ChaCha: true}},
		{"0200" + "2a03ffffff" + "7fff00" + "0100", Capabilities{AES: true, ChaCha: true}}, // unknown ones skipped
		{"030201ff", Capabilities{Compact: 1200}},                                          // out of range
		{"0308ffffffffffffffff", Capabilities{Compact: MaxCompact}},
		{"0408ffffffffffffffff", Capabilities{Large: MaxLarge}},
		{"050100", Capabilities{Liveness: time.Second}},
		{"0600" + "0600", Capabilities{ECN: true}},
		{"0603ffffff", Capabilities{ECN: true}},
		{"0508ffffffffffffffff", Capabilities{Liveness: 10 * time.Minute}},
		{"0302" + "4fff" + "0302" + "5000", Capabilities{Compact: 0xfff}}, // the first counts
		{"0304" + "4fff" + "1234", Capabilities{Compact: 0xfff}},          // more may follow a value
		{"0203414243", Capabilities{ChaCha: true}},
	} {
		p, err := ParsePayload(unhex(t, head+test.hex))
		if err != nil || p.Capabilities != test.want || p.Boot != 1 || p.Time != 2 {
			t.Errorf("%s: %v, %v, want %v", test.hex, p, err, test.want)
		}
	}
	for _, test := range []struct{ hex, want string }{
		{"01", "cut off"}, {"0101", "cut off"}, {"40", "cut off"}, {"0240", "cut off"}, {"02ffffffffffffffff00", "cut off"},
		{"0300", "capability 3"}, {"030180", "capability 3"}, {"0400", "capability 4"}, {"050140", "capability 5"},
	} {
		_, err := ParsePayload(unhex(t, head+test.hex))
		wantError(t, test.hex, err, test.want)
	}
	_, err := ParsePayload(unhex(t, "8000000000000001"+"0000000000000002"))
	wantError(t, "boot", err, "less than 2^63")
}

// TestAgreement: [MSX-9.3] what both list is in force.
func TestAgreement(t *testing.T) {
	aes, chacha := Capabilities{AES: true}, Capabilities{ChaCha: true}
	both := Capabilities{AES: true, ChaCha: true}
	for _, test := range []struct {
		a, b Capabilities
		want Cipher
	}{{both, both, AES256GCM}, {both, chacha, ChaCha20Poly1305}, {aes, both, AES256GCM}, {aes, chacha, 0}, {both, Capabilities{}, 0}} {
		got, err := test.a.cipher(test.b)
		back, _ := test.b.cipher(test.a)
		if got != test.want || back != got || (err != nil) != (test.want == 0) {
			t.Errorf("%v with %v: %v and %v, %v, want %v", test.a, test.b, got, back, err, test.want)
		}
	}
	s := Session{agreement: agreement{own: Payload{Capabilities: ours}, peer: Payload{Capabilities: ours}}}
	s.peer.Compact, s.peer.Liveness = 1452, time.Minute
	if s.SendCompact() != 1452 || s.SendLarge() != 9000 || s.Liveness() != time.Minute {
		t.Errorf("in force: compact %d, large %d, liveness %v", s.SendCompact(), s.SendLarge(), s.Liveness())
	}
	s.own.Capabilities = both
	if s.SendCompact() != 0 || s.SendLarge() != 0 || s.Liveness() != 0 {
		t.Errorf("in force though we list it not: compact %d, large %d, liveness %v", s.SendCompact(), s.SendLarge(), s.Liveness())
	}
}

func FuzzHello(f *testing.F) {
	f.Add(helloBytes(OfferHello, 100))
	f.Add(helloBytes(AnswerHello, 120))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHello(b)
		if err != nil {
			return
		}
		_ = h.String()
		if out := AppendHello(nil, &h); !bytes.Equal(out, b) {
			t.Fatalf("%x came back as %x", b, out)
		}
	})
}

func FuzzPayload(f *testing.F) {
	f.Add(AppendPayload(nil, &Payload{Boot: 1, Time: 2, Capabilities: ours}))
	f.Add(binary.BigEndian.AppendUint64(make([]byte, 8), 0x0300))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePayload(b)
		if err != nil {
			return
		}
		_ = p.String()
		out := AppendPayload(nil, &p)
		again, err := ParsePayload(out)
		if err != nil || again != p || len(out) > max(len(b)+16, MinHello) {
			t.Fatalf("%v came back as %v, %v", p, again, err)
		}
	})
}
