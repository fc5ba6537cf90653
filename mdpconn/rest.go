package mdpconn

import "time"

// Link state serves those who are more than one hop apart, and stock nodes. Two
// nodes of ours that hear only each other leave it off after a while, and take it
// up again when either has something to tell, or the other goes on to tell
// (docs/overlay.md §8). Implementation.
const (
	restAfter = 3 * time.Second  // without anything to tell
	restDoubt = 2 * time.Second  // of the other's records, from when ours ended, show that it has its reasons
	restLater = 30 * time.Second // then
	restRound = 15 * time.Second // in place of recordEvery
	restFor   = time.Minute      // a neighbour that is not heard stays for so long, or as long as somebody holds it
)

// A rest is how a neighbour is left alone. Guarded by Node.mu.
type rest struct {
	on      bool
	onSince time.Time
	calm    time.Time // since when there is nothing to tell; zero: there is
	told    time.Time // its last record
}

// restsLocked reports whether a neighbour is to have no records now. Caller holds
// mu.
func (n *Node) restsLocked(nb *neighbour, now time.Time) bool {
	m, r := &n.mesh, &nb.rest
	switch {
	case len(m.neighbours) > 1, !nb.proven(), nb.peer.path.newest == 0, nb.acks, // others are near, or it is stock's
		len(nb.links) > 0, m.seekers > 0, nb.news > 0, m.stale, // somebody is reached, or looked for, through it
		!nb.relays.IsZero() && now.Sub(nb.relays) < restAfter:
		r.on, r.calm = false, time.Time{}
		return false
	case r.on && r.told.Sub(r.onSince) > restDoubt:
		r.on, r.calm = false, now.Add(restLater)
		return false
	case r.calm.IsZero():
		r.calm = now
	}
	if !r.on && now.Sub(r.calm) >= restAfter {
		r.on, r.onSince = true, now
	}
	return r.on
}

// restingLocked reports whether all neighbours, of which there is one then, are
// left alone. Caller holds mu.
func (n *Node) restingLocked() bool {
	for _, nb := range n.mesh.neighbours {
		if !nb.rest.on {
			return false
		}
	}
	return len(n.mesh.neighbours) > 0
}

// outlives reports whether a neighbour that is not heard stays, because
// nothing was to be heard. Caller holds mu.
func (nb *neighbour) outlives(now time.Time) bool {
	return nb.rest.on && (nb.peer.holds > 0 || now.Sub(nb.heard) < restFor)
}
