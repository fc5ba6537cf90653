package overlay

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// A SID is a Curve25519 public key and the address of an identity
// (docs/overlay.md §1.1). The zero SID is none: it never stands in a packet.
type SID [32]byte

// String gives 64 upper-case hex digits.
func (s SID) String() string { return strings.ToUpper(hex.EncodeToString(s[:])) }

// short is for the one-line forms of packets.
func (s SID) short() string { return strings.ToUpper(hex.EncodeToString(s[:4])) + "…" }

// lowOrder holds the canonical encodings of the points whose order is 4 or 8, on
// the curve or its twist, and of u = -1; u = 0 falls to the rule on the first 31
// bytes.
var lowOrder = [...]SID{
	{1},
	{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
		0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
	{0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
		0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
	{0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
}

// Check refuses a SID that must not be used as an address: one whose first 31
// bytes are zero (docs/overlay.md §1.2), one that is not the canonical encoding
// of its point (with the top bit flipped it gives the same shared key and would
// pass as another identity), and one of low order. BROADCAST is among them.
func (s SID) Check() error {
	switch {
	case allEqual(s[:31], 0):
		return fmt.Errorf("overlay: SID %v: first 31 bytes are zero, want a public key", s)
	case s[31] >= 0x80:
		return fmt.Errorf("overlay: SID %v: top bit is set, want a number below 2^255-19", s)
	case s[31] == 0x7f && s[0] >= 0xed && allEqual(s[1:31], 0xff):
		return fmt.Errorf("overlay: SID %v: want a number below 2^255-19", s)
	case slices.Contains(lowOrder[:], s):
		return fmt.Errorf("overlay: SID %v: point of low order, want a public key", s)
	}
	return nil
}

func allEqual(b []byte, v byte) bool {
	for _, c := range b {
		if c != v {
			return false
		}
	}
	return true
}

var (
	fieldPrime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	curveA     = big.NewInt(486662)
	one        = big.NewInt(1)
)

var errSignKeyLen = errors.New("overlay: sign key is not 32 bytes long")

// SIDFromSignKey gives the SID of the combined identity with the Ed25519 public
// key signKey: u = (1+y)/(1-y) mod 2^255-19 (docs/overlay.md §1.1). It refuses
// bytes that are no point of the curve and keys whose SID does not pass
// [SID.Check]. For an older identity, with two unrelated key pairs, the result
// has no meaning. It allocates, and takes some 20 µs.
func SIDFromSignKey(signKey []byte) (SID, error) {
	if len(signKey) != len(SID{}) {
		return SID{}, errSignKeyLen
	}
	le := bytes.Clone(signKey)
	le[31] &= 0x7f
	slices.Reverse(le)
	y := new(big.Int).SetBytes(le)
	denom := new(big.Int).Sub(one, y)
	if y.Cmp(fieldPrime) >= 0 || denom.Sign() == 0 {
		return SID{}, fmt.Errorf("overlay: sign key %x: want a canonical point other than the neutral one", signKey)
	}
	u := denom.Mod(denom, fieldPrime)
	u.ModInverse(u, fieldPrime)
	u.Mul(u, y.Add(y, one)).Mod(u, fieldPrime)

	// On the curve exactly if u³ + Au² + u = ((u + A)u + 1)u is a square.
	v := new(big.Int).Add(u, curveA)
	v.Mul(v, u).Add(v, one).Mul(v, u).Mod(v, fieldPrime)
	if big.Jacobi(v, fieldPrime) < 0 {
		return SID{}, fmt.Errorf("overlay: sign key %x: not a point of the curve", signKey)
	}
	var sid SID
	u.FillBytes(sid[:])
	slices.Reverse(sid[:])
	return sid, sid.Check()
}
