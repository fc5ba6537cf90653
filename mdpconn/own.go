package mdpconn

import (
	"bytes"
	"fmt"
	"sync/atomic"
)

// An ownIdentity is an identity of the node and what goes with it.
type ownIdentity struct {
	*Identity
	keyMap []byte // answer to a question for the signing key (docs/overlay.md §7)

	// sequence numbers the payloads that leave in this identity's name. One
	// counter for all destinations, as stock has it (docs/overlay.md §5): a
	// receiver with several SIDs drops repeated numbers whichever of them they
	// are for.
	sequence atomic.Uint32
}

// An identitySet is the node's identities. It is never changed, only replaced.
type identitySet struct {
	bySID map[SID]*ownIdentity
	order []*ownIdentity // the first is the primary one
}

// with gives a set with one more identity. A second one of the same SID is left
// out.
func (s *identitySet) with(id *Identity) *identitySet {
	if s.bySID[id.sid] != nil {
		return s
	}
	own := &ownIdentity{Identity: id, keyMap: keyMapAnswer(id)}
	next := &identitySet{bySID: make(map[SID]*ownIdentity, len(s.order)+1)}
	next.order = append(append(next.order, s.order...), own)
	for _, o := range next.order {
		next.bySID[o.sid] = o
	}
	return next
}

// find gives the identity of a SID, the primary one for Primary, or nil.
func (s *identitySet) find(sid SID) *ownIdentity {
	if sid == Primary && len(s.order) > 0 {
		return s.order[0]
	}
	return s.bySID[sid]
}

// match gives the identities whose SIDs start with the prefix.
func (s *identitySet) match(prefix []byte) (found []*ownIdentity) {
	for _, o := range s.order {
		if bytes.HasPrefix(o.sid[:], prefix) {
			found = append(found, o)
		}
	}
	return found
}

// Primary gives the SID of the primary identity.
func (n *Node) Primary() SID { return n.carrier.primary() }

// SIDs gives the SIDs of the node's identities, the primary one first. The
// slice is the caller's.
func (n *Node) SIDs() []SID { return n.carrier.sids() }

func (n *Node) sidsOverlay() []SID {
	order := n.own.Load().order
	sids := make([]SID, len(order))
	for i, o := range order {
		sids[i] = o.sid
	}
	return sids
}

// Identity gives the identity of a SID of this node, of Primary too; nil if it
// has none such, and in a node at a daemon, which keeps the secrets.
func (n *Node) Identity(sid SID) *Identity {
	if o := n.own.Load().find(sid); o != nil {
		return o.Identity
	}
	return nil
}

// AddIdentity gives the node one more identity. Adding one that it has does
// nothing. An identity cannot be taken away again.
func (n *Node) AddIdentity(id *Identity) error {
	if id == nil {
		return fmt.Errorf("mdpconn: no identity to add")
	}
	if n.config.Servald != nil {
		return fmt.Errorf("mdpconn: the identities of this node are servald's: add them to its keyring")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.own.Store(n.own.Load().with(id))
	return nil
}
