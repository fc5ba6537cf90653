package session

import (
	"crypto/rand"
	"fmt"
	"testing"
)

func BenchmarkSeal(b *testing.B) {
	benchmark(b, func(b *testing.B, c Cipher, size int) {
		keys, _ := newKeyPair(b, c)
		buf, scratch, n := make([]byte, size), new(Scratch), uint64(0)
		for b.Loop() {
			if _, err := keys.Seal(Compact, buf[:size-tagSize], n, scratch); err != nil {
				b.Fatal(err)
			}
			n++
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	benchmark(b, func(b *testing.B, c Cipher, size int) {
		keys, peer := newKeyPair(b, c)
		packet, err := keys.Seal(Compact, make([]byte, size-tagSize, size), 0, new(Scratch))
		if err != nil {
			b.Fatal(err)
		}
		buf, scratch := make([]byte, size), new(Scratch)
		var w Window
		for n := uint64(0); b.Loop(); n++ {
			copy(buf, packet)
			if _, err := peer.Open(buf, 0, scratch); err != nil || !w.Receive(n) {
				b.Fatal(err)
			}
		}
	})
}

// benchmark runs f for both ciphers and for packets of two sizes.
func benchmark(b *testing.B, f func(b *testing.B, c Cipher, size int)) {
	for _, c := range ciphers {
		for _, size := range []int{1200, 60000} {
			b.Run(fmt.Sprintf("%v/%d", c, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				f(b, c, size)
			})
		}
	}
}

// BenchmarkHandshake is offer, answer and the reading of both.
func BenchmarkHandshake(b *testing.B) {
	i, r := newIdentity(b, [32]byte{1}), newIdentity(b, [32]byte{2})
	own := Payload{Capabilities: ours}
	for b.Loop() {
		o, err := NewOffer(Pair{i.sid, r.sid}, i, 1, own, rand.Reader, start)
		if err != nil {
			b.Fatal(err)
		}
		got, err := ReadOffer(Pair{r.sid, i.sid}, r, o.Bytes())
		if err != nil {
			b.Fatal(err)
		}
		answer, _, err := got.Answer(2, own, rand.Reader, start)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := o.ReadAnswer(answer, start); err != nil {
			b.Fatal(err)
		}
	}
}
