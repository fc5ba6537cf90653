package memnet

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"mesh.example/msp/mdpconn"
)

// Port is the UDP port of links made by Network.Link, that of Serval.
const Port = 4110

// Broadcast is the address that reaches every link in hearing but the sender
// itself.
var Broadcast = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 255, 255, 255}), Port)

// Config says how a network is to be. It is not modified after New.
type Config struct {
	// Seed chooses the fate of every packet. Networks with the same seed
	// behave the same.
	Seed uint64

	// Impairment is that of every direction for which no other is set. If
	// zero, packets arrive at once, all of them and in order.
	Impairment Impairment

	// Unconnected makes a network in which nobody hears anybody, until Connect
	// or Chain. If false, everybody hears everybody.
	Unconnected bool

	// Unguarded lets all links send anything. If false, a link panics when it is
	// to send what could end a stock node (Link.WritePackets).
	Unguarded bool

	// QueuePackets is how many packets may wait at a link for its reader; what
	// comes then is dropped. If zero, 4096.
	QueuePackets int
}

// defaultQueuePackets stands for a zero Config.QueuePackets. Implementation:
// about what a UDP socket buffer of a few megabytes holds.
const defaultQueuePackets = 4096

// A Network is an in-process packet network. Its methods may be called
// concurrently. Lock order: mu, then a link's mu, then taps.mu. None is held
// across a wait.
type Network struct {
	// Constant.
	config Config
	start  time.Time

	// Safe by themselves.
	counters counters
	taps     taps

	mu         sync.Mutex // guards what follows, and the links' fields under "guarded by network.mu"
	impairment Impairment // where a direction has none
	drop       func(Event) bool
	links      []*Link // open ones, in the order of their making
	byAddr     map[netip.AddrPort]*Link
	lastHost   uint32 // of the addresses given out
	closed     bool
}

// New makes a network without links. It need not be closed, if all its links
// are.
func New(c Config) *Network {
	if c.QueuePackets <= 0 {
		c.QueuePackets = defaultQueuePackets
	}
	return &Network{
		config:     c,
		start:      time.Now(),
		impairment: c.Impairment,
		byAddr:     make(map[netip.AddrPort]*Link),
	}
}

// Link makes a link with the next free address, from 10.0.0.1:4110 on. On a
// closed network the link is closed already.
func (n *Network) Link() *Link {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.attachLocked(n.freeAddrLocked())
}

// Listen makes a link with this address, IPv4 or IPv6; port 0 stands for 4110,
// and the zero address for any. An address that is taken, or is Broadcast,
// gives a *net.OpError of syscall.EADDRINUSE; a closed network net.ErrClosed.
func (n *Network) Listen(addr netip.AddrPort) (*Link, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	if addr.Port() == 0 {
		addr = netip.AddrPortFrom(addr.Addr(), Port)
	}
	if !addr.Addr().IsValid() {
		addr = n.freeAddrLocked()
	}
	var err error
	switch {
	case n.closed:
		err = net.ErrClosed
	case addr == Broadcast || n.byAddr[addr] != nil:
		err = os.NewSyscallError("bind", syscall.EADDRINUSE)
	default:
		return n.attachLocked(addr), nil
	}
	return nil, &net.OpError{Op: "listen", Net: "udp", Addr: net.UDPAddrFromAddrPort(addr), Err: err}
}

// attachLocked makes a link with an address that is free.
func (n *Network) attachLocked(addr netip.AddrPort) *Link {
	l := &Link{
		network: n,
		home:    addr,
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		out:     make(map[*Link]*direction),
		addr:    addr,
	}
	if n.closed {
		l.shut = true
		close(l.done)
		return l
	}
	n.links = append(n.links, l)
	n.byAddr[addr] = l
	return l
}

// freeAddrLocked gives the next address that nobody has. Addresses given up are
// not given out again.
func (n *Network) freeAddrLocked() netip.AddrPort {
	for {
		n.lastHost++
		h := n.lastHost
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(h >> 16), byte(h >> 8), byte(h)}), Port)
		if n.byAddr[a] == nil && a != Broadcast {
			return a
		}
	}
}

// Close closes all links. Packets under way are gone.
func (n *Network) Close() error {
	n.mu.Lock()
	n.closed = true
	links := slices.Clone(n.links)
	n.mu.Unlock()
	for _, l := range links {
		l.Close()
	}
	return nil
}

