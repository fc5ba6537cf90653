package mdpconn

import (
	"net/netip"
	"time"
)

// Path is what a node knows about how to reach a SID.
type Path struct {
	Daemon     string           `json:"daemon,omitempty"` // the socket of the daemon that was asked; the rest is Hops and Via then
	Endpoint   netip.AddrPort   `json:"endpoint"`         // the proven address; zero if there is none
	Candidates []netip.AddrPort `json:"candidates"`       // others that are tried if need be
	Asked      int              `json:"asked"`            // questions to all neighbours in the search that goes on
	Waiting    int              `json:"waiting"`          // datagrams that wait for an address
	Sent       uint64           `json:"sent"`             // datagrams given to Send
	Received   uint64           `json:"received"`         // datagrams received, those of the node's own services included
	LastHeard  time.Time        `json:"lastHeard"`        // when the last authenticated packet arrived; zero: never
	RTT        time.Duration    `json:"rtt"`              // round trip of the last challenge; zero: not measured
	Via        SID              `json:"via"`              // the neighbour that relays to it; zero if it is reached directly, or not at all
	Hops       int              `json:"hops"`             // 1 if it is reached directly; 0: no way is known, or not how long it is
}

func (p *path) snapshot() Path {
	s := Path{
		Asked: p.asks, Waiting: len(p.waiting),
		Sent: p.sent, Received: p.received, LastHeard: p.lastHeard, RTT: p.rtt,
	}
	if p.known {
		s.Endpoint = p.current.addr
	}
	for i := range p.candidates {
		s.Candidates = append(s.Candidates, p.candidates[i].addr)
	}
	return s
}

// Path tells how the node reaches remote in the name of its identity local,
// which may be Primary. It is zero for a SID of which the node knows nothing,
// and for its own. A node at a daemon asks it, which takes a moment.
func (n *Node) Path(local, remote SID) Path { return n.carrier.path(local, remote) }

func (n *Node) pathOverlay(local, remote SID) Path {
	own := n.own.Load().find(local)
	n.mu.Lock()
	defer n.mu.Unlock()
	if own == nil || n.peers.all[pair{own.sid, remote}] == nil {
		return Path{}
	}
	return n.pathLocked(n.peers.all[pair{own.sid, remote}], time.Now())
}

// pathLocked tells how a peer is reached now. Caller holds mu.
func (n *Node) pathLocked(p *peer, now time.Time) Path {
	s := p.path.snapshot()
	if !p.path.searching() {
		s.Hops = 1
		return s
	}
	if nb := n.viaLocked(p, now); nb != nil {
		s.Via = nb.sid
		s.Hops = nb.hops(p.remote)
	}
	return s
}

// PeerInfo is a row of the node's table of peers.
type PeerInfo struct {
	Local  SID  `json:"local"`  // an identity of the node
	Remote SID  `json:"remote"` // the other's
	Proven bool `json:"proven"` // something authenticated was received
	Held   bool `json:"held"`   // there are live connections
	Path
}

// Peers lists the pairs of SIDs that the node knows, in no particular order. A
// node at a daemon asks it for the SIDs that it has a route to, which takes a
// moment; they are none while it is gone.
func (n *Node) Peers() []PeerInfo { return n.carrier.peers() }

func (n *Node) peersOverlay() []PeerInfo {
	n.mu.Lock()
	defer n.mu.Unlock()
	infos := make([]PeerInfo, 0, len(n.peers.all))
	now := time.Now()
	for _, p := range n.peers.all {
		infos = append(infos, PeerInfo{p.local, p.remote, p.proven, p.holds > 0, n.pathLocked(p, now)})
	}
	return infos
}

// RouteInfo is a row of the node's table of routes: somebody that it could reach
// through the mesh, be it a peer or not. What is further than a neighbour is what
// neighbours say.
type RouteInfo struct {
	SID      SID            `json:"sid"`
	Hops     int            `json:"hops"`     // 1: a neighbour
	Via      SID            `json:"via"`      // the next hop; the SID itself if it is a neighbour
	Endpoint netip.AddrPort `json:"endpoint"` // the next hop's proven address
	Cost     int            `json:"cost"`     // the sum of the links' drop rates
	Heard    time.Time      `json:"heard"`    // when the next hop was heard last
	RTT      time.Duration  `json:"rtt"`      // round trip to it, if it is a neighbour; zero: not measured
}

// Routes lists whom the node could reach through the mesh, in no particular
// order. It is empty while the node has no neighbours.
func (n *Node) Routes() []RouteInfo {
	n.mu.Lock()
	defer n.mu.Unlock()
	infos := make([]RouteInfo, 0, len(n.mesh.routes))
	for sid, r := range n.mesh.routes {
		if !r.via.proven() {
			continue
		}
		path := &r.via.peer.path
		info := RouteInfo{SID: sid, Hops: r.hops, Via: r.via.sid, Endpoint: path.current.addr, Cost: r.cost, Heard: r.via.heard}
		if r.hops == 1 {
			info.RTT = path.rtt
		}
		infos = append(infos, info)
	}
	return infos
}
