package mdpconn

import (
	"sync"
	"time"

	"mesh.example/msp/mdpconn/overlay"
	"mesh.example/msp/mdpconn/session"
)

// Packets in compact form. Implementation.
const (
	smallCompact   = session.MinCompact // a packet that goes anywhere, in bytes (MSX-13.1)
	compactRoom    = 1 << 17            // of the packets that are built before any is sent, in bytes
	compactPackets = 64                 // and their number
	compactLeast   = 16                 // bytes: where less is left in a packet, nothing more is added
)

// A compactor builds packets in compact form for one peer (docs/extension.md
// §11): of plaintexts first, and when there are enough they are all sealed, with
// counters that follow each other. As many datagrams share a packet as fit, so
// that of a batch of equal ones all packets but the last are of one size.
// Compactors are pooled, and used by one goroutine at a time.
type compactor struct {
	node  *Node
	pair  pair
	limit int      // of a packet, in bytes
	probe bool     // the one packet is a probe, which the link may refuse
	err   error    // with which it did
	ect   endpoint // to which packets may have ECT(0); zero: none may

	closed  bool                 // the last packet takes nothing more
	n       int                  // packets begun
	bare    [compactPackets]bool // there is something in it that may not be marked
	ends    [compactPackets]int  // where their plaintexts end in room
	starts  [compactPackets]int  // and where the packets begin
	room    [compactRoom]byte
	packets [compactPackets]Packet
	scratch session.Scratch
}

var compactorPool = sync.Pool{New: func() any { return new(compactor) }}

// compactor gives an empty one, for packets of at most limit bytes. The caller
// frees it.
func (n *Node) compactor(p pair, limit int) *compactor {
	c := compactorPool.Get().(*compactor)
	c.node, c.pair, c.limit, c.n, c.probe, c.err, c.ect = n, p, limit, 0, false, nil, endpoint{}
	return c
}

func (c *compactor) free() {
	c.node, c.ect = nil, endpoint{}
	compactorPool.Put(c) // what c.packets hold lies in c
}

// begin begins a packet, and reports whether there is room for one.
func (c *compactor) begin() bool {
	start := 0
	if c.n > 0 {
		start = c.ends[c.n-1] + session.Overhead - session.HeadSize
	}
	if c.n == compactPackets || start+c.limit > len(c.room) {
		return false
	}
	c.starts[c.n], c.ends[c.n], c.bare[c.n] = start, start+session.HeadSize, false
	c.n++
	c.closed = false
	return true
}

// left is how much more plaintext the last packet takes.
func (c *compactor) left() int {
	return c.starts[c.n-1] + c.limit - (session.Overhead - session.HeadSize) - c.ends[c.n-1]
}

// add adds a datagram, which may be marked if ecn is ECT0, and reports whether it fits
// a packet at all. When all packets are full they go to the targets first.
func (c *compactor) add(from, to Port, data []byte, ecn ECN, targets []target, now time.Time) bool {
	if compactHead(from, to)+len(data) > c.limit {
		return false
	}
	if c.n > 0 && !c.closed && c.append(from, to, data, ecn) {
		return true
	}
	if !c.begin() {
		c.flush(targets, now)
		c.begin()
	}
	return c.append(from, to, data, ecn)
}

// append adds it to the last packet, if there is room.
func (c *compactor) append(from, to Port, data []byte, ecn ECN) bool {
	end := c.ends[c.n-1]
	left := c.left() - 1 - ports(from, to).Len() - len(data)
	if left < 0 {
		return false
	}
	appendItem := session.AppendDatagram
	if left < compactLeast { // the length would not fit, or nothing behind it
		appendItem = session.AppendDatagramToEnd
		c.closed = true
	}
	b, err := appendItem(c.room[end:end:end+c.left()], ports(from, to), data)
	if err != nil {
		panic("BUG: mdpconn: " + err.Error()) // the caller checked the ports
	}
	c.ends[c.n-1] = end + len(b)
	c.bare[c.n-1] = c.bare[c.n-1] || ecn != ECT0
	return true
}

func ports(from, to Port) overlay.Ports {
	return overlay.Ports{Destination: uint32(to), Source: uint32(from)}
}

// flush seals the packets and sends them to all targets.
func (c *compactor) flush(targets []target, now time.Time) {
	if c.n == 0 {
		return
	}
	n := c.n
	c.n = 0
	bytes := c.ends[n-1] + session.Overhead - session.HeadSize
	keys, counter, ok := c.node.sessions.reserve(c.pair, n, bytes, now)
	if !ok { // they ended this very moment; what is sent next finds no session
		c.node.count.sessions.unsealed.Add(uint64(n))
		return
	}
	for i := range n {
		end := c.ends[i] + session.Overhead - session.HeadSize
		sealed, err := keys.Seal(session.Compact, c.room[c.starts[i]:c.ends[i]:end], counter+uint64(i), &c.scratch)
		if err != nil {
			panic("BUG: mdpconn: " + err.Error())
		}
		c.packets[i].Data = sealed
	}
	for i := range targets {
		c.address(targets[i].endpoint, n)
		if c.probe {
			c.err = targets[i].link.writeProbe(c.packets[0])
			continue
		}
		c.node.write(targets[i].link, c.packets[:n])
		if i > 0 {
			c.node.count.sent.copies.Add(uint64(n))
		}
	}
	c.node.count.sessions.sent.Add(uint64(n))
}

// address has packets go to a target, with the codepoints that they may have there.
func (c *compactor) address(to endpoint, n int) {
	ect := c.ect.link != nil && c.ect == to
	markable := 0
	for i := range n {
		p := &c.packets[i]
		if p.Addr, p.ECN = to.addr, NotECT; ect && !c.bare[i] {
			p.ECN = ECT0
			markable++
		}
	}
	if markable > 0 {
		c.node.count.sessions.markable.Add(uint64(markable))
	}
}

// sendCompact sends datagrams under session keys, and a hello along with them if
// there is one.
func (n *Node) sendCompact(p *peer, w way, o *outbox, batch []Datagram, hello []byte, now time.Time) {
	c := n.compactor(p.pair, w.compact)
	defer c.free()
	if w.ect {
		c.ect = w.to
	}
	for i := range batch {
		d := &batch[i]
		if !c.add(d.Local.Port, d.Remote.Port, d.Data, d.ECN, o.targets, now) {
			n.count.sessions.tooLarge.Add(1)
		}
	}
	if hello != nil {
		c.add(portHello, portHello, hello, NotECT, o.targets, now)
	}
	c.flush(o.targets, now)
}

// confirm sends an empty packet under session keys, which tells the peer that
// they are there (MSX-10.2).
func (n *Node) confirm(p *peer, to endpoint, now time.Time) {
	c := n.compactor(p.pair, smallCompact)
	defer c.free()
	c.begin()
	c.flush([]target{{endpoint: to}}, now)
}
