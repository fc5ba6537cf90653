package session

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/sys/cpu"
)

// aead is short for what both ciphers are.
type aead = cipher.AEAD

// A Cipher enciphers the packets of a session. Both have keys of 32 bytes,
// nonces of 12 and tags of 16. The zero Cipher is none.
type Cipher byte

// Ciphers, numbered as their capabilities are (docs/extension.md §9.3).
const (
	AES256GCM        Cipher = 1
	ChaCha20Poly1305 Cipher = 2
)

// String gives the cipher's name.
func (c Cipher) String() string {
	switch c {
	case AES256GCM:
		return "AES-256-GCM"
	case ChaCha20Poly1305:
		return "ChaCha20-Poly1305"
	}
	return fmt.Sprintf("cipher(%d)", byte(c))
}

// QuickAES reports whether this processor has instructions for AES and for
// GCM's multiplication. Without them AES-GCM is slow, and ChaCha20 is not.
func QuickAES() bool {
	return cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ ||
		cpu.ARM64.HasAES && cpu.ARM64.HasPMULL ||
		cpu.S390X.HasAES && cpu.S390X.HasAESGCM
}

// new gives the cipher with a key.
func (c Cipher) new(key *[32]byte) (aead, error) {
	switch c {
	case AES256GCM:
		block, err := aes.NewCipher(key[:])
		if err != nil {
			return nil, fmt.Errorf("session: %v: %w", c, err)
		}
		return cipher.NewGCM(block)
	case ChaCha20Poly1305:
		return chacha20poly1305.New(key[:])
	}
	return nil, fmt.Errorf("session: %v, expected AES-256-GCM or ChaCha20-Poly1305", c)
}
