package mdpconn

import (
	"encoding/binary"
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

// Floods. Specification: docs/overlay.md §8.8.
const floodSlots = 1024

// Implementation.
const (
	floodRate  = 50 // floods per second that are passed on
	floodBurst = 50
	throughFor = 6 * time.Second // a neighbour that told of a way through this node has its floods passed on for so long; it tells every 5 s
)

// A floodTable remembers the ids of floods, one in each slot. Guarded by Node.mu.
type floodTable struct {
	seen  [floodSlots][8]byte
	limit bucket
}

func (t *floodTable) init() { t.limit = newBucket(floodRate, floodBurst) }

// repeated reports whether an id was seen, and remembers it.
func (t *floodTable) repeated(id [8]byte) bool {
	slot := &t.seen[binary.BigEndian.Uint64(id[:])%floodSlots]
	if *slot == id {
		return true
	}
	*slot = id
	return false
}

// floodRepeated reports whether a flood was here before, and remembers it.
func (r *receiver) floodRepeated() bool {
	r.node.mu.Lock()
	defer r.node.mu.Unlock()
	return r.node.mesh.floods.repeated(r.payload.BroadcastID)
}

// flood passes a broadcast on to all neighbours.
func (r *receiver) flood(source SID) {
	n, p := r.node, &r.payload
	if r.neighbour == nil || !n.relays() {
		return
	}
	if len(p.Body) > overlay.MaxBody {
		n.count.relayed.refused.Add(1)
		return
	}
	hops := n.floodHops(r.neighbour, source, p, r.now)
	if len(hops) == 0 {
		return
	}
	q := overlay.Payload{
		Flags:       p.Flags & (overlay.Signed | overlay.ToBroadcast),
		Source:      fullSID(source),
		BroadcastID: p.BroadcastID,
		TTL:         p.Remaining(), Queue: p.Queue, Type: p.Type, Body: p.Body,
	}
	for _, h := range hops {
		r.forwarder.relay(n, h, &q, SID{}, r.now)
	}
	n.count.relayed.floods.Add(1)
}

// floodHops gives the neighbours that a flood is passed on to.
func (n *Node) floodHops(from *neighbour, source SID, p *overlay.Payload, now time.Time) (hops []*hop) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := &n.mesh
	switch {
	case p.Remaining() == 0:
		n.count.relayed.expired.Add(1)
		return nil
	case from.using && (from.through.IsZero() || now.Sub(from.through) >= throughFor):
		return nil // others are there for it
	case !m.floods.limit.take(now):
		n.count.relayed.limited.Add(1)
		return nil
	}
	for _, nb := range m.neighbours {
		if nb != from && nb.sid != source && nb.isLinked(now) {
			hops = append(hops, nb.hop())
		}
	}
	return hops
}
