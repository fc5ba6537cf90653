package session

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/curve25519"
)

// Known answers, published for Noise_KK_25519_ChaChaPoly_SHA256 in the test
// vectors of cacophony.
const (
	knownPrologue   = "4a6f686e2047616c74"
	knownInitiator  = "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1"
	knownResponder  = "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893"
	knownEphemeral1 = "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a"
	knownEphemeral2 = "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b"
	knownPayload1   = "4c756477696720766f6e204d69736573"
	knownPayload2   = "4d757272617920526f746862617264"
	knownMessage1   = "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79440177015efc1fe7a37c629af7120a96274e6ab7afcc9261901d0e09ae32a5bb96"
	knownMessage2   = "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843b274d3429adc47ca093ba63ef90f8da89fda108db471dccfa4894aa7b00003"
	knownHash       = "24c6b51ecb76277140ca018b5985bc9f03de321dae2d34dcae433dafef0131d9"
	knownText3      = "462e20412e20486179656b"
	knownMessage3   = "966b05bc69ec01b8454d3160a214e6f24a3d884eb31ec2408af63f"
	knownText4      = "4361726c204d656e676572"
	knownMessage4   = "0ad887fba4f611bbb4afe44ba3556b8164332ca7d5934634d63d80"
)

// scripted is Noise's KK as the framework's text has it for any pattern: tokens
// one after the other, on values that are never changed. It is slow, written
// apart from the package's own, and shares no code with it.
type scripted struct {
	ck, h, k []byte
	n        uint64
}

func sum(parts ...[]byte) []byte {
	h := sha256.Sum256(slices.Concat(parts...))
	return h[:]
}

func mac(key []byte, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(slices.Concat(parts...))
	return m.Sum(nil)
}

func (s scripted) mixedHash(data []byte) scripted {
	s.h = sum(s.h, data)
	return s
}

func (s scripted) mixedKey(secret []byte) scripted {
	prk := mac(s.ck, secret)
	s.ck = mac(prk, []byte{1})
	s.k = mac(prk, s.ck, []byte{2})
	s.n = 0
	return s
}

func (s scripted) encrypted(text []byte) (scripted, []byte) {
	a, err := chacha20poly1305.New(s.k)
	if err != nil {
		panic(err)
	}
	nonce := make([]byte, 12)
	nonce[4] = byte(s.n)
	sealed := a.Seal(nil, nonce, text, s.h)
	s.n++
	return s.mixedHash(sealed), sealed
}

func dh(secret, public []byte) []byte {
	b, err := curve25519.X25519(secret, public)
	if err != nil {
		panic(err)
	}
	return b
}

func publicOf(secret []byte) []byte { return dh(secret, curve25519.Basepoint) }

// script plays both messages and gives them without their heads, the last hash,
// and the keys.
func script(prologue, is, rs, ie, re, head1, head2, text1, text2 []byte) (m1, m2, hash, k1, k2 []byte) {
	name := []byte("Noise_KK_25519_ChaChaPoly_SHA256")
	s := scripted{ck: name, h: name}
	for _, data := range [][]byte{prologue, publicOf(is), publicOf(rs)} {
		s = s.mixedHash(data)
	}
	if head1 != nil {
		s = s.mixedHash(head1)
	}
	s = s.mixedHash(publicOf(ie)).mixedKey(dh(rs, publicOf(ie))).mixedKey(dh(rs, publicOf(is)))
	s, sealed := s.encrypted(text1)
	m1 = slices.Concat(publicOf(ie), sealed)
	if head2 != nil {
		s = s.mixedHash(head2)
	}
	s = s.mixedHash(publicOf(re)).mixedKey(dh(ie, publicOf(re))).mixedKey(dh(is, publicOf(re)))
	s, sealed = s.encrypted(text2)
	m2 = slices.Concat(publicOf(re), sealed)
	prk := mac(s.ck)
	k1 = mac(prk, []byte{1})
	return m1, m2, s.h, k1, mac(prk, k1, []byte{2})
}

// The script gives the published answers, so that it can judge what has heads.
func TestScriptKnownAnswers(t *testing.T) {
	x := func(s string) []byte { return unhex(t, s) }
	m1, m2, hash, k1, k2 := script(x(knownPrologue), x(knownInitiator), x(knownResponder),
		x(knownEphemeral1), x(knownEphemeral2), nil, nil, x(knownPayload1), x(knownPayload2))
	_, m3 := scripted{k: k1}.encrypted(x(knownText3))
	_, m4 := scripted{k: k2}.encrypted(x(knownText4))
	for _, test := range []struct {
		what string
		got  []byte
		want string
	}{
		{"first message", m1, knownMessage1}, {"second message", m2, knownMessage2}, {"hash", hash, knownHash},
		{"initiator's key", m3, knownMessage3}, {"responder's key", m4, knownMessage4},
	} {
		if hex.EncodeToString(test.got) != test.want {
			t.Errorf("%s: %x, want %s", test.what, test.got, test.want)
		}
	}
}

