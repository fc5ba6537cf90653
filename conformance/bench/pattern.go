package main

import (
	"hash/crc32"
	"math/rand/v2"
	"sync"
)

const (
	patternLen = 1048573 // a prime: a block that is shifted or swapped never matches
	blockLen   = 128 << 10
)

// pattern is what bulk streams carry, again and again, with a block more of it
// so that every block is one slice.
var pattern = sync.OnceValue(func() []byte {
	b := make([]byte, patternLen)
	r := rand.NewChaCha8([32]byte{1, 2, 3})
	r.Read(b)
	return append(b, b[:2*blockLen]...)
})

// patternAt is n bytes of the stream from offset, n at most a block.
func patternAt(offset int64, n int) []byte {
	at := offset % patternLen
	return pattern()[at : at+int64(n)]
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
