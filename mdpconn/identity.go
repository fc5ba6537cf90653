package mdpconn

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"

	"golang.org/x/crypto/nacl/box"
)

// SeedSize is the length of an identity's seed, in bytes.
const SeedSize = ed25519.SeedSize

// An Identity is a combined identity (docs/overlay.md §1.1): from one secret
// seed come the box key pair, whose public key is the SID, and the signing key
// pair.
//
// An Identity never changes and may be used concurrently. Printing, logging or
// encoding one gives its SID, never a secret. The zero Identity is of no use.
type Identity struct {
	sid SID

	// secret is behind a pointer so that no formatter that walks over fields
	// comes upon its bytes.
	secret *secret
}

// secret is what must never leave the process other than into a key file.
type secret struct {
	seed [SeedSize]byte     // all the rest follows from it
	box  [32]byte           // Curve25519 scalar, clamped
	key  *ecdh.PrivateKey   // the same
	sign ed25519.PrivateKey // seed ‖ public key
}

// NewIdentity makes an identity from a fresh random seed.
func NewIdentity() (*Identity, error) {
	var seed [SeedSize]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("mdpconn: no randomness for a new identity: %w", err)
	}
	return IdentityFromSeed(seed[:])
}

// IdentityFromSeed makes the identity of a seed of SeedSize bytes; the same
// seed gives the same identity. It does not keep the slice. The seed must be
// secret and random: whoever can guess it is the identity.
func IdentityFromSeed(seed []byte) (*Identity, error) {
	if len(seed) != SeedSize {
		return nil, fmt.Errorf("mdpconn: seed of %d bytes, expected %d", len(seed), SeedSize)
	}
	k := &secret{sign: ed25519.NewKeyFromSeed(seed)}
	copy(k.seed[:], seed)
	h := sha512.Sum512(seed)
	copy(k.box[:], h[:32])
	k.box[0] &= 248
	k.box[31] &= 127
	k.box[31] |= 64
	priv, err := ecdh.X25519().NewPrivateKey(k.box[:])
	if err != nil {
		return nil, fmt.Errorf("mdpconn: no box key from this seed: %w", err)
	}
	k.key = priv
	return &Identity{sid: SID(priv.PublicKey().Bytes()), secret: k}, nil
}

// SID gives the identity's SID.
func (id *Identity) SID() SID { return id.sid }

// SignKey gives the public signing key. The slice is the caller's.
func (id *Identity) SignKey() ed25519.PublicKey {
	return append(ed25519.PublicKey(nil), id.secret.sign[SeedSize:]...)
}

// Sign gives the Ed25519 signature of msg, 64 bytes; the slice is the caller's.
func (id *Identity) Sign(msg []byte) []byte {
	return ed25519.Sign(id.secret.sign, msg)
}

// zeroShared is the box key of an all-zero X25519 result: HSalsa20 of two
// blocks of zeros. It is the same for everybody who provokes it.
var zeroShared = [32]byte{
	0x35, 0x1f, 0x86, 0xfa, 0xa3, 0xb9, 0x88, 0x46, 0x8a, 0x85, 0x01, 0x22, 0xb6, 0x5b, 0x0a, 0xce,
	0xce, 0x9c, 0x48, 0x26, 0x80, 0x6a, 0xee, 0xe6, 0x3d, 0xe9, 0xc0, 0xda, 0x2b, 0xd7, 0xf9, 0x1e,
}

// SharedKey gives the NaCl box key between this identity and the peer
// (docs/overlay.md §6.3), the same that the peer's identity gives for this
// one's SID. A peer that fails SID.Check is an error, and so is one with which
// the agreement comes to nothing. It takes about 50 µs; callers keep the key.
func (id *Identity) SharedKey(peer SID) (*[32]byte, error) {
	if err := peer.Check(); err != nil {
		return nil, err
	}
	key := new([32]byte)
	box.Precompute(key, (*[32]byte)(&peer), &id.secret.box)
	if subtle.ConstantTimeCompare(key[:], zeroShared[:]) == 1 {
		return nil, fmt.Errorf("mdpconn: SID %v gives no shared key, expected a Curve25519 public key", peer)
	}
	return key, nil
}

// Format implements fmt.Formatter: every verb prints the SID and nothing else.
// Like the two methods below it has a value receiver, so that a dereferenced
// Identity is as discreet as a pointer to one.
func (id Identity) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		fmt.Fprintf(f, "mdpconn.Identity(%v)", id.sid)
		return
	}
	io.WriteString(f, id.sid.String())
}

// MarshalText gives the SID in the form of SID.String, for encoders. There is
// no UnmarshalText: a SID does not make an identity.
func (id Identity) MarshalText() ([]byte, error) { return id.sid.MarshalText() }

// LogValue implements slog.LogValuer: it gives the SID.
func (id Identity) LogValue() slog.Value { return slog.StringValue(id.sid.String()) }
