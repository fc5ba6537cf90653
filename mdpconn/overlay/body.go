package overlay

import (
	"crypto/ed25519"
	"crypto/sha512"
	"errors"
	"fmt"

	"golang.org/x/crypto/nacl/secretbox"
)

// Sizes of bodies, in bytes (docs/overlay.md §6.2, §10).
const (
	NonceLen     = 24
	MACLen       = secretbox.Overhead
	SignatureLen = ed25519.SignatureSize
	SealOverhead = NonceLen + MACLen

	// A ciphered body that begins with SessionBody, as no nonce does, is under
	// session keys (docs/extension.md §12): what follows that byte means nothing
	// to a relay, and to a stock node. It has MinSessionBody bytes at least.
	SessionBody    = 0x80
	MinSessionBody = 24

	// MaxBody is the largest body that may be sent: a stock servald that has
	// to queue a larger one ends (docs/overlay.md §11).
	MaxBody = 1199
	// MaxSealed is the largest plaintext, ports and data, of a ciphered body.
	MaxSealed = MaxBody - SealOverhead
	// MaxSigned is the largest plaintext of a signed body.
	MaxSigned = MaxBody - SignatureLen
)

// A Mode is how the body of a data payload is protected (docs/overlay.md §6.2).
type Mode uint8

// Modes.
const (
	ModePlain    Mode = iota // body = plaintext
	ModeSigned               // body = plaintext ‖ signature
	ModeCiphered             // body = nonce ‖ MAC ‖ ciphertext; authenticated
)

// String gives the mode as one word.
func (m Mode) String() string {
	switch m {
	case ModePlain:
		return "plain"
	case ModeSigned:
		return "signed"
	case ModeCiphered:
		return "ciphered"
	}
	return fmt.Sprintf("mode(%d)", uint8(m))
}

var (
	errShortCiphered = fmt.Errorf("overlay: ciphered body is shorter than %d bytes", SealOverhead)
	errShortSigned   = fmt.Errorf("overlay: signed body is shorter than %d bytes", SignatureLen)
	errNonceBit      = errors.New("overlay: top bit of the nonce is set, want 0")
	errOpen          = errors.New("overlay: ciphered body does not open")
	errSignature     = errors.New("overlay: signature does not verify")
	errNoData        = errors.New("overlay: data payload has no application data, want at least 1 byte")
)

// checkPlaintext refuses a plaintext that may not be sent.
func checkPlaintext(plaintext []byte, limit int) error {
	p, data, err := ParsePorts(plaintext)
	if err != nil {
		return err
	}
	if err := p.Check(); err != nil {
		return err
	}
	if err := CheckData(p, data); err != nil {
		return err
	}
	if len(plaintext) > limit {
		return fmt.Errorf("overlay: plaintext of %d bytes: want at most %d", len(plaintext), limit)
	}
	return nil
}

// SealBody appends nonce ‖ MAC ‖ ciphertext of plaintext, ports and data, under
// the precomputed box key of the two end points (docs/overlay.md §6.3). The
// nonce has to be one that was never used with the key, with the top bit of
// byte 0 clear. plaintext must not lie in the spare capacity of dst. Errors: a
// nonce with the top bit set, bad ports, no data, more than [MaxSealed] bytes.
func SealBody(dst []byte, key *[32]byte, nonce *[NonceLen]byte, plaintext []byte) ([]byte, error) {
	if nonce[0]&0x80 != 0 {
		return dst, errNonceBit
	}
	if err := checkPlaintext(plaintext, MaxSealed); err != nil {
		return dst, err
	}
	return secretbox.Seal(append(dst, nonce[:]...), plaintext, nonce, key), nil
}

// Nonce gives the nonce of a ciphered body. It is not authenticated until the
// body has been opened, and one from stock may repeat (docs/overlay.md §6.3).
func Nonce(body []byte) (nonce [NonceLen]byte, err error) {
	if len(body) < SealOverhead {
		return nonce, errShortCiphered
	}
	copy(nonce[:], body)
	if nonce[0]&0x80 != 0 {
		return nonce, errNonceBit
	}
	return nonce, nil
}

// OpenBody checks a ciphered body and appends its plaintext, ports and data.
// body must not lie in the spare capacity of dst.
func OpenBody(dst []byte, key *[32]byte, body []byte) ([]byte, error) {
	nonce, err := Nonce(body)
	if err != nil {
		return dst, err
	}
	out, ok := secretbox.Open(dst, body[NonceLen:], &nonce, key)
	if !ok {
		return dst, errOpen
	}
	return out, nil
}

// SignBody appends plaintext ‖ signature. The signature is Ed25519 over the
// SHA-512 of the plaintext (docs/overlay.md §6.4). Errors: bad ports, no
// data, more than [MaxSigned] bytes.
func SignBody(dst []byte, key ed25519.PrivateKey, plaintext []byte) ([]byte, error) {
	if err := checkPlaintext(plaintext, MaxSigned); err != nil {
		return dst, err
	}
	sum := sha512.Sum512(plaintext)
	sig := ed25519.Sign(key, sum[:])
	return append(append(dst, plaintext...), sig...), nil
}

// SplitSigned gives the two parts of a signed body; they alias it. Nothing is
// verified.
func SplitSigned(body []byte) (plaintext, signature []byte, err error) {
	n := len(body) - SignatureLen
	if n < 0 {
		return nil, nil, errShortSigned
	}
	return body[:n:n], body[n:], nil
}

// VerifyBody gives the plaintext of a signed body if the signature verifies
// under the sign key of its source. It aliases body.
func VerifyBody(signKey *[32]byte, body []byte) ([]byte, error) {
	plaintext, signature, err := SplitSigned(body)
	if err != nil {
		return nil, err
	}
	sum := sha512.Sum512(plaintext)
	if !ed25519.Verify(signKey[:], sum[:], signature) {
		return nil, errSignature
	}
	return plaintext, nil
}
