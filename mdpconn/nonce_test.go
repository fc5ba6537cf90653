package mdpconn

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestNonce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := [32]byte{1, 2, 3}
		a, b := SID{1}, SID{2}
		ta, tb := newNonceTagger(&key, a), newNonceTagger(&key, b)
		other := newNonceTagger(&[32]byte{9}, a)
		var n boxNonce
		var scratch [16]byte
		now := time.Now()
		seen := make(map[boxNonce]bool)
		for range 1000 { // in the same instant
			ta.fill(&n, &scratch, now)
			if seen[n] {
				t.Fatal("the same nonce twice")
			}
			seen[n] = true
			if n[0]&0x80 != 0 {
				t.Fatalf("nonce %x has its top bit set", n)
			}
			if n.time() != now.UnixMicro() {
				t.Fatalf("nonce has time %d, want %d", n.time(), now.UnixMicro())
			}
			if !ta.made(&n, &scratch) || tb.made(&n, &scratch) || other.made(&n, &scratch) {
				t.Fatal("the tag is not that of its direction alone")
			}
		}
		for i := range n {
			changed := n
			changed[i] ^= 1
			if ta.made(&changed, &scratch) {
				t.Errorf("byte %d does not count for the tag", i)
			}
		}
	})
}
