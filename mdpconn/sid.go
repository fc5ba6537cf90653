package mdpconn

import (
	"encoding/hex"
	"fmt"
)

// A SID names an identity: it is the identity's Curve25519 public key, and so
// at once the address of datagrams and the key they are enciphered to
// (docs/overlay.md §1.1). SIDs are comparable and may be map keys.
//
// Any 32 bytes fit in a SID; Check tells which of them may be talked to.
// ParseSID and UnmarshalText return only SIDs that pass Check.
type SID [32]byte

// Two values that are no identity's SID stand for a choice of identities when
// binding. They fail Check: no enciphered datagram goes to them, and none comes from them.
var (
	// Primary is the zero SID: the node's primary identity.
	Primary = SID{}

	// All is 32 bytes of 0xff: every identity of the node; as the remote SID of a
	// datagram that is signed or plain, everybody.
	All = SID{
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	}
)

// ParseSID reads a SID from 64 hexadecimal digits of any case. A text of
// another form, and a SID that fails Check, are an error.
func ParseSID(s string) (SID, error) {
	var sid SID
	if err := sid.parse(s); err != nil {
		return SID{}, err
	}
	return sid, nil
}

// parse sets s from text. After an error s is undefined.
func (s *SID) parse(text string) error {
	if len(text) != hex.EncodedLen(len(s)) {
		return fmt.Errorf("mdpconn: SID %s has %d characters, expected %d hexadecimal digits",
			clip(text), len(text), hex.EncodedLen(len(s)))
	}
	if _, err := hex.Decode(s[:], []byte(text)); err != nil {
		return fmt.Errorf("mdpconn: SID %s has a character that is no hexadecimal digit, expected %d of them",
			clip(text), hex.EncodedLen(len(s)))
	}
	return s.Check()
}

// String gives the SID as 64 upper-case hexadecimal digits, the form stock
// prints.
func (s SID) String() string {
	return string(s.appendText(make([]byte, 0, hex.EncodedLen(len(s)))))
}

// appendText appends the 64 digits of String to b.
func (s SID) appendText(b []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range s {
		b = append(b, digits[c>>4], digits[c&15])
	}
	return b
}

// MarshalText gives the same form as String. It never fails, not even for
// Primary and All, which UnmarshalText then refuses.
func (s SID) MarshalText() ([]byte, error) {
	return s.appendText(nil), nil
}

// UnmarshalText is ParseSID. After an error s is unchanged.
func (s *SID) UnmarshalText(text []byte) error {
	sid, err := ParseSID(string(text))
	if err != nil {
		return err
	}
	*s = sid
	return nil
}

// Check tells whether s can be an identity's SID. An error names the SID and
// what was expected. Refused are:
//
//   - a SID that is not canonical, that is, with the top bit set or of a value
//     not below 2^255-19: it has the same shared keys as the canonical one and
//     would pass as another identity;
//   - a SID of low order: its shared keys are known to everybody;
//   - a SID whose first 31 bytes are zero, reserved (docs/overlay.md §1.2).
func (s SID) Check() error {
	switch {
	case s[31]&0x80 != 0:
		return fmt.Errorf("mdpconn: SID %v has its top bit set, expected a number below 2^255-19", s)
	case s.aboveField():
		return fmt.Errorf("mdpconn: SID %v is not canonical, expected a number below 2^255-19", s)
	case s.reserved():
		return fmt.Errorf("mdpconn: SID %v is reserved, expected one whose first 31 bytes are not all zero", s)
	case s.lowOrder():
		return fmt.Errorf("mdpconn: SID %v is a point of low order, expected a Curve25519 public key", s)
	}
	return nil
}

// aboveField reports whether s, whose top bit is clear, is 2^255-19 or more as
// a little-endian number.
func (s SID) aboveField() bool {
	if s[31] != 0x7f || s[0] < 0xed {
		return false
	}
	for _, c := range s[1:31] {
		if c != 0xff {
			return false
		}
	}
	return true
}

// reserved reports whether the first 31 bytes are zero: ANY, INTERNAL and
// their like (docs/overlay.md §1.2).
func (s SID) reserved() bool {
	for _, c := range s[:31] {
		if c != 0 {
			return false
		}
	}
	return true
}

// lowOrderPoints are the u-coordinates, each in its canonical form, of the
// points of Curve25519 and of its twist whose order divides 8. X25519 of any
// secret with one of them is zero.
var lowOrderPoints = [...]SID{
	{}, // 0, of order 2 on both
	{1},
	{
		0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
		0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
	},
	{
		0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
		0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
	},
	{ // 2^255-20, that is -1
		0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
	},
}

// lowOrder reports whether s is one of lowOrderPoints. A SID is public, so the
// comparison need not take constant time.
func (s SID) lowOrder() bool {
	for i := range lowOrderPoints {
		if s == lowOrderPoints[i] {
			return true
		}
	}
	return false
}

// clip quotes a text given by a user for an error message: on one line, and
// cut when it is long.
func clip(s string) string {
	const most = 80 // bytes; a SID with a port has 75
	if len(s) <= most {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q...", s[:most])
}
