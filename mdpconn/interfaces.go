package mdpconn

import (
	"fmt"
	"net/netip"
	"time"
)

// interfaceSystem is what interfaces are opened with. Tests have their own.
type interfaceSystem struct {
	addrs      func() ([]hostAddr, error)
	open       func(chosenAddr) (Link, error)
	broadcasts func(port uint16) (Link, error) // that only receives
}

var hostSystem = interfaceSystem{
	addrs: hostAddrs,
	open: func(c chosenAddr) (Link, error) {
		u, err := openUDP(c.local(), true)
		if err != nil {
			return nil, err
		}
		if u.fixed = true; c.broadcasts {
			u.broadcasts = []netip.AddrPort{netip.AddrPortFrom(broadcastOf(c.network), c.spec.port())}
		}
		return u, nil
	},
	broadcasts: func(port uint16) (Link, error) { return listenUDPBroadcasts(port) },
}

// interfaces are the network interfaces that a node has chosen. They belong to
// the goroutine that follows them, and before that to NewNode.
type interfaces struct {
	node   *Node
	system interfaceSystem
	open   map[netip.AddrPort]*nodeLink
	chosen map[netip.AddrPort]chosenAddr
	heard  map[uint16]bool // ports at which broadcasts are received
	full   bool            // it was logged that there are too many
}

func newInterfaces(n *Node) *interfaces {
	system := hostSystem
	if n.config.system != nil {
		system = *n.config.system
	}
	return &interfaces{
		node: n, system: system,
		open:   make(map[netip.AddrPort]*nodeLink),
		chosen: make(map[netip.AddrPort]chosenAddr),
		heard:  make(map[uint16]bool),
	}
}

// follow is the goroutine that has the interfaces come and go.
func (f *interfaces) follow() {
	n := f.node
	defer n.running.Done()
	ticker := time.NewTicker(interfacesEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-n.done:
			return
		}
		if err := f.match(); err != nil {
			n.log.Warn("mdp interface not opened", "err", err)
		}
	}
}

// match opens what is chosen now and was not, and closes what is not any more.
// An error tells of the first that could not be opened.
func (f *interfaces) match() (failed error) {
	addrs, err := f.system.addrs()
	if err != nil {
		return fmt.Errorf("mdpconn: interfaces of this host: %w", err)
	}
	now := make(map[netip.AddrPort]chosenAddr)
	chosen := chooseAddrs(f.node.config.Interfaces, addrs)
	for _, c := range chosen {
		now[c.local()] = c
	}
	for at, l := range f.open {
		if c, ok := now[at]; !ok || c != f.chosen[at] {
			delete(f.open, at)
			delete(f.chosen, at)
			f.node.log.Info("mdp interface closed", "addr", at)
			f.node.removeLink(l)
		}
	}
	for _, c := range chosen {
		if f.open[c.local()] != nil {
			continue
		}
		if err := f.add(c); err != nil && failed == nil {
			failed = fmt.Errorf("mdpconn: interface %s, UDP address %v: %w", c.name, c.local(), err)
		}
	}
	return failed
}

// add opens an interface.
func (f *interfaces) add(c chosenAddr) error {
	index, ok := f.freeIndex()
	if !ok {
		if !f.full {
			f.full = true
			f.node.log.Warn("mdp interface left out: there are 16 already", "name", c.name, "addr", c.network)
		}
		return nil
	}
	if err := f.hear(c.spec.port()); err != nil {
		return err
	}
	link, err := f.system.open(c)
	if err != nil {
		return err
	}
	l := &nodeLink{link: link, index: index, network: c.network, timing: c.spec.timing()}
	l.udp, _ = link.(*udpLink)
	if l.timing.interval > 0 {
		l.link = newPacedLink(link, l.timing, &f.node.count)
	}
	if err := f.node.addLink(l); err != nil {
		return err
	}
	f.open[c.local()], f.chosen[c.local()] = l, c
	f.node.log.Info("mdp interface opened", "name", c.name, "addr", c.local(), "type", c.spec.Type, "index", index)
	return nil
}

// hear opens the socket that receives the broadcasts at a port.
func (f *interfaces) hear(port uint16) error {
	if f.heard[port] {
		return nil
	}
	u, err := f.system.broadcasts(port)
	if err == nil && u != nil {
		f.node.addHearing(u)
	}
	f.heard[port] = err == nil
	return err
}

// freeIndex gives the lowest index that no interface has.
func (f *interfaces) freeIndex() (byte, bool) {
	var taken [maxInterfaces]bool
	for _, l := range f.open {
		taken[l.index] = true
	}
	for i := range taken {
		if !taken[i] {
			return byte(i), true
		}
	}
	return 0, false
}

// removeLink closes a link whose interface has gone. Neighbours there are none
// any more, and other peers are looked for elsewhere.
func (n *Node) removeLink(l *nodeLink) {
	n.mu.Lock()
	links := make([]*nodeLink, 0, len(n.links)) // others may be reading the old slice
	for _, other := range n.links {
		if other != l {
			links = append(links, other)
		}
	}
	n.links = links
	l.gone = true
	now := time.Now()
	for _, nb := range n.mesh.neighbours {
		if nb.link() == l {
			n.forgetLocked(nb)
			n.tellSoonLocked(now)
		}
	}
	for _, p := range n.peers.all {
		p.path.linkGone(l, now)
		n.activateLocked(p)
	}
	n.mu.Unlock()
	l.link.Close()
}

// linkGone forgets the candidates of a link that is closed. The endpoint stays
// until another is proven, but nothing gets there.
func (p *path) linkGone(l *nodeLink, now time.Time) {
	kept := p.candidates[:0]
	for _, c := range p.candidates {
		if c.link != l {
			kept = append(kept, c)
		}
	}
	p.candidates = kept
	if p.known && p.current.link == l && !p.silent {
		p.fallSilent(now)
	}
}
