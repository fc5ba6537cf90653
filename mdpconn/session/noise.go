package session

import (
	"cmp"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/chacha20poly1305"

	"mesh.example/msp/mdpconn/overlay"
)

// Noise_KK_25519_ChaChaPoly_SHA256 of the Noise Protocol Framework, revision
// 34, and no more of it than docs/extension.md §9.2 needs.

// protocolName is as long as a hash, so that it is the first one itself.
const protocolName = "Noise_KK_25519_ChaChaPoly_SHA256"

const (
	keySize = 32
	tagSize = 16
)

// A Static is the secret of an identity, which stays with whoever implements
// this: all that the key agreement asks of it is X25519.
type Static interface {
	// DH gives X25519 of the secret and public. It fails if the result is zero:
	// public is of low order then. The agreement refuses that result itself too.
	DH(public [32]byte) ([32]byte, error)
}

// errLowOrder says that a public key gives the same secret to everybody.
var errLowOrder = errors.New("session: X25519 gives zero, expected a public key that is not of low order")

// symmetric is Noise's SymmetricState with its CipherState, whose nonce is
// always 0: in KK each key enciphers one payload.
type symmetric struct {
	chain [sha256.Size]byte
	hash  [sha256.Size]byte
	key   [keySize]byte
}

func (s *symmetric) init(prologue []byte) {
	copy(s.hash[:], protocolName)
	s.chain = s.hash
	s.mixHash(prologue)
}

func (s *symmetric) mixHash(data []byte) {
	h := sha256.New()
	h.Write(s.hash[:])
	h.Write(data)
	h.Sum(s.hash[:0])
}

// mixKey takes a shared secret into chaining key and key, and overwrites it.
func (s *symmetric) mixKey(secret *[32]byte) {
	s.chain, s.key = hkdf(&s.chain, secret[:])
	clear(secret[:])
}

// hkdf is Noise's HKDF with two outputs.
func hkdf(chain *[32]byte, material []byte) (first, second [32]byte) {
	temp := hmac256(chain[:], material, nil)
	first = hmac256(temp[:], nil, []byte{1})
	second = hmac256(temp[:], first[:], []byte{2})
	clear(temp[:])
	return first, second
}

func hmac256(key, data, more []byte) (sum [32]byte) {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	h.Write(more)
	h.Sum(sum[:0])
	return sum
}

// seal is EncryptAndHash: it appends the sealed plaintext to dst.
func (s *symmetric) seal(dst, plaintext []byte) []byte {
	n := len(dst)
	var nonce [chacha20poly1305.NonceSize]byte
	dst = s.aead().Seal(dst, nonce[:], plaintext, s.hash[:])
	s.mixHash(dst[n:])
	return dst
}

// open is DecryptAndHash.
func (s *symmetric) open(sealed []byte) ([]byte, error) {
	var nonce [chacha20poly1305.NonceSize]byte
	plaintext, err := s.aead().Open(nil, nonce[:], sealed, s.hash[:])
	if err != nil {
		return nil, ErrOpen
	}
	s.mixHash(sealed)
	return plaintext, nil
}

func (s *symmetric) aead() aead {
	a, err := chacha20poly1305.New(s.key[:])
	if err != nil {
		panic("BUG: session: " + err.Error()) // only for a key of another length
	}
	return a
}

// split gives the keys of the initiator's and of the responder's direction.
func (s *symmetric) split() (initiator, responder [32]byte) { return hkdf(&s.chain, nil) }

// handshake is Noise's HandshakeState for KK, on either side. Between the
// messages it holds secrets: wipe it when it is of no more use.
type handshake struct {
	symmetric
	static Static
	peer   overlay.SID // the other side's static key

	ephemeral     *ecdh.PrivateKey // cannot be overwritten, only let go of
	public        [32]byte         // of ephemeral
	peerEphemeral [32]byte
}

