package mdpconn

import (
	"bytes"

	"mesh.example/msp/mdpconn/overlay"
)

// A directory finds SIDs by their first bytes. SIDs are counted: one that was
// added twice stays until it was removed twice.
type directory struct {
	counts map[SID]int
	byByte [256][]SID // each SID once, by its first byte
}

func (d *directory) init() { d.counts = make(map[SID]int) }

func (d *directory) add(sid SID) {
	if d.counts[sid]++; d.counts[sid] == 1 {
		d.byByte[sid[0]] = append(d.byByte[sid[0]], sid)
	}
}

func (d *directory) remove(sid SID) {
	if d.counts[sid]--; d.counts[sid] > 0 {
		return
	}
	delete(d.counts, sid)
	s := d.byByte[sid[0]]
	for i := range s {
		if s[i] == sid {
			s[i] = s[len(s)-1]
			d.byByte[sid[0]] = s[:len(s)-1]
			return
		}
	}
}

// match counts the SIDs that start with the prefix, and gives one of them.
func (d *directory) match(prefix []byte) (found SID, n int) {
	for _, sid := range d.byByte[prefix[0]] {
		if bytes.HasPrefix(sid[:], prefix) {
			found = sid
			n++
		}
	}
	return found, n
}

// acquaintanceLimit is how many SIDs an acquaintances holds. Implementation.
const acquaintanceLimit = 512

// acquaintances are the last SIDs of strangers that a node that announces itself
// has heard in full, so that it knows them when they are abbreviated. Guarded by
// Node.mu.
type acquaintances struct{ lately[SID] }

// add adds a SID that is not in d to both.
func (a *acquaintances) add(sid SID, d *directory) {
	d.add(sid)
	if old, full := a.put(sid, acquaintanceLimit); full {
		d.remove(old)
	}
}

// A resolver finds abbreviated SIDs among the node's identities and its peers
// (docs/overlay.md §4.1). It implements overlay.Resolver.
type resolver struct{ node *Node }

// ownWith gives the node's SID that starts with the prefix.
func (n *Node) ownWith(prefix []byte) SID { return n.own.Load().match(prefix)[0].sid }

func (r resolver) Resolve(prefix []byte) (overlay.SID, overlay.Resolution) {
	var found SID
	n := 0
	for _, own := range r.node.own.Load().order {
		if bytes.HasPrefix(own.sid[:], prefix) {
			found = own.sid
			n++
		}
	}
	r.node.mu.Lock()
	other, k := r.node.peers.remotes.match(prefix)
	r.node.mu.Unlock()
	if k > 0 {
		found = other
	}
	if n == 1 && len(prefix) >= shortSID {
		// Nobody begins like this by chance. So a name that somebody made up to
		// begin like an own one gets nothing that is meant for this node.
		return overlay.SID(r.node.ownWith(prefix)), overlay.Resolved
	}
	switch n + k {
	case 0:
		return overlay.SID{}, overlay.Unknown
	case 1:
		return overlay.SID(found), overlay.Resolved
	}
	return overlay.SID{}, overlay.Ambiguous
}
