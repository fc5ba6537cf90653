package main

import (
	"container/heap"
	"math/rand/v2"
)

// unlimitedQueue is how many packets may be under way where the link has no rate.
const unlimitedQueue = 4096

// LinkStats count the IP bytes and packets of one direction.
type LinkStats struct {
	InPackets, InBytes, OutPackets, OutBytes, Lost, QueueDrops, Dups, Reordered int64
}

// A linkModel decides what becomes of the packets of one direction: a bounded
// drop-tail queue before a serializer, then loss (a lost packet has used its air
// time, as on a radio), then delay. It has no clock; times are nanoseconds.
type linkModel struct {
	spec      LinkSpec
	rng       *rand.Rand
	stats     LinkStats
	busyUntil int64 // when the serializer has sent all that it took
	lastDue   int64 // of the packets that keep their order
	bad       bool  // in a burst of loss
	seq       uint64
	pending   packetHeap
	free      [][]byte
}

func newLinkModel(spec LinkSpec, seed, direction uint64) *linkModel {
	return &linkModel{spec: spec, rng: rand.New(rand.NewPCG(seed, direction))}
}

// offer hands over a frame whose IP packet has size bytes. The frame is copied.
func (m *linkModel) offer(now int64, frame []byte, size int) {
	m.stats.InPackets++
	m.stats.InBytes += int64(size)
	sent, ok := m.serialize(now, size)
	if !ok {
		m.stats.QueueDrops++
		return
	}
	if m.loses() {
		m.stats.Lost++
		return
	}
	due := m.arrival(sent)
	copies := 1
	if m.draw(m.spec.Dup) {
		m.stats.Dups++
		copies = 2
	}
	for range copies {
		m.seq++
		heap.Push(&m.pending, packet{due: due, seq: m.seq, data: append(m.buffer(), frame...), size: size})
	}
}

// serialize returns when the packet has left the serializer, if the queue takes it.
func (m *linkModel) serialize(now int64, size int) (int64, bool) {
	rate := m.spec.RateBit
	if rate == 0 {
		return now, len(m.pending) < unlimitedQueue
	}
	start := max(now, m.busyUntil)
	backlog := float64(start-now) * rate / 8e9
	if backlog+float64(size) > m.spec.queue() {
		return 0, false
	}
	m.busyUntil = start + int64(float64(size)*8e9/rate)
	return m.busyUntil, true
}

func (m *linkModel) loses() bool {
	lost := m.draw(m.spec.Loss)
	if m.spec.BurstP == 0 {
		return lost
	}
	if m.bad {
		m.bad = !m.draw(m.spec.BurstR)
	} else {
		m.bad = m.draw(m.spec.BurstP)
	}
	return m.bad && m.draw(m.spec.BurstLoss) || lost
}

// arrival returns when a packet that was sent at t is there.
func (m *linkModel) arrival(t int64) int64 {
	s := &m.spec
	t += int64(s.DelayMs * 1e6)
	if s.JitterMs > 0 {
		t += int64((2*m.rng.Float64() - 1) * s.JitterMs * 1e6)
	}
	if m.draw(s.Reorder) {
		m.stats.Reordered++
		return t + int64(s.ReorderMs*1e6)
	}
	m.lastDue = max(t, m.lastDue)
	return m.lastDue
}

// draw is true with probability p; what is absent from the link draws nothing.
func (m *linkModel) draw(p float64) bool { return p > 0 && m.rng.Float64() < p }

// next returns when the next packet arrives; false if none is under way.
func (m *linkModel) next() (int64, bool) {
	if len(m.pending) == 0 {
		return 0, false
	}
	return m.pending[0].due, true
}

// take removes the next packet. Its buffer goes back with release.
func (m *linkModel) take() packet { return heap.Pop(&m.pending).(packet) }

func (m *linkModel) release(p packet) {
	if len(m.free) < unlimitedQueue {
		m.free = append(m.free, p.data)
	}
}

func (m *linkModel) buffer() []byte {
	n := len(m.free)
	if n == 0 {
		return nil
	}
	b := m.free[n-1]
	m.free = m.free[:n-1]
	return b[:0]
}

type packet struct {
	due  int64
	seq  uint64 // orders packets of one instant
	size int    // of the IP packet
	data []byte
}

type packetHeap []packet

func (h packetHeap) Len() int { return len(h) }
func (h packetHeap) Less(i, j int) bool {
	return h[i].due < h[j].due || h[i].due == h[j].due && h[i].seq < h[j].seq
}
func (h packetHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *packetHeap) Push(x any)   { *h = append(*h, x.(packet)) }
func (h *packetHeap) Pop() any {
	old := *h
	n := len(old) - 1
	x := old[n]
	old[n] = packet{}
	*h = old[:n]
	return x
}
