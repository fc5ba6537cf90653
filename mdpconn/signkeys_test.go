package mdpconn

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"mesh.example/msp/mdpconn/overlay"
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

// TestSignKeyOfASID: the key that the holder of a SID told enciphered takes the
// place of one that only fits the SID, stays, and is believed only if asked for.
func TestSignKeyOfASID(t *testing.T) {
	var k signKeys
	k.init()
	now := time.Now()
	id, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	sid := id.SID()
	fits := [32]byte(id.SignKey())
	fits[31] ^= 0x80 // the other point of that SID
	if got, ok := k.resolve(fits, now); got != sid || !ok {
		t.Fatalf("the other key gives %v, %v, want %v", got, ok, sid)
	}
	if key, known, proven, _ := k.find(sid, now); key != fits || !known || proven {
		t.Errorf("known %v, proven %v", known, proven)
	}
	answer := signKeyOf(id)
	if k.learn(sid, &answer) {
		t.Error("an answer that nobody asked for was believed")
	}
	if !k.ask(sid, now) || k.ask(sid, now.Add(askKeyAgain-1)) || !k.ask(sid, now.Add(askKeyAgain)) {
		t.Error("questions are not 100 ms apart")
	}
	if !k.learn(sid, &answer) {
		t.Error("the answer was not believed")
	}
	k.resolve(fits, now)
	if key, _, proven, _ := k.find(sid, now); key != answer.SignKey || !proven {
		t.Error("the proven key did not stay")
	}
	for i := range 2 * signKeyLimit {
		k.ask(SID{byte(i), byte(i >> 8), 2: 1}, now.Add(time.Duration(i)*time.Second))
	}
	if len(k.asked) > signKeyLimit {
		t.Errorf("%d SIDs asked are remembered, want %d", len(k.asked), signKeyLimit)
	}
}

// signKeyOf makes the answer to a question for a sign key.
func signKeyOf(id *Identity) overlay.KeyMap {
	m := overlay.KeyMap{Response: true, SignKey: [32]byte(id.SignKey())}
	sid := id.SID()
	copy(m.Signature[:], id.Sign(sid[:]))
	return m
}

// TestProvenSignKeysOutlastAFlood: keys of anybody, which come as sources of
// payloads, take no place of those that were proven; of both there are only so many.
func TestProvenSignKeysOutlastAFlood(t *testing.T) {
	var k signKeys
	k.init()
	now := time.Now()
	prove := func(seed byte, i int) SID {
		id, err := IdentityFromSeed(binary.LittleEndian.AppendUint32(make([]byte, SeedSize-4), uint32(i)<<8|uint32(seed)))
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
		answer := signKeyOf(id)
		if sid := id.SID(); !k.ask(sid, now) || !k.learn(sid, &answer) {
			t.Fatal("a key was not learnt")
		}
		return id.SID()
	}
	var proven []SID
	for i := range 20 {
		proven = append(proven, prove(1, i))
	}
	r := rand.NewChaCha8([32]byte{1})
	for range 20 {
		now = now.Add(time.Second)
		for range signKeyBurst {
			var key [32]byte
			r.Read(key[:])
			k.resolve(key, now)
		}
	}
	for _, sid := range proven {
		if _, _, proven, _ := k.find(sid, now); !proven {
			t.Errorf("the key of %v is gone", sid)
		}
	}
	if len(k.fitting) != signKeyLimit || len(k.proven) != len(proven) {
		t.Errorf("%d keys that fit are remembered, %d that are proven; want %d, %d", len(k.fitting), len(k.proven), signKeyLimit, len(proven))
	}
	for i := range signKeyLimit {
		prove(2, i)
	}
	if len(k.proven) != signKeyLimit {
		t.Errorf("%d proven keys are remembered, want %d", len(k.proven), signKeyLimit)
	}
}
