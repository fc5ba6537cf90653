package stream

import "math/bits"

// maxVarint is the largest number that a varint holds.
const maxVarint = 1<<62 - 1

// varintLen returns the length of v as a varint (RFC 9000 §16): 1, 2, 4 or 8.
func varintLen(v uint64) int {
	switch n := bits.Len64(v); {
	case n <= 6:
		return 1
	case n <= 14:
		return 2
	case n <= 30:
		return 4
	}
	return 8
}

// appendVarint appends v, at most maxVarint.
func appendVarint(b []byte, v uint64) []byte {
	switch varintLen(v) {
	case 1:
		return append(b, byte(v))
	case 2:
		return append(b, 1<<6|byte(v>>8), byte(v))
	case 4:
		return append(b, 2<<6|byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
	return append(b, 3<<6|byte(v>>56), byte(v>>48), byte(v>>40), byte(v>>32),
		byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

// parseVarint reads a varint. n is its length, 0 if b is too short.
func parseVarint(b []byte) (v uint64, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	if n = 1 << (b[0] >> 6); n > len(b) {
		return 0, 0
	}
	v = uint64(b[0] & 0x3f)
	for _, c := range b[1:n] {
		v = v<<8 | uint64(c)
	}
	return v, n
}
