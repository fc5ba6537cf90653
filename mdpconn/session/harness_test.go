package session

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

// identity is a Static with its secret at hand.
type identity struct {
	secret [32]byte
	key    *ecdh.PrivateKey
	sid    overlay.SID
}

func newIdentity(t testing.TB, secret [32]byte) *identity {
	t.Helper()
	key, err := ecdh.X25519().NewPrivateKey(secret[:])
	if err != nil {
		t.Fatal(err)
	}
	return &identity{secret, key, overlay.SID(key.PublicKey().Bytes())}
}

func (i *identity) DH(public [32]byte) ([32]byte, error) {
	key, err := ecdh.X25519().NewPublicKey(public[:])
	if err != nil {
		return [32]byte{}, err
	}
	b, err := i.key.ECDH(key)
	if err != nil {
		return [32]byte{}, err
	}
	return [32]byte(b), nil
}

// start is when tests begin.
var start = time.UnixMicro(1_700_000_000_000_000)

// ours are the capabilities of both sides in most tests.
var ours = Capabilities{AES: true, ChaCha: true, Compact: MaxCompact, Large: 9000, Liveness: 10 * time.Second}

// side is one node with a table.
type side struct {
	t *testing.T
	*identity
	peer  *identity
	table *Table
	own   Payload
	rand  io.Reader
}

func (s *side) pair() Pair         { return Pair{s.sid, s.peer.sid} }
func (s *side) endpoint() Endpoint { return Endpoint{s.identity, s.own, s.rand} }

// newSides gives two sides; a has the smaller SID.
func newSides(t *testing.T) (a, b *side) {
	t.Helper()
	random := rand.NewChaCha8([32]byte{1})
	secret := func() (k [32]byte) {
		random.Read(k[:])
		return k
	}
	first, second := newIdentity(t, secret()), newIdentity(t, secret())
	if bytes.Compare(first.sid[:], second.sid[:]) > 0 {
		first, second = second, first
	}
	a = &side{t, first, second, NewTable(16), Payload{Boot: 1, Capabilities: ours}, random}
	b = &side{t, second, first, NewTable(16), Payload{Boot: 2, Capabilities: ours}, random}
	return a, b
}

func (s *side) offer(now time.Time) []byte {
	s.t.Helper()
	b, err := s.table.Offer(s.pair(), s.endpoint(), now)
	if err != nil || b == nil {
		s.t.Fatalf("no offer: %x, %v", b, err)
	}
	return bytes.Clone(b)
}

// receive takes a hello and wants it to be taken.
func (s *side) receive(hello []byte, now time.Time) (answer []byte, session *Session) {
	s.t.Helper()
	answer, session, err := s.table.Receive(s.pair(), s.endpoint(), hello, now)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer, session
}

// refuse takes a hello and wants the error.
func (s *side) refuse(why string, hello []byte, now time.Time, want error) {
	s.t.Helper()
	answer, session, err := s.table.Receive(s.pair(), s.endpoint(), hello, now)
	if !errors.Is(err, want) || answer != nil || session != nil {
		s.t.Errorf("%s: answer %x, session %v, error %v, want %v", why, answer, session, err, want)
	}
}

// meet makes a session that a has offered.
func meet(a, b *side, now time.Time) (*Session, *Session) {
	a.t.Helper()
	answer, sb := b.receive(a.offer(now), now)
	_, sa := a.receive(answer, now)
	return sa, sb
}

// seal gives a packet under s that says text.
func (s *side) seal(session *Session, text string, now time.Time) []byte {
	s.t.Helper()
	n, err := session.Reserve(1, len(text), now)
	if err != nil {
		s.t.Fatal(err)
	}
	packet, err := session.Keys().Seal(Compact, append(make([]byte, HeadSize), text...), n, new(Scratch))
	if err != nil {
		s.t.Fatal(err)
	}
	return packet
}

var errReplay = errors.New("replay")

// open takes a packet off the wire as a node does.
func (s *side) open(packet []byte, now time.Time) (string, error) {
	h, ok := ParseHead(packet)
	if !ok {
		return "", io.ErrUnexpectedEOF
	}
	session := s.table.Lookup(h.ID, now)
	if session == nil {
		return "", fmt.Errorf("unknown session %08x", h.ID)
	}
	n, ok := session.Expand(h)
	if !ok {
		return "", errReplay
	}
	text, err := session.Keys().Open(bytes.Clone(packet), n, new(Scratch))
	if err != nil {
		return "", err
	}
	if !s.table.Accept(session, n, len(packet), now) {
		return "", errReplay
	}
	return string(text), nil
}

// reads wants the packet to say text.
func (s *side) reads(why string, packet []byte, text string, now time.Time) {
	s.t.Helper()
	if got, err := s.open(packet, now); err != nil || got != text {
		s.t.Errorf("%s: %q, %v, want %q", why, got, err, text)
	}
}

// drops wants the packet not to be read.
func (s *side) drops(why string, packet []byte, now time.Time) {
	s.t.Helper()
	if got, err := s.open(packet, now); err == nil {
		s.t.Errorf("%s: %q was read", why, got)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantError(t *testing.T, what string, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: error %v, want %q in it", what, err, part)
	}
}
