package mdpconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

// A nodeLink is a link of a node.
type nodeLink struct {
	// Constant.
	link Link
	id   uint64   // counted from 1
	udp  *udpLink // link, if that is what it is, or what it paces

	// Constant, of the interface it is on; zero if nobody chose one.
	index   byte
	network netip.Prefix
	timing  timing

	ticked time.Time // last broadcast tick; the maintenance goroutine's
	gone   bool      // it was removed, but packets from it may still be at work; guarded by Node.mu

	most    int         // of a packet, in bytes; constant
	failing atomic.Bool // it was logged that it refuses packets
}

// reaches reports whether packets to an address may go out here.
func (l *nodeLink) reaches(a netip.AddrPort) bool {
	return l.udp == nil || l.udp.reaches(a.Addr())
}

// hears reports whether a broadcast that came from an address, to a UDP port, was
// heard on the link. That of an interface hears its network.
func (l *nodeLink) hears(a netip.AddrPort, port uint16) bool {
	if l.network.IsValid() {
		return l.network.Contains(a.Addr()) && l.link.LocalAddr().Port() == port
	}
	return l.udp != nil && l.reaches(a)
}

// addLink starts to receive from a link, which is the node's from then on.
func (n *Node) addLink(l *nodeLink) error {
	l.most = mostOf(l.link)
	if n.sessions != nil && !l.ecn() { // what arrives there would not tell of congestion
		n.sessions.ecn.Store(false)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.isClosedLocked() {
		l.link.Close()
		return net.ErrClosed
	}
	n.linksMade++
	l.id = n.linksMade
	n.links = append(n.links[:len(n.links):len(n.links)], l) // others may be reading the old slice
	for _, p := range n.peers.all {
		if p.wanted(time.Now()) {
			n.addHintsLocked(p, time.Now())
		}
	}
	n.running.Add(1)
	go n.receive(newReceiver(n, l.link, l))
	if n.beacon.holders > 0 || n.relays() {
		n.wakeLocked(time.Now()) // for broadcasts to be received
	}
	return nil
}

// Listen opens one more UDP socket, bound to an address like "127.0.0.1:0" or
// "[::1]:4110"; without a host it is all IPv4 addresses. It gives the address
// bound. If the node has a socket on that address and port already, or for port
// 0 any on that address, it gives that one's. An error unwraps to the system's, such
// as syscall.EADDRNOTAVAIL for an address that is not one of this host.
func (n *Node) Listen(bind string) (netip.AddrPort, error) {
	if n.config.Servald != nil {
		return netip.AddrPort{}, fmt.Errorf("mdpconn: no UDP socket on %s: the node is a client of servald, "+
			"whose own interfaces carry its datagrams: leave the UDP address away", clip(bind))
	}
	if n.config.NoUDP {
		return netip.AddrPort{}, fmt.Errorf("mdpconn: no UDP socket on %s: the node was made without UDP", clip(bind))
	}
	addr, err := resolveBind(bind)
	if err != nil {
		return netip.AddrPort{}, err
	}
	n.mu.Lock()
	links := n.links
	n.mu.Unlock()
	for _, l := range links {
		if l.udp == nil {
			continue
		}
		if a := l.udp.LocalAddr(); a == addr || addr.Port() == 0 && a.Addr() == addr.Addr() {
			return a, nil
		}
	}
	u, err := listenUDP(addr)
	if err != nil {
		return netip.AddrPort{}, newListenError(bind, addr.Addr(), err)
	}
	if got := u.receiveBuffer(); got > 0 && got < udpBuffer {
		n.log.Info("mdp socket has less room for bursts than wanted: raise net.core.rmem_max with sysctl -w",
			"link", u.local, "bytes", got, "wanted", udpBuffer)
	}
	if err := n.addLink(&nodeLink{link: u, udp: u}); err != nil {
		return netip.AddrPort{}, err
	}
	return u.LocalAddr(), nil
}

// LinkAddrs gives the addresses of the node's links, in the order in which they
// were added. The slice is the caller's.
func (n *Node) LinkAddrs() []netip.AddrPort {
	n.mu.Lock()
	links := n.links
	n.mu.Unlock()
	addrs := make([]netip.AddrPort, len(links))
	for i, l := range links {
		addrs[i] = l.link.LocalAddr()
	}
	return addrs
}

// linkTo gives the link that is to answer an address from which a broadcast was
// heard: a UDP socket bound to an address of its own before one for all; nil if
// none reaches it. port is the UDP port to which the broadcast went.
func (n *Node) linkTo(a netip.AddrPort, port uint16) (best *nodeLink) {
	n.mu.Lock()
	links := n.links
	n.mu.Unlock()
	for _, l := range links {
		if l.hears(a, port) && (best == nil || best.isWildcard() && !l.isWildcard()) {
			best = l
		}
	}
	return best
}

func (l *nodeLink) isWildcard() bool { return l.udp != nil && l.udp.wildcard }

// listenBroadcasts opens the socket that receives broadcasts, in addition to the
// node's own. Without it the node works, but does not hear announcements.
func (n *Node) listenBroadcasts() {
	n.mu.Lock()
	links := n.links
	n.mu.Unlock()
	for _, l := range links {
		if l.udp != nil && l.udp.hearsBroadcasts() {
			return
		}
	}
	u, err := listenUDPBroadcasts(overlayUDPPort)
	if err != nil {
		n.count.discovery.broadcastErrors.Add(1)
		if n.deafLogged.Swap(true) {
			return
		}
		n.log.Warn("mdp announcements of neighbours are not received", "port", overlayUDPPort, "err", err)
		return
	}
	n.addHearing(u)
}

// addHearing starts to receive broadcasts from a link that does nothing else.
func (n *Node) addHearing(u Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.isClosedLocked() {
		u.Close()
		return
	}
	n.heard = append(n.heard, u)
	n.running.Add(1)
	go n.receive(newReceiver(n, u, nil))
}

// receive is the receiving goroutine of a link.
func (n *Node) receive(r *receiver) {
	defer n.running.Done()
	defer r.free()
	for failures := 0; ; {
		k, err := r.read()
		if err == nil {
			failures = 0
			r.handle(k)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if failures++; failures == 1 {
			n.log.Warn("mdp link cannot receive", "link", r.source.LocalAddr(), "err", err)
		}
		pause := time.NewTimer(min(time.Duration(failures)*10*time.Millisecond, time.Second))
		select {
		case <-pause.C:
		case <-n.done:
		}
		pause.Stop()
	}
}

// debugging reports whether packets are logged.
func (n *Node) debugging() bool {
	return n.log.Enabled(context.Background(), slog.LevelDebug)
}

// logPacket logs a packet, decoded.
func (n *Node) logPacket(what string, l *nodeLink, p *Packet) {
	var packet overlay.Packet
	packet.Parse(p.Data, overlay.Context{Resolver: resolver{n}})
	n.log.Debug(what, "link", l.link.LocalAddr(), "addr", p.Addr, "bytes", len(p.Data), "packet", packet.String())
}
