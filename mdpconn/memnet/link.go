package memnet

import (
	"container/heap"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/mdptest"
)

var _ mdpconn.Link = (*Link)(nil)

// A Link is an attachment to a Network. It implements mdpconn.Link; its methods
// may be called concurrently.
type Link struct {
	// Constant.
	network *Network
	home    netip.AddrPort // the first address; chooses fates
	wake    chan struct{}  // of one: there may be something to read
	done    chan struct{}  // closed by Close

	// Guarded by network.mu.
	out   map[*Link]*direction
	group int           // of a partition; 0: none
	guard mdptest.Guard // of what is sent
	free  bool          // to send anything

	// Changed under both network.mu and mu, read under either.
	addr netip.AddrPort
	shut bool

	mu      sync.Mutex // guards what follows
	ready   fifo       // arrived
	pending arrivals   // still under way
	nextSeq uint64
	timer   *time.Timer   // nil until first needed
	armed   time.Duration // when the timer fires; 0: it does not
}

// ReadPackets implements mdpconn.Link. A packet longer than the room for it is
// cut. After Close the error is net.ErrClosed, whatever has arrived.
func (l *Link) ReadPackets(ps []mdpconn.Packet) (int, error) {
	if len(ps) == 0 {
		return 0, nil
	}
	for {
		n, err := l.read(ps)
		if n > 0 || err != nil {
			return n, err
		}
		select {
		case <-l.wake:
		case <-l.done:
		}
	}
}

// read reads what has arrived; that may be nothing.
func (l *Link) read(ps []mdpconn.Packet) (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return 0, l.opError("read", net.ErrClosed)
	}
	if len(l.pending) > 0 {
		l.arriveLocked(l.network.now())
	}
	for n < len(ps) && l.ready.len > 0 {
		p := l.ready.pop()
		b := ps[n].Data[:cap(ps[n].Data)]
		ps[n].Data = b[:copy(b, p.data)]
		ps[n].Addr, ps[n].ECN = p.from, p.ecn
		p.free()
		n++
	}
	if l.ready.len > 0 {
		l.wakeReader() // another one
	}
	return n, nil
}

// WritePackets implements mdpconn.Link. It never blocks. Errors are net.ErrClosed
// after Close, and syscall.EMSGSIZE for a packet of more than 65,507 bytes. It
// panics at a packet that would end a stock node, or be misread by one
// (mdptest.Guard), unless the network or the link is unguarded.
func (l *Link) WritePackets(ps []mdpconn.Packet) (int, error) {
	n := l.network
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	for i := range ps {
		switch {
		case l.shut:
			return i, l.opError("write", net.ErrClosed)
		case len(ps[i].Data) > maxPacket:
			return i, l.opError("write", syscall.EMSGSIZE)
		}
		if !n.config.Unguarded && !l.free {
			if err := l.guard.Check(ps[i].Addr, ps[i].Data); err != nil {
				panic(fmt.Sprintf("memnet: %v sends what no node may: %v", l.addr, err))
			}
		}
		n.writeLocked(l, &ps[i], now)
	}
	return len(ps), nil
}

// Unguard lets the link send anything from now on: it stands for an attacker.
func (l *Link) Unguard() {
	n := l.network
	n.mu.Lock()
	defer n.mu.Unlock()
	l.free = true
}

// LocalAddr implements mdpconn.Link. Rebind changes the address.
func (l *Link) LocalAddr() netip.AddrPort {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.addr
}

// Broadcasts implements mdpconn.Link: it gives Broadcast.
func (l *Link) Broadcasts() []netip.AddrPort { return []netip.AddrPort{Broadcast} }

// ECN reports that packets keep their codepoint on their way (Impairment.MarkAfter).
func (l *Link) ECN() bool { return true }

// String gives the link's address.
func (l *Link) String() string { return l.LocalAddr().String() }

