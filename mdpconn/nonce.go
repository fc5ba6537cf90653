package mdpconn

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// nonceSize is the length of a box nonce, in bytes (docs/overlay.md §6.3).
const nonceSize = 24

// A boxNonce is the nonce of an enciphered payload. Those of our own say when
// they were made and by whom:
//
//	bytes  0 …  7  Unix time in microseconds, big-endian; the top bit is 0, as
//	               docs/overlay.md §6.3 wants it
//	bytes  8 … 15  random
//	bytes 16 … 23  tag: the first half of AES-128 of bytes 0 … 15 under a key
//	               that both ends of the SID pair have, and which is another one
//	               for each direction
//
// Time and random bytes together make a nonce unique. They need not be secret
// nor hard to guess: only never the same twice.
//
// The tag is what stock's nonces do not have. As the box key of a pair is
// symmetric, a packet of A to B that somebody sends back to A opens as if B had
// made it; but its tag is that of A's direction, so A knows it for its own,
// after a restart too. A nonce with the tag of the peer's direction comes from
// an implementation like this one, so that its time can be believed. A nonce
// with neither proves nothing, and is never refused: stock repeats nonces.
type boxNonce [nonceSize]byte

// nonceTagger computes the tags of one direction of a SID pair.
type nonceTagger struct {
	block cipher.Block
}

// newNonceTagger gives the tagger of what sender enciphers with the box key
// that it shares with somebody.
func newNonceTagger(key *[32]byte, sender SID) nonceTagger {
	h := hmac.New(sha256.New, key[:])
	h.Write([]byte("msp nonce tag"))
	h.Write(sender[:])
	block, err := aes.NewCipher(h.Sum(nil)[:16])
	if err != nil {
		panic("BUG: mdpconn: " + err.Error()) // only for a key of another length
	}
	return nonceTagger{block}
}

// fill makes a fresh nonce in n, using scratch.
func (t nonceTagger) fill(n *boxNonce, scratch *[16]byte, now time.Time) {
	binary.BigEndian.PutUint64(n[0:], uint64(now.UnixMicro())&^(1<<63))
	binary.BigEndian.PutUint64(n[8:], rand.Uint64())
	t.block.Encrypt(scratch[:], n[:16])
	copy(n[16:], scratch[:8])
}

// made reports whether n was made for this direction of this pair.
func (t nonceTagger) made(n *boxNonce, scratch *[16]byte) bool {
	t.block.Encrypt(scratch[:], n[:16])
	return subtle.ConstantTimeCompare(scratch[:8], n[16:]) == 1
}

// time gives the time in the nonce, in microseconds since 1970. It means
// something only if the peer made the nonce.
func (n *boxNonce) time() int64 {
	return int64(binary.BigEndian.Uint64(n[0:]) &^ (1 << 63))
}