// SetImpairment changes the impairment of the direction between two links. The
// other direction keeps its own. Packets under way are not affected.
func (n *Network) SetImpairment(from, to *Link, im Impairment) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.directionLocked(from, to).impairment = &im
}

// SetImpairmentAll changes the impairment of every direction, those of links to
// come and those set by SetImpairment included.
func (n *Network) SetImpairmentAll(im Impairment) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.impairment = im
	for _, l := range n.links {
		for _, d := range l.out {
			d.impairment = nil
		}
	}
}

// directionLocked gives the direction between two links.
func (n *Network) directionLocked(from, to *Link) *direction {
	d := from.out[to]
	if d == nil {
		d = &direction{seed: directionSeed(n.config.Seed, from.home, to.home)}
		from.out[to] = d
	}
	return d
}

// Inject sends a packet of an attacker: to a link or to Broadcast, with any
// source, and past all impairments and cuts. It does not keep data. A broadcast
// reaches every link but the one that has the source address.
func (n *Network) Inject(from, to netip.AddrPort, data []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	inject := func(l *Link) {
		n.counters.injected.Add(1)
		e := Event{From: from, To: to, Data: data, Injected: true}
		n.sendLocked(e, l, now, verdict{fate: Passed, at: now})
	}
	if to != Broadcast {
		inject(n.byAddr[to])
		return
	}
	for _, l := range n.links {
		if l.addr != from {
			inject(l)
		}
	}
}

// writeLocked sends one packet of a link's.
func (n *Network) writeLocked(from *Link, p *mdpconn.Packet, now time.Duration) {
	to := p.Addr
	if to.Addr().Is4In6() {
		to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	}
	if to != Broadcast {
		n.carryLocked(from, n.byAddr[to], to, p, now)
		return
	}
	for _, l := range n.links {
		if l != from && n.hearsLocked(from, l) {
			n.carryLocked(from, l, to, p, now)
		}
	}
}

// carryLocked sends one packet to one link; l is nil if nobody has the address.
func (n *Network) carryLocked(from, l *Link, to netip.AddrPort, p *mdpconn.Packet, now time.Duration) {
	n.counters.sent.Add(1)
	e := Event{From: from.addr, To: to, Data: p.Data, ECN: p.ECN}
	if l == nil {
		n.sendLocked(e, nil, now, verdict{fate: Unreachable})
		return
	}
	if !n.hearsLocked(from, l) {
		n.sendLocked(e, l, now, verdict{fate: Unreachable})
		return
	}
	d := n.directionLocked(from, l)
	im := d.impairment
	if im == nil {
		im = &n.impairment
	}
	k := d.turn(im)
	var v verdict
	switch {
	case n.drop != nil && n.drop(n.stamp(e, l, now, verdict{fate: Passed})):
		v.fate = Lost
	default:
		v = d.judge(k, im, len(p.Data), now)
		if v.marked && p.ECN != mdpconn.NotECT {
			e.ECN = mdpconn.CE
		}
	}
	n.sendLocked(e, l, now, v)
}

// sendLocked does to a packet what was decided about it, and tells of it.
func (n *Network) sendLocked(e Event, l *Link, now time.Duration, v verdict) {
	if l == nil {
		v.fate = Unreachable
	}
	if n.taps.any() {
		n.taps.tell(n.stamp(e, l, now, v))
	}
	if v.fate != Passed {
		n.counters.count(v.fate)
		return
	}
	if v.held {
		n.counters.reordered.Add(1)
	}
	l.schedule(e, now, v.at, v.held)
	if v.duplicate {
		n.counters.duplicated.Add(1)
		e.Duplicate = true
		if n.taps.any() {
			n.taps.tell(n.stamp(e, l, now, verdict{fate: Passed, at: v.again}))
		}
		l.schedule(e, now, v.again, false)
	}
}

// stamp completes an event; l may be nil. The caller holds mu or the link's.
func (n *Network) stamp(e Event, l *Link, now time.Duration, v verdict) Event {
	e.Time = n.start.Add(now)
	if v.fate == Passed {
		e.Arrival = n.start.Add(max(v.at, now))
	}
	if l != nil {
		e.Receiver = l.addr
	}
	e.Fate = v.fate
	e.Reordered = v.held
	return e
}

// now is the time since the network's start.
func (n *Network) now() time.Duration { return time.Since(n.start) }
