package memnet

import (
	"net/netip"
	"sync"
	"time"

	"mesh.example/msp/mdpconn"
)

// maxPacket is the longest packet carried, in bytes: UDP's over IPv4.
const maxPacket = 65507

// pooledPacket is the room a pooled packet begins with, in bytes: more than
// Serval nodes send.
const pooledPacket = 2048

// A packet is one on its way to a link, or waiting there for its reader.
type packet struct {
	data      []byte
	from, to  netip.AddrPort // as written; to may be Broadcast
	at        time.Duration  // arrival, since the network's start
	seq       uint64         // order among packets of equal arrival
	duplicate bool
	held      bool
	injected  bool
	ecn       mdpconn.ECN
}

var packetPool = sync.Pool{New: func() any {
	return &packet{data: make([]byte, 0, pooledPacket)}
}}

// newPacket takes a packet from the pool and copies data into it.
func newPacket(data []byte) *packet {
	p := packetPool.Get().(*packet)
	*p = packet{data: append(p.data[:0], data...)}
	return p
}

// free gives the packet back to the pool.
func (p *packet) free() { packetPool.Put(p) }

// arrivals are packets under way to one link: a heap (container/heap) whose
// first is the next to arrive.
type arrivals []*packet

func (h arrivals) Len() int      { return len(h) }
func (h arrivals) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h arrivals) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].seq < h[j].seq
}

// Push adds a *packet at the end; for container/heap.
func (h *arrivals) Push(p any) { *h = append(*h, p.(*packet)) }

// Pop removes the last; for container/heap.
func (h *arrivals) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return p
}

// A fifo is a queue of packets in a ring that grows.
type fifo struct {
	ring  []*packet // its length is a power of two
	first int       // index of the first
	len   int
}

// push adds a packet at the end.
func (q *fifo) push(p *packet) {
	if q.len == len(q.ring) {
		ring := make([]*packet, max(16, 2*len(q.ring)))
		n := copy(ring, q.ring[q.first:])
		copy(ring[n:], q.ring[:q.first])
		q.ring, q.first = ring, 0
	}
	q.ring[(q.first+q.len)&(len(q.ring)-1)] = p
	q.len++
}

// pop removes the first packet; there must be one.
func (q *fifo) pop() *packet {
	p := q.ring[q.first]
	q.ring[q.first] = nil
	q.first = (q.first + 1) & (len(q.ring) - 1)
	q.len--
	return p
}
