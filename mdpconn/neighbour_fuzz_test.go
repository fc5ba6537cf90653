package mdpconn

import (
	"net/netip"
	"testing"
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

// FuzzNeighbour gives a relay any payload of a neighbour that it believes, and
// any link state, and does what is due then: nothing may panic, no table outgrow
// its limit, and nothing leave that may not.
func FuzzNeighbour(f *testing.F) {
	target := newFuzzTarget(f)
	n := target.node
	ids := []*Identity{target.peer, fuzzSeed(3)}
	addrs := []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:4110"), netip.MustParseAddrPort("10.0.0.3:4110")}
	far, own := fuzzSeed(4).SID(), n.Primary()
	f.Add([]byte{0x0c, 0x19, 0xff, 1, 1, far[0], 0, 4, 0, 0, 0, 7}, true)
	f.Add([]byte{8, 0x20, 2, far[0], far[1], 2, 0xff, 0}, true)
	f.Add([]byte{7, 0x22, 2, far[0], far[1], 0xff, 0x20}, true)
	f.Add(append(append([]byte{38, 0x20, 32}, far[:]...), 2, 0xff, 0), true)
	f.Add([]byte{0x71, 1, far[0], 1, own[0], 0x3f, 1, 0, 3, 1, 2, 3}, false)
	f.Add([]byte{0x43, 1, 2, 3, 4, 5, 6, 7, 8, 0x7f, 1, 0, 3, 5, 1, 2}, false)
	f.Fuzz(func(t *testing.T, data []byte, state bool) {
		now := time.Now()
		for i, id := range ids { // both are neighbours again
			n.mu.Lock()
			believeLocked(n, id.SID(), endpoint{n.links[0], addrs[i]}, now)
			n.mu.Unlock()
		}
		var ctx overlay.Context
		b, _ := overlay.AppendEnvelope(nil, &overlay.Envelope{
			Version: 1, Sender: fullSID(ids[0].SID()), Flags: overlay.PacketUnicast | overlay.PacketSeq, Seq: byte(len(data)),
		}, &ctx)
		if state {
			b = append(b, byte(overlay.SenderSame|overlay.ToBroadcast|overlay.OneHop), 0, byte((len(data)+1)>>8), byte(len(data)+1), 5)
		}
		b = append(b, data...)
		if len(b) > bufferSize {
			b = b[:bufferSize]
		}
		target.r.now = now
		target.r.handlePacket(addrs[0], b)
		target.r.forwarder.flush(now)
		target.r.out.deliver()
		var w work
		n.mu.Lock()
		n.mesh.roundAt = now
		n.collectMeshLocked(now, &w)
		n.mu.Unlock()
		n.sendRecords(w.records)
		s := n.Stats().Tables
		if s.Neighbours > s.NeighboursLimit || s.Unproven > s.UnprovenLimit || s.Routes > s.RoutesLimit || s.LinksTold > s.LinksToldLimit {
			t.Fatalf("tables: %+v", s)
		}
	})
}

// believeLocked makes a neighbour of a SID, as if it had answered a challenge and
// said that it hears the node.
func believeLocked(n *Node, sid SID, at endpoint, now time.Time) {
	nb := n.mesh.neighbours[sid]
	if nb == nil {
		n.meetLocked(sid, at, now)
		if nb = n.mesh.neighbours[sid]; nb == nil {
			return
		}
		n.mu.Unlock()
		n.introduce(nb, now)
		n.mu.Lock()
	}
	nb.peer.path.current.endpoint, nb.peer.path.known = at, true
	n.neighbourProvenLocked(nb.peer, now)
	nb.heard, nb.linked = now, now
	nb.number.on.Store(true)
	n.mesh.stale = true
}