// newHandshake begins the agreement: prologue and the pre-messages s, s.
func newHandshake(p Pair, static Static, initiator bool) handshake {
	h := handshake{static: static, peer: p.Peer}
	first, second := p.Local, p.Peer
	if !initiator {
		first, second = second, first
	}
	prologue := make([]byte, 0, len(prologueText)+2*len(first))
	prologue = append(prologue, prologueText...)
	prologue = append(prologue, first[:]...)
	prologue = append(prologue, second[:]...)
	h.init(prologue)
	h.mixHash(first[:])
	h.mixHash(second[:])
	return h
}

const prologueText = "msp session 1"

// newEphemeral draws the ephemeral key.
func (h *handshake) newEphemeral(rand io.Reader) error {
	var secret [32]byte
	defer clear(secret[:])
	if _, err := io.ReadFull(rand, secret[:]); err != nil {
		return fmt.Errorf("session: no randomness for an ephemeral key: %w", err)
	}
	key, err := ecdh.X25519().NewPrivateKey(secret[:])
	if err != nil {
		return fmt.Errorf("session: no ephemeral key: %w", err)
	}
	h.ephemeral = key
	copy(h.public[:], key.PublicKey().Bytes())
	return nil
}

// mixStatic mixes in X25519 of the own identity and public.
func (h *handshake) mixStatic(public *[32]byte) error {
	secret, err := h.static.DH(*public)
	if err != nil {
		return err
	}
	return h.mixSecret(&secret)
}

// mixEphemeral mixes in X25519 of the own ephemeral key and public.
func (h *handshake) mixEphemeral(public *[32]byte) error {
	key, err := ecdh.X25519().NewPublicKey(public[:])
	if err != nil {
		return fmt.Errorf("session: X25519: %w", err)
	}
	b, err := h.ephemeral.ECDH(key)
	if err != nil {
		return errLowOrder
	}
	secret := [32]byte(b)
	clear(b)
	return h.mixSecret(&secret)
}

// mixSecret refuses the result of a public key of low order. X25519 has told
// in constant time, but a Static may be anybody's.
func (h *handshake) mixSecret(secret *[32]byte) error {
	var zero [32]byte
	if subtle.ConstantTimeCompare(secret[:], zero[:]) == 1 {
		return errLowOrder
	}
	h.mixKey(secret)
	return nil
}

// writeFirst is the initiator's message, e, es, ss, behind head.
func (h *handshake) writeFirst(head, payload []byte) ([]byte, error) {
	h.mixHash(head)
	h.mixHash(h.public[:])
	if err := cmp.Or(h.mixEphemeral((*[32]byte)(&h.peer)), h.mixStatic((*[32]byte)(&h.peer))); err != nil {
		return nil, err
	}
	return h.seal(append(head, h.public[:]...), payload), nil
}

// readFirst is the responder's reading of it.
func (h *handshake) readFirst(head []byte, ephemeral *[32]byte, sealed []byte) ([]byte, error) {
	h.peerEphemeral = *ephemeral
	h.mixHash(head)
	h.mixHash(ephemeral[:])
	if err := cmp.Or(h.mixStatic(ephemeral), h.mixStatic((*[32]byte)(&h.peer))); err != nil {
		return nil, err
	}
	return h.open(sealed)
}

// writeSecond is the responder's message, e, ee, se, behind head.
func (h *handshake) writeSecond(head, payload []byte) ([]byte, error) {
	h.mixHash(head)
	h.mixHash(h.public[:])
	if err := cmp.Or(h.mixEphemeral(&h.peerEphemeral), h.mixEphemeral((*[32]byte)(&h.peer))); err != nil {
		return nil, err
	}
	return h.seal(append(head, h.public[:]...), payload), nil
}

// readSecond is the initiator's reading of it.
func (h *handshake) readSecond(head []byte, ephemeral *[32]byte, sealed []byte) ([]byte, error) {
	h.mixHash(head)
	h.mixHash(ephemeral[:])
	if err := cmp.Or(h.mixEphemeral(ephemeral), h.mixStatic(ephemeral)); err != nil {
		return nil, err
	}
	return h.open(sealed)
}

// wipe overwrites all secrets, and lets go of the ephemeral key.
func (h *handshake) wipe() { *h = handshake{} }