// The package's own symmetric state and handshake give them too, where the
// prologue is that of the vectors and heads are left out.
func TestNoiseKnownAnswers(t *testing.T) {
	i := newIdentity(t, [32]byte(unhex(t, knownInitiator)))
	r := newIdentity(t, [32]byte(unhex(t, knownResponder)))
	begin := func(own, peer *identity, ephemeral string) *handshake {
		h := &handshake{static: own, peer: peer.sid}
		h.init(unhex(t, knownPrologue))
		h.mixHash(i.sid[:])
		h.mixHash(r.sid[:])
		if err := h.newEphemeral(bytes.NewReader(unhex(t, ephemeral))); err != nil {
			t.Fatal(err)
		}
		return h
	}
	hi, hr := begin(i, r, knownEphemeral1), begin(r, i, knownEphemeral2)
	// What mixes a head in is left out here: the tokens one by one.
	must := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	hi.mixHash(hi.public[:])
	must(hi.mixEphemeral((*[32]byte)(&r.sid)), hi.mixStatic((*[32]byte)(&r.sid)))
	m1 := hi.seal(bytes.Clone(hi.public[:]), unhex(t, knownPayload1))
	hr.mixHash(hi.public[:])
	must(hr.mixStatic(&hi.public), hr.mixStatic((*[32]byte)(&i.sid)))
	if text, err := hr.open(m1[32:]); err != nil || hex.EncodeToString(text) != knownPayload1 {
		t.Errorf("first payload %x, %v", text, err)
	}
	hr.mixHash(hr.public[:])
	must(hr.mixEphemeral(&hi.public), hr.mixEphemeral((*[32]byte)(&i.sid)))
	m2 := hr.seal(bytes.Clone(hr.public[:]), unhex(t, knownPayload2))
	if got := hex.EncodeToString(m1); got != knownMessage1 {
		t.Errorf("first message %s, want %s", got, knownMessage1)
	}
	if got := hex.EncodeToString(m2); got != knownMessage2 {
		t.Errorf("second message %s, want %s", got, knownMessage2)
	}
	if got := hex.EncodeToString(hr.hash[:]); got != knownHash {
		t.Errorf("hash %s, want %s", got, knownHash)
	}
	k1, k2 := hr.split()
	for _, test := range []struct {
		key        [32]byte
		text, want string
	}{{k1, knownText3, knownMessage3}, {k2, knownText4, knownMessage4}} {
		a, _ := ChaCha20Poly1305.new(&test.key)
		if got := a.Seal(nil, make([]byte, 12), unhex(t, test.text), nil); hex.EncodeToString(got) != test.want {
			t.Errorf("transport: %x, want %s", got, test.want)
		}
	}
}

// Nothing is left of secrets when an offer is spent.
func TestSecretsAreOverwritten(t *testing.T) {
	a, b := newSides(t)
	o, err := NewOffer(a.pair(), a.identity, 7, a.own, a.rand, start)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ReadOffer(b.pair(), b.identity, o.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	answer, _, err := r.Answer(8, b.own, b.rand, start)
	if err != nil {
		t.Fatal(err)
	}
	if r.state != (handshake{}) {
		t.Error("the responder's state is not overwritten")
	}
	if _, err := o.ReadAnswer(answer, start); err != nil {
		t.Fatal(err)
	}
	if o.state != (handshake{}) {
		t.Error("the initiator's state is not overwritten")
	}
	if _, err := o.ReadAnswer(answer, start); err != ErrNoOffer {
		t.Errorf("the answer read again: %v, want ErrNoOffer", err)
	}
}

// No way of printing shows a secret.
func TestPrintingShowsNoSecret(t *testing.T) {
	a, b := newSides(t)
	ephemeral := bytes.Repeat([]byte{0x5c}, 32)
	o, err := NewOffer(a.pair(), a.identity, 7, a.own, bytes.NewReader(ephemeral), start)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ReadOffer(b.pair(), b.identity, o.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for _, v := range []any{o, *o, r, *r} {
			printed := fmt.Sprintf(verb, v)
			for _, secret := range [][]byte{o.state.key[:], o.state.chain[:], r.state.key[:], ephemeral} {
				for _, form := range []string{"%x", "%d", "%v", "%#v"} {
					part := strings.Trim(fmt.Sprintf(form, secret[:8]), "[]byte{}")
					if strings.Contains(printed, part) {
						t.Errorf("%s of %T shows a secret: %s", verb, v, printed)
					}
				}
			}
		}
	}
}
