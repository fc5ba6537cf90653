package msp

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"
)

// epoch is when the tests' time begins.
var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// A sim is two or more Muxes joined by a link that the test impairs. Time is
// virtual: it jumps to whatever happens next.
type sim struct {
	t    testing.TB
	now  time.Time
	rng  *rand.Rand
	ends map[[32]byte]node
	wire simQueue
	n    int // packets ever sent

	// loss, delay and dup decide on each packet; nil means none, 5 ms, none.
	loss  func(from Addr, b []byte) bool
	delay func() time.Duration
	dup   func() bool
	trace func(now time.Time, from Addr, b []byte, lost bool)
	// alarm returns when an application wants done to be called; zero if never.
	alarm func() time.Time
	// deliver sees each packet that is about to arrive.
	deliver func(to Addr, b []byte)
}

// A node is a [Mux], or what stands in for one.
type node interface {
	Input(now time.Time, local, remote Addr, b []byte)
	Advance(now time.Time)
	Poll(now time.Time, emit Emit)
	NextTimeout() time.Time
	Pending() bool
}

type simPacket struct {
	at       time.Time
	n        int
	from, to Addr
	data     []byte
}

type simQueue []simPacket

func (q simQueue) Len() int { return len(q) }
func (q simQueue) Less(i, j int) bool {
	return q[i].at.Before(q[j].at) || q[i].at.Equal(q[j].at) && q[i].n < q[j].n
}
func (q simQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *simQueue) Push(x any)   { *q = append(*q, x.(simPacket)) }
func (q *simQueue) Pop() any {
	old := *q
	p := old[len(old)-1]
	*q = old[:len(old)-1]
	return p
}

func newSim(t testing.TB, seed uint64) *sim {
	return &sim{t: t, now: epoch, rng: rand.New(rand.NewPCG(seed, 1)), ends: map[[32]byte]node{}}
}

// addr returns an address of the simulated node name.
func addr(name byte, port uint32) Addr { return Addr{SID: [32]byte{name}, Port: port} }

func (s *sim) add(name byte, cfg Config) *Mux {
	m := NewMux(cfg)
	s.ends[[32]byte{name}] = m
	return m
}

func (s *sim) send(from, to Addr, b []byte) {
	lost := s.loss != nil && s.loss(from, b)
	if s.trace != nil {
		s.trace(s.now, from, b, lost)
	}
	if lost {
		return
	}
	for copies := 0; ; copies++ {
		d := 5 * time.Millisecond
		if s.delay != nil {
			d = s.delay()
		}
		s.n++
		heap.Push(&s.wire, simPacket{s.now.Add(d), s.n, from, to, append([]byte(nil), b...)})
		if s.dup == nil || copies == 3 || !s.dup() {
			return
		}
	}
}

// poll lets every Mux send what is due.
func (s *sim) poll() {
	for _, name := range s.names() {
		s.ends[name].Poll(s.now, func(local, remote Addr, data []byte) { s.send(local, remote, data) })
	}
}

func (s *sim) names() [][32]byte {
	var names [][32]byte
	for b := range 256 {
		if name := [32]byte{byte(b)}; s.ends[name] != nil {
			names = append(names, name)
		}
	}
	return names
}

// pending reports whether an end has something to send at once.
func (s *sim) pending() bool {
	for _, m := range s.ends {
		if m.Pending() {
			return true
		}
	}
	return false
}

// next returns when something happens next; zero if never.
func (s *sim) next() time.Time {
	var at time.Time
	if len(s.wire) > 0 {
		at = s.wire[0].at
	}
	for _, m := range s.ends {
		at = earlier(at, m.NextTimeout())
	}
	if s.alarm != nil {
		at = earlier(at, s.alarm())
	}
	return at
}

// run lets time pass until done, which is called after each instant, or until
// the limit. It reports whether done was reached.
func (s *sim) run(limit time.Duration, done func() bool) bool {
	end := s.now.Add(limit)
	for {
		for first := true; first || s.pending(); first = false {
			s.poll()
			if done() {
				return true
			}
		}
		at := s.next()
		if at.IsZero() || at.After(end) {
			s.now = end
			return false
		}
		if at.After(s.now) {
			s.now = at
		}
		for len(s.wire) > 0 && !s.wire[0].at.After(s.now) {
			p := heap.Pop(&s.wire).(simPacket)
			if m := s.ends[p.to.SID]; m != nil {
				if s.deliver != nil {
					s.deliver(p.to, p.data)
				}
				m.Input(s.now, p.to, p.from, p.data)
			}
		}
		for _, m := range s.ends {
			m.Advance(s.now)
		}
	}
}

// never is a condition that does not come.
func never() bool { return false }
