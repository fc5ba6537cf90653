package overlay

import (
	"crypto/ed25519"
	"fmt"
)

// keyTypeSign is the first byte of key map messages. Others on the port serve
// taking an identity back from another node (docs/overlay.md §7).
const keyTypeSign = 0x02

const keyResponseLen = 1 + ed25519.PublicKeySize + ed25519.SignatureSize

// A KeyMap is a message of port [PortKeyMap]: which sign key belongs to a SID
// (docs/overlay.md §7). It travels ciphered; a plain response is not to be
// believed, though the signature holds.
type KeyMap struct {
	Response  bool // otherwise a request, and the rest is zero
	SignKey   [32]byte
	Signature [SignatureLen]byte
}

// NewKeyResponse gives the response of the identity sid with the given key.
func NewKeyResponse(sid SID, key ed25519.PrivateKey) KeyMap {
	m := KeyMap{Response: true}
	copy(m.SignKey[:], key.Public().(ed25519.PublicKey))
	copy(m.Signature[:], ed25519.Sign(key, sid[:]))
	return m
}

// Verify tells if the message is a response made by the identity sid: its
// signature is over the SID itself, not over a hash.
func (m *KeyMap) Verify(sid SID) bool {
	return m.Response && ed25519.Verify(m.SignKey[:], sid[:], m.Signature[:])
}

// String gives the message in short.
func (m KeyMap) String() string {
	if !m.Response {
		return "keymap request"
	}
	return fmt.Sprintf("keymap response %X", m.SignKey)
}

// ParseKeyMap parses the application data of a key map message. Nothing is
// verified.
func ParseKeyMap(data []byte) (m KeyMap, err error) {
	switch {
	case len(data) == 0:
		return m, errNoData
	case data[0] != keyTypeSign:
		return m, fmt.Errorf("overlay: key map message %#02x: want 0x02", data[0])
	case len(data) == 1:
		return m, nil
	case len(data) != keyResponseLen:
		return m, fmt.Errorf("overlay: key map message of %d bytes: want 1 or %d", len(data), keyResponseLen)
	}
	m.Response = true
	copy(m.SignKey[:], data[1:])
	copy(m.Signature[:], data[1+len(m.SignKey):])
	return m, nil
}

// AppendKeyMap appends the application data of a key map message.
func AppendKeyMap(dst []byte, m *KeyMap) []byte {
	dst = append(dst, keyTypeSign)
	if m.Response {
		dst = append(dst, m.SignKey[:]...)
		dst = append(dst, m.Signature[:]...)
	}
	return dst
}
