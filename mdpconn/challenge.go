package mdpconn

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"time"
)

// A challenge is an enciphered echo request that carries a token to one
// address. When the token comes back from that address, enciphered by the peer,
// the peer receives there. Every node echoes, stock ones too
// (docs/overlay.md §9).
const (
	tokenSize    = 16              // bytes
	challengeAge = 5 * time.Second // a challenge that takes longer has failed
)

// A token is a stamp, and the first half of an HMAC-SHA-256 of the stamp, the
// pair and the address, under a key that is the node's secret. So the node need
// not remember what it sent: a token is good for one address, and as a peer's
// proof must be newer than the one before, it is good once.
//
//	bytes 0 …  7  stamp: microseconds of the node's life, never the same twice
//	bytes 8 … 15  the first 8 bytes of the HMAC
type token [tokenSize]byte

// stampLocked gives the stamp of a challenge that is sent now. Caller holds mu.
func (n *Node) stampLocked(now time.Time) int64 {
	n.stamp = max(n.stamp+1, now.Sub(n.start).Microseconds())
	return n.stamp
}

func (n *Node) token(p pair, e endpoint, stamp int64) (t token) {
	binary.BigEndian.PutUint64(t[:8], uint64(stamp))
	h := hmac.New(sha256.New, n.tokenKey[:])
	h.Write(t[:8])
	h.Write(p.local[:])
	h.Write(p.remote[:])
	var b [10]byte
	binary.BigEndian.PutUint64(b[:], e.link.id)
	binary.BigEndian.PutUint16(b[8:], e.addr.Port())
	h.Write(b[:])
	ip := e.addr.Addr().As16()
	h.Write(ip[:])
	h.Write([]byte(e.addr.Addr().Zone()))
	copy(t[8:], h.Sum(nil))
	return t
}

// challengeAnswered handles the answer to a challenge: authenticated data from
// a peer's echo service that came directly from an address.
func (n *Node) challengeAnswered(p *peer, from endpoint, data []byte, made int64) {
	now := time.Now()
	if len(data) != tokenSize {
		n.count.discovery.challengesRefused.Add(1)
		return
	}
	stamp := int64(binary.BigEndian.Uint64(data))
	rtt := now.Sub(n.start.Add(time.Duration(stamp) * time.Microsecond))
	want := n.token(p.pair, from, stamp)
	if subtle.ConstantTimeCompare(want[:], data) != 1 || rtt > challengeAge {
		n.count.discovery.challengesRefused.Add(1)
		n.log.Debug("mdp challenge refused", "peer", p.remote, "from", from.addr)
		return
	}
	n.mu.Lock()
	p = n.authenticLocked(p, now)
	if made != 0 {
		// The token is fresh, so this is the peer's clock as it is now, be it
		// set back.
		p.path.newest = 0
		p.path.noteClock(now, made)
	}
	p.path.lastHeard = now
	v := p.path.passed(now, from, stamp, max(rtt, 0))
	n.neighbourProvenLocked(p, now)
	n.activateLocked(p)
	n.mu.Unlock()
	switch v {
	case challengeRefused:
		n.count.discovery.challengesRefused.Add(1)
	case endpointChanged:
		n.count.discovery.endpointChanges.Add(1)
		n.log.Info("mdp endpoint", "local", p.local, "peer", p.remote, "addr", from.addr, "rtt", rtt)
		fallthrough
	default:
		n.count.discovery.challengesPassed.Add(1)
	}
}
