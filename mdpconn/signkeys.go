package mdpconn

import (
	"sync"
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

// Sign keys that stand for SIDs. To work one out takes 20 µs or more, and anybody
// can put 35 of them in a packet. Implementation.
const (
	signKeyRate  = 500 // conversions per second: 1% of a core
	signKeyBurst = 100
	signKeyLimit = 512 // that are remembered, of each kind

	verifyRate  = 2000 // signatures per second that are verified: a tenth of a core
	verifyBurst = 200
	askKeyAgain = 100 * time.Millisecond // between questions for a sign key, to one SID (docs/overlay.md §7)
	askKeyRate  = 50                     // questions per second to all
	askKeyBurst = 50
)

// signKeys works out the SIDs of sign keys, at a bounded rate, and remembers
// them, and which SID has which. mu is a leaf, and not held while one is worked
// out.
//
// A key that stood for a SID fits it, but may be the other of the two that do; the
// one that the SID's holder told is proven. Anybody can have keys fit: they take no
// place of proven ones.
type signKeys struct {
	mu    sync.Mutex
	known map[[32]byte]SID // the zero SID: no key
	limit bucket

	fitting  map[SID][32]byte
	proven   map[SID][32]byte
	asked    map[SID]time.Time
	verify   bucket
	askLimit bucket
}

func (k *signKeys) init() {
	k.known = make(map[[32]byte]SID)
	k.limit = newBucket(signKeyRate, signKeyBurst)
	k.fitting = make(map[SID][32]byte)
	k.proven = make(map[SID][32]byte)
	k.asked = make(map[SID]time.Time)
	k.verify = newBucket(verifyRate, verifyBurst)
	k.askLimit = newBucket(askKeyRate, askKeyBurst)
}

// resolve gives the SID of a key, and reports false if it may not be worked out
// now. Of too many keys any is forgotten.
func (k *signKeys) resolve(key [32]byte, now time.Time) (sid SID, ok bool) {
	k.mu.Lock()
	sid, known := k.known[key]
	ok = known || k.limit.take(now)
	k.mu.Unlock()
	if known || !ok {
		return sid, ok
	}
	if s, err := overlay.SIDFromSignKey(key[:]); err == nil {
		sid = SID(s)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	makeRoom(k.known)
	k.known[key] = sid
	if _, known := k.fitting[sid]; !known && sid != (SID{}) {
		makeRoom(k.fitting)
		k.fitting[sid] = key
	}
	return sid, true
}

// makeRoom forgets any of too many.
func makeRoom[K comparable, V any](m map[K]V) {
	if len(m) < signKeyLimit {
		return
	}
	for old := range m {
		delete(m, old)
		return
	}
}

// find gives the sign key of a SID, if it is known, and whether a signature may
// be verified with it now.
func (k *signKeys) find(sid SID, now time.Time) (key [32]byte, known, proven, may bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, proven = k.proven[sid]
	if known = proven; !proven {
		key, known = k.fitting[sid]
	}
	return key, known, proven, !known || k.verify.take(now)
}

// ask reports whether a SID may be asked for its key now, and notes that it is.
func (k *signKeys) ask(sid SID, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if at, asked := k.asked[sid]; asked && now.Sub(at) < askKeyAgain || !k.askLimit.take(now) {
		return false
	}
	makeRoom(k.asked)
	k.asked[sid] = now
	return true
}

// learn takes the enciphered answer of a SID, and reports whether it is one to a
// question. The first key that holds stays.
func (k *signKeys) learn(sid SID, m *overlay.KeyMap) bool {
	k.mu.Lock()
	_, asked := k.asked[sid]
	delete(k.asked, sid)
	k.mu.Unlock()
	if !asked || !m.Verify(overlay.SID(sid)) {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, proven := k.proven[sid]; !proven {
		makeRoom(k.proven)
		k.proven[sid] = m.SignKey
	}
	return true
}

func (k *signKeys) len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.known)
}

// ResolveSignKey implements overlay.KeyResolver.
func (r resolver) ResolveSignKey(key [32]byte) (overlay.SID, overlay.Resolution) {
	sid, ok := r.node.signKeys.resolve(key, time.Now())
	switch {
	case !ok:
		r.node.count.dropped.signKeyLimit.Add(1)
		return overlay.SID{}, overlay.Unknown
	case sid == SID{}:
		return overlay.SID{}, overlay.Refused
	}
	return overlay.SID(sid), overlay.Resolved
}
