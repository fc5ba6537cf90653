package mdpconn

import (
	"bytes"
	"container/heap"
	"slices"
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

// Route choice. Specification: docs/overlay.md §8.9.
const (
	maxCost     = 99 // of a path
	freeDrops   = 2  // a link with a drop rate up to this costs nothing
	maxRoutes   = 1024
	versionsMod = overlay.MaxLinkVersion + 1
)

// A route is the way to a SID.
type route struct {
	via         *neighbour
	transmitter SID // the last hop before the SID; this node for a neighbour
	drop        byte
	hops, cost  int
}

// A label is a route that is weighed up.
type label struct {
	sid SID
	route
	loose bool // somebody on the way is better reached through another neighbour
}

// before orders labels: those without a catch, the cheapest, the shortest, the
// neighbour met last.
func (a *label) before(b *label) bool {
	switch {
	case a.loose != b.loose:
		return b.loose
	case a.cost != b.cost:
		return a.cost < b.cost
	case a.hops != b.hops:
		return a.hops < b.hops
	case !a.via.met.Equal(b.via.met):
		return a.via.met.After(b.via.met)
	}
	return bytes.Compare(a.via.sid[:], b.via.sid[:]) < 0
}

type labels []label

func (l labels) Len() int           { return len(l) }
func (l labels) Less(i, j int) bool { return l[i].before(&l[j]) }
func (l labels) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *labels) Push(x any)        { *l = append(*l, x.(label)) }
func (l *labels) Pop() any {
	old := *l
	x := old[len(old)-1]
	*l = old[:len(old)-1]
	return x
}

// weigh gives the cost of a link.
func weigh(drop byte) int {
	if drop <= freeDrops {
		return 0
	}
	return int(drop)
}

// routesLocked computes the routes to everybody. What each neighbour tells of is
// a tree of its own ways, with a link for each SID; they are joined as by
// Dijkstra. A SID behind T counts for a neighbour only if T itself is best
// reached through the same one; only who is not reached otherwise is an
// exception. Caller holds mu.
func (n *Node) routesLocked(now time.Time) map[SID]route {
	set := n.own.Load()
	var queue labels
	behind := make(map[*neighbour]map[SID][]SID)
	for _, nb := range n.mesh.neighbours {
		if !nb.isLinked(now) {
			continue
		}
		drop := nb.dropRate()
		queue = append(queue, label{sid: nb.sid, route: route{nb, set.order[0].sid, drop, 1, weigh(drop)}})
		tree := make(map[SID][]SID)
		for receiver, l := range nb.links {
			tree[l.transmitter] = append(tree[l.transmitter], receiver)
		}
		behind[nb] = tree
	}
	heap.Init(&queue)
	best := make(map[SID]route)
	for queue.Len() > 0 && len(best) < maxRoutes {
		at := heap.Pop(&queue).(label)
		if set.bySID[at.sid] != nil {
			continue
		}
		if _, ok := best[at.sid]; ok {
			at.loose = true
		} else {
			best[at.sid] = at.route
		}
		if at.hops == overlay.MaxTTL {
			continue
		}
		for _, sid := range behind[at.via][at.sid] {
			l := at.via.links[sid]
			next := label{sid: sid, route: route{at.via, at.sid, l.drop, at.hops + 1, at.cost + weigh(l.drop)}, loose: at.loose}
			if next.cost <= maxCost {
				heap.Push(&queue, next)
			}
		}
	}
	return best
}

// reaches reports whether a neighbour told of a way to a SID that does not lead
// through this node.
func (nb *neighbour) reaches(sid SID, set *identitySet) bool {
	for range overlay.MaxTTL {
		if sid == nb.sid {
			return true
		}
		l, ok := nb.links[sid]
		if !ok || set.bySID[sid] != nil {
			return false
		}
		sid = l.transmitter
	}
	return false
}

// hops gives how long a neighbour says its way to a SID is, from this node; 0 if it
// does not tell of one.
func (nb *neighbour) hops(sid SID) int {
	for k := 1; k <= overlay.MaxTTL; k++ {
		if sid == nb.sid {
			return k
		}
		l, ok := nb.links[sid]
		if !ok {
			return 0
		}
		sid = l.transmitter
	}
	return 0
}

// An advert is what the node tells its neighbours about a SID.
type advert struct {
	sid         SID
	transmitter SID
	drop        byte
	hops        int
	version     byte
	via         *neighbour // nil: an own identity
	lost        bool       // there is no path any more
	news        int        // rounds in which it is told although it is not its turn
}

// set notes a route, and reports whether that is news.
func (a *advert) set(via *neighbour, transmitter SID, drop byte, hops int) {
	if a.via != via {
		a.via, a.news = via, changeRuns
	}
	if a.news > 0 && a.version == 0 || a.lost || a.transmitter != transmitter || a.drop != drop {
		a.version = (a.version + 1) % versionsMod
		a.news = changeRuns
	}
	a.transmitter, a.drop, a.hops, a.lost = transmitter, drop, hops, false
}

// routesChangedLocked computes the routes, and what to tell of them: a relay
// tells of everybody, another node only of its own identities. Caller holds mu.
func (n *Node) routesChangedLocked(now time.Time) {
	m := &n.mesh
	m.routes = n.routesLocked(now)
	own := n.own.Load().order
	for sid, a := range m.adverts {
		if _, ok := m.routes[sid]; !ok && !a.lost && n.own.Load().bySID[sid] == nil {
			a.lost, a.news = true, changeRuns
		}
	}
	if n.relays() {
		for sid, r := range m.routes {
			m.advert(sid).set(r.via, r.transmitter, r.drop, r.hops)
		}
	}
	for _, o := range own[1:] {
		m.advert(o.sid).set(nil, own[0].sid, 0, 1)
	}
	m.sort()
	for _, a := range m.order {
		if a.news == changeRuns {
			n.tellSoonLocked(now)
			break
		}
	}
}

// advert gives the advert of a SID, a new one if there is none.
func (m *mesh) advert(sid SID) *advert {
	a := m.adverts[sid]
	if a == nil {
		a = &advert{sid: sid, news: changeRuns}
		m.adverts[sid] = a
	}
	return a
}

func (m *mesh) sort() {
	m.order = m.order[:0]
	for _, a := range m.adverts {
		m.order = append(m.order, a)
	}
	slices.SortFunc(m.order, func(a, b *advert) int {
		if a.hops != b.hops {
			return a.hops - b.hops
		}
		return bytes.Compare(a.sid[:], b.sid[:])
	})
}

// told notes that the neighbours were told of everything that is new, and
// forgets what is lost and was told often enough.
func (m *mesh) told() {
	gone := false
	for sid, a := range m.adverts {
		a.news = max(a.news-1, 0)
		if a.lost && a.news == 0 {
			delete(m.adverts, sid)
			gone = true
		}
	}
	if gone {
		m.sort()
	}
}