// Rebind gives the link the next free address, as if its network or its NAT had
// changed. What is on its way to the old address is lost. The fates of packets
// go on as if nothing had changed. A closed link keeps its address.
func (l *Link) Rebind() netip.AddrPort {
	n := l.network
	n.mu.Lock()
	defer n.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.shut {
		delete(n.byAddr, l.addr)
		l.addr = n.freeAddrLocked()
		n.byAddr[l.addr] = l
	}
	return l.addr
}

// Close implements mdpconn.Link: the link leaves the network. What has not been
// read, and what is still under way to it, is gone. It always returns nil.
func (l *Link) Close() error {
	n := l.network
	n.mu.Lock()
	defer n.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return nil
	}
	l.shut = true
	delete(n.byAddr, l.addr)
	n.links = slices.DeleteFunc(n.links, func(o *Link) bool { return o == l })
	for _, o := range n.links {
		delete(o.out, l)
	}
	if l.timer != nil {
		l.timer.Stop()
	}
	for l.ready.len > 0 {
		l.ready.pop().free()
	}
	for _, p := range l.pending {
		n.counters.count(Unreachable)
		p.free()
	}
	l.pending = nil
	close(l.done)
	return nil
}

// schedule makes the packet of e arrive at a time, which may be now.
func (l *Link) schedule(e Event, now, at time.Duration, held bool) {
	p := newPacket(e.Data)
	p.from, p.to, p.duplicate, p.held, p.injected = e.From, e.To, e.Duplicate, held, e.Injected
	p.at, p.ecn = at, e.ECN
	l.mu.Lock()
	defer l.mu.Unlock()
	p.seq = l.nextSeq
	l.nextSeq++
	if at > now {
		heap.Push(&l.pending, p)
		l.armLocked(now)
		return
	}
	l.arriveLocked(now) // what was to come before it
	l.deliverLocked(p, now)
}

// timeout is the timer's function.
func (l *Link) timeout() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return
	}
	l.armed = 0
	l.arriveLocked(l.network.now())
}

// arriveLocked delivers what is due, and sets the timer for the rest.
func (l *Link) arriveLocked(now time.Duration) {
	for len(l.pending) > 0 && l.pending[0].at <= now {
		l.deliverLocked(heap.Pop(&l.pending).(*packet), now)
	}
	l.armLocked(now)
}

// armLocked sets the timer to the next arrival. A timer that fires too early is
// left alone: it does no harm.
func (l *Link) armLocked(now time.Duration) {
	if len(l.pending) == 0 {
		return
	}
	next := l.pending[0].at
	if l.armed != 0 && l.armed <= next {
		return
	}
	l.armed = next
	if l.timer == nil {
		l.timer = time.AfterFunc(next-now, l.timeout)
		return
	}
	l.timer.Reset(next - now)
}

// deliverLocked puts a packet where the reader finds it, if the link still has
// its address and room.
func (l *Link) deliverLocked(p *packet, now time.Duration) {
	n := l.network
	fate := Passed
	switch {
	case l.shut, p.to != l.addr && p.to != Broadcast:
		fate = Unreachable
	case l.ready.len >= n.config.QueuePackets:
		fate = Overflowed
	}
	if fate != Passed {
		n.counters.count(fate)
		if n.taps.any() {
			e := Event{From: p.from, To: p.to, Data: p.data, ECN: p.ecn, Duplicate: p.duplicate, Injected: p.injected}
			n.taps.tell(n.stamp(e, l, now, verdict{fate: fate, held: p.held}))
		}
		p.free()
		return
	}
	n.counters.delivered.Add(1)
	l.ready.push(p)
	l.wakeReader()
}

// wakeReader makes a reader look again.
func (l *Link) wakeReader() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// opError wraps an error for the caller of a method. The caller holds the
// link's mu or its network's.
func (l *Link) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "memnet", Source: net.UDPAddrFromAddrPort(l.addr), Err: err}
}
