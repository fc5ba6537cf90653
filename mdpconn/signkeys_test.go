package mdpconn

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// signKeyPacket fills a packet with payloads whose sources are sign keys.
func signKeyPacket(sender SID, r *rand.ChaCha8) []byte {
	b := append([]byte{1, 1, 32}, sender[:]...)
	b = append(b, 0)
	for len(b)+38 <= 1200 {
		var key [32]byte
		r.Read(key[:])
		b = append(append(b, 0x06, 0xfb), key[:]...)
		b = append(b, 0, 0, 1, 'x')
	}
	return b
}

func TestSignKeysAreBounded(t *testing.T) {
	var k signKeys
	k.init()
	now := time.Now()
	r := rand.NewChaCha8([32]byte{1})
	id := fuzzSeed(1)
	honest := [32]byte(id.SignKey())
	if sid, ok := k.resolve(honest, now); !ok || sid != id.SID() {
		t.Fatalf("key of %v: got %v, %t", id.SID(), sid, ok)
	}
	resolved := 1
	for range 10000 {
		var key [32]byte
		r.Read(key[:])
		if _, ok := k.resolve(key, now); ok {
			resolved++
		}
	}
	if resolved != signKeyBurst {
		t.Errorf("%d keys worked out at once, want %d", resolved, signKeyBurst)
	}
	if sid, ok := k.resolve(honest, now); !ok || sid != id.SID() {
		t.Errorf("a key that is known: got %v, %t in a flood", sid, ok)
	}
	for range 5 {
		now = now.Add(time.Second)
		for range 2 * signKeyRate {
			var key [32]byte
			r.Read(key[:])
			k.resolve(key, now)
		}
	}
	if k.len() != signKeyLimit {
		t.Errorf("%d keys remembered, want %d", k.len(), signKeyLimit)
	}
	now = now.Add(time.Second)
	if sid, ok := k.resolve(honest, now); !ok || sid != id.SID() {
		t.Errorf("after a flood: got %v, %t", sid, ok)
	}
}

// BenchmarkSignKeyFlood handles packets full of sign keys that were never seen.
func BenchmarkSignKeyFlood(b *testing.B) {
	f := newFuzzTarget(b)
	from := netip.MustParseAddrPort("10.0.0.2:4110")
	r := rand.NewChaCha8([32]byte{1})
	sender := f.peer.SID()
	packets := make([][]byte, 1000)
	for i := range packets {
		packets[i] = signKeyPacket(sender, r)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		f.r.now = time.Now()
		f.r.handlePacket(from, packets[i%len(packets)])
	}
}
