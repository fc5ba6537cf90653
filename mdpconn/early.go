package mdpconn

import (
	"sync/atomic"
	"time"

	"mesh.example/msp/mdpconn/session"
)

// earlyAge is how old a datagram in the box may be by the peer's clock, if there
// could be session keys (MSX-10.8). Specification.
const earlyAge = 10 * time.Second

// boxSlack is how long before the newest one heard a datagram in the box may have
// been made once there are session keys: what was on its way when they came about
// may be overtaken (MSX-10.10). None is delivered twice. Specification.
const boxSlack = time.Second

// mostLate is how old a datagram in the box may be that was made at the given
// time, 0 if that means nothing.
func (n *Node) mostLate(made int64) time.Duration {
	if n.sessions != nil && made != 0 {
		return earlyAge
	}
	return maxLateness
}

// early judges a datagram in the box that is to be delivered, and is otherwise
// right; made is the time in its nonce, 0 if that is not of our make. It gives
// what counts why it is dropped, or nil (MSX-10.8, MSX-10.9).
//
// The strike register remembers nonces of our make only: stock repeats its own. If
// it is full, datagrams of a peer that never had session keys pass nevertheless, as
// they do without it: else such peers could exchange no more than it remembers.
func (r *receiver) early(p *peer, made int64) *atomic.Uint64 {
	n := r.node
	if n.config.RequireSessionKeys {
		return &n.count.sessions.early
	}
	if made == 0 {
		return nil
	}
	n.mu.Lock()
	age := max(p.path.lateness(r.now, made), 0)
	able := p.able
	n.mu.Unlock()
	n.sessions.mu.Lock()
	v := n.sessions.strikes.Take(p.pair.session().Peer, r.nonce, age, r.now)
	n.sessions.mu.Unlock()
	switch {
	case v == session.Aged:
		return &n.count.dropped.late
	case v == session.Repeated:
		return &n.count.dropped.repeated
	case v == session.Crowded && able:
		return &n.count.sessions.crowded
	}
	return nil
}
