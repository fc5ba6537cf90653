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
	signKeyLimit = 512 // that are remembered
)

// signKeys works out the SIDs of sign keys, at a bounded rate, and remembers
// them. mu is a leaf, and not held while one is worked out.
type signKeys struct {
	mu    sync.Mutex
	known map[[32]byte]SID // the zero SID: no key
	limit bucket
}

func (k *signKeys) init() {
	k.known = make(map[[32]byte]SID)
	k.limit = newBucket(signKeyRate, signKeyBurst)
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
	if len(k.known) >= signKeyLimit {
		for old := range k.known {
			delete(k.known, old)
			break
		}
	}
	k.known[key] = sid
	return sid, true
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
