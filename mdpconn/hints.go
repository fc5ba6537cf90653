package mdpconn

import (
	"net/netip"
	"time"
)

// hintLimit is how many SIDs hints are kept for, each with up to
// maxCandidates addresses. Implementation.
const hintLimit = 1024

// A hintTable is the addresses that somebody gave for SIDs. Guarded by Node.mu.
type hintTable struct {
	bySID map[SID][]netip.AddrPort // the newest last
	order []SID                    // oldest first
}

func (t *hintTable) init()    { t.bySID = make(map[SID][]netip.AddrPort) }
func (t *hintTable) len() int { return len(t.order) }

func (t *hintTable) add(sid SID, addr netip.AddrPort) {
	addrs, ok := t.bySID[sid]
	if !ok {
		if len(t.order) == hintLimit {
			delete(t.bySID, t.order[0])
			t.order = append(t.order[:0], t.order[1:]...)
		}
		t.order = append(t.order, sid)
	}
	for i := range addrs {
		if addrs[i] == addr {
			return
		}
	}
	if len(addrs) == maxCandidates {
		addrs = append(addrs[:0], addrs[1:]...)
	}
	t.bySID[sid] = append(addrs, addr)
}

// AddHint names a UDP address at which a SID may be reached. It is a candidate,
// used side by side with others, and becomes the endpoint only once the SID has
// answered from there. Hints for SIDs and addresses that nothing can be sent to
// are ignored. The node remembers the last 1024 SIDs, and four addresses each.
func (n *Node) AddHint(remote SID, addr netip.AddrPort) {
	addr = unmap(addr)
	if remote.Check() != nil || !sendable(addr) {
		return
	}
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hints.add(remote, addr)
	for _, own := range n.own.Load().order {
		if p := n.peers.all[pair{own.sid, remote}]; p != nil {
			n.addHintsLocked(p, now)
		}
	}
}

// addHintsLocked makes candidates of the hints for a peer, one for each link
// that reaches the address. Caller holds mu.
func (n *Node) addHintsLocked(p *peer, now time.Time) {
	for _, addr := range n.hints.bySID[p.remote] {
		for _, l := range n.links {
			if l.reaches(addr) {
				p.path.addCandidate(now, endpoint{l, addr}, hinted)
			}
		}
	}
	if p.wanted(now) {
		n.activateLocked(p)
	}
}

// unmap gives an IPv4 address that was mapped into IPv6 its own form.
func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// sendable reports whether an address can be that of a single node.
func sendable(a netip.AddrPort) bool {
	return a.IsValid() && a.Port() != 0 && !a.Addr().IsUnspecified() && !a.Addr().IsMulticast()
}
