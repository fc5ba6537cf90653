package mdpconn

import (
	"errors"

	"mesh.example/msp/mdpconn/servald"
)

// routes asks for the daemon's route table (§7.1).
func (d *daemon) routes() (routes []servald.Route, err error) {
	if !d.begin() {
		return nil, d.lostError()
	}
	defer d.end()
	err = d.ask(&servald.Message{RemotePort: servald.CommandRoutes}, func(m *servald.Message) (bool, error) {
		switch {
		case m.RemotePort != servald.CommandRoutes:
			return false, nil
		case m.Flags&servald.Error != 0:
			return true, errors.New("servald does not tell its routes")
		case m.Flags&servald.Close != 0:
			return true, nil
		}
		r, err := servald.ParseRoute(m.Payload)
		if err != nil {
			d.node.count.dropped.malformed.Add(1)
			return false, nil
		}
		routes = append(routes, r)
		return false, nil
	})
	return routes, err
}

func (d *daemon) pathOf(r *servald.Route) Path {
	p := Path{Daemon: d.name, Hops: r.Hops}
	if r.Hops > 1 {
		p.Via = SID(r.NextHop)
	}
	return p
}

func isReachable(r *servald.Route) bool {
	return r.Reach&(servald.ByBroadcast|servald.ByUnicast|servald.Indirect) != 0
}

func (d *daemon) path(_, remote SID) Path {
	if d.isOwn(remote) {
		return Path{}
	}
	routes, _ := d.routes()
	for i := range routes {
		if r := &routes[i]; SID(r.SID) == remote && isReachable(r) {
			return d.pathOf(r)
		}
	}
	return Path{Daemon: d.name}
}

func (d *daemon) peers() []PeerInfo {
	routes, _ := d.routes()
	var infos []PeerInfo
	for i := range routes {
		if r := &routes[i]; isReachable(r) {
			infos = append(infos, PeerInfo{Local: d.primary(), Remote: SID(r.SID), Path: d.pathOf(r)})
		}
	}
	return infos
}
