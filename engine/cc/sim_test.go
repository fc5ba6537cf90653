package cc

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"time"
)

// The simulation: senders with unlimited data, one bottleneck, a path back for
// ACKs, all in virtual time and equal for equal seeds.

type simEvent struct {
	at  time.Duration
	seq int
	do  func()
}

type simQueue []simEvent

func (q simQueue) Len() int      { return len(q) }
func (q simQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q simQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q *simQueue) Push(x any) { *q = append(*q, x.(simEvent)) }
func (q *simQueue) Pop() any {
	e := (*q)[len(*q)-1]
	(*q)[len(*q)-1] = simEvent{}
	*q = (*q)[:len(*q)-1]
	return e
}

// A simPath is a bottleneck and what lies behind it. Loss strikes behind the
// bottleneck, as on a radio.
type simPath struct {
	bits     float64       // per second
	rtt      time.Duration // both ways, without serializing
	queue    float64       // rate x rtt that the queue holds; 0: one packet
	loss     float64       // each way
	burst    bool          // loss in bursts (Gilbert-Elliott), instead
	jitter   time.Duration // up to so much more delay, each way, by lot
	ackTick  time.Duration // ACKs arrive at multiples of it
	timer    time.Duration // the sender's shortest sleep: it takes up to a quarter of that more
	packet   int           // bytes; 0: 1250
	markOver time.Duration // ECN marks packets that would wait longer; 0: none
	stall    time.Duration // either host does nothing for so long on average, as others have its processor; 0: never
	apart    time.Duration // from stall to stall, on average
}

type simulation struct {
	simPath
	now    time.Duration
	epoch  time.Time
	events simQueue
	seq    int
	rng    *rand.Rand
	flows  []*simFlow

	freeAt   time.Duration // of the bottleneck
	hosts    [2]host       // the senders', the receivers'
	badUntil time.Duration // Gilbert-Elliott: state and when it changes
	bad      bool
	dropped  int // by the queue
}

func newSim(p simPath, seed uint64) *simulation {
	if p.packet == 0 {
		p.packet = 1250
	}
	return &simulation{simPath: p, epoch: time.Unix(1e9, 0), rng: rand.New(rand.NewPCG(seed, 1))}
}

func (s *simulation) after(d time.Duration, do func()) {
	s.seq++
	heap.Push(&s.events, simEvent{s.now + max(d, 0), s.seq, do})
}

// A host runs, and stalls from time to time.
type host struct {
	stalled, until time.Duration // the last stall
}

// on calls do when the host runs.
func (s *simulation) on(h *host, do func()) {
	if s.stall == 0 {
		do()
		return
	}
	for s.now >= h.until {
		h.stalled = h.until + time.Duration(s.rng.ExpFloat64()*float64(s.apart))
		h.until = h.stalled + time.Duration(s.rng.ExpFloat64()*float64(s.stall))
	}
	if s.now < h.stalled {
		do()
		return
	}
	s.after(h.until-s.now, func() { s.on(h, do) })
}

func (s *simulation) clock() time.Time { return s.epoch.Add(s.now) }

func (s *simulation) run(until time.Duration) {
	for len(s.events) > 0 && s.events[0].at <= until {
		e := heap.Pop(&s.events).(simEvent)
		s.now = e.at
		e.do()
	}
	s.now = until
}

// lose decides about a packet that has passed. Bursts: good for 100 ms, bad for
// 10 ms on average, with half of the packets lost while bad.
func (s *simulation) lose() bool {
	if !s.burst {
		return s.rng.Float64() < s.loss
	}
	for s.now >= s.badUntil {
		s.bad = !s.bad
		mean := 100 * time.Millisecond
		if s.bad {
			mean = 10 * time.Millisecond
		}
		s.badUntil += time.Duration(s.rng.ExpFloat64() * float64(mean))
	}
	return s.bad && s.rng.IntN(2) == 0
}

// bottleneck takes a packet of n bytes; arrive is called when it has passed,
// unless it is lost.
func (s *simulation) bottleneck(n int, arrive func(marked bool)) {
	wait := max(0, s.freeAt-s.now)
	room := time.Duration(s.queue*float64(s.rtt)) + durationOf(float64(s.packet), s.bits/8)
	if wait > room {
		s.dropped++
		return
	}
	s.freeAt = s.now + wait + durationOf(float64(n), s.bits/8)
	marked := s.markOver != 0 && wait > s.markOver
	if delay := s.freeAt - s.now + s.rtt/2 + s.wobble(); !s.lose() {
		s.after(delay, func() { s.on(&s.hosts[1], func() { arrive(marked) }) })
	}
}

func (s *simulation) wobble() time.Duration {
	if s.jitter == 0 {
		return 0
	}
	return time.Duration(s.rng.Int64N(int64(s.jitter)))
}

// A simFlow is a sender with its receiver, with loss recovery as of MSX-4.
type simFlow struct {
	sim    *simulation
	cc     Controller
	pacer  Pacer
	limit  int // bytes per turn of an application that is not always ready; 0: none
	budget int

	sent     []simSent // by number
	oldest   int       // number below which all is settled
	largest  int       // acknowledged, -1: none
	inFlight int
	srtt     time.Duration
	rttvar   time.Duration
	least    time.Duration
	reorder  int // packets
	slack    time.Duration
	woken    bool
	progress int // changes when something is acknowledged: the probe timer's generation
	backoff  time.Duration

	// Receiver.
	arrivals []int // numbers in order of arrival
	reported int   // of them, known to the sender
	pending  int
	top      int
	delayed  bool
	ackedAt  time.Duration // arrival of top
	marks    int
	marksOut int

	// Figures.
	offered   int // bytes
	delivered int // bytes received once
	wasted    int // bytes sent again needlessly
	rtts      []time.Duration
}

type simSent struct {
	Packet
	acked, lost, arrived bool
}

func (s *simulation) flow(c Controller) *simFlow {
	f := &simFlow{sim: s, cc: c, largest: -1, top: -1, reorder: 3}
	s.flows = append(s.flows, f)
	return f
}

func (f *simFlow) start(at time.Duration) { f.sim.after(at-f.sim.now, f.send) }

// greet starts a flow of ours behind a handshake, which meets the queue that stands at.
func (f *simFlow) greet(at time.Duration, seed uint64) {
	s := f.sim
	s.after(at-s.now, func() {
		trip := s.rtt + max(0, s.freeAt-s.now)
		s.after(trip, func() {
			f.cc = NewBBR(s.packet, trip, seed)
			f.send()
		})
	})
}

func (f *simFlow) send() {
	s := f.sim
	for f.inFlight+s.packet <= f.cc.Window() || f.inFlight == 0 {
		if f.limit != 0 && f.budget < s.packet {
			f.cc.AppLimited(s.clock(), f.inFlight)
			return
		}
		if at := f.pacer.ReadyAt(s.clock()); at.After(s.clock()) {
			f.wake(at.Sub(s.epoch))
			return
		}
		f.emit()
	}
}

// wake calls send when the timer fires.
func (f *simFlow) wake(at time.Duration) {
	if f.woken {
		return
	}
	f.woken = true
	sleep := at - f.sim.now
	if g := f.sim.timer; g != 0 {
		sleep = max(sleep, g) + time.Duration(f.sim.rng.Int64N(int64(g/4)))
	}
	f.sim.after(sleep, func() {
		f.sim.on(&f.sim.hosts[0], func() { f.woken = false; f.send() })
	})
}

func (f *simFlow) emit() {
	s, n, number := f.sim, f.sim.packet, len(f.sent)
	f.sent = append(f.sent, simSent{})
	f.cc.Sent(s.clock(), &f.sent[number].Packet, n, f.inFlight)
	f.pacer.Sent(s.clock(), n, f.cc.Rate())
	f.inFlight += n
	f.budget -= n
	f.offered += n
	s.bottleneck(n, func(marked bool) { f.arrive(number, marked) })
	if f.inFlight == n {
		f.armProbe()
	}
}

// armProbe sends a packet of its own when nothing is acknowledged for too long.
func (f *simFlow) armProbe() {
	generation := f.progress
	wait := 200 * time.Millisecond
	if f.srtt != 0 {
		wait = f.srtt + max(4*f.rttvar, time.Millisecond) + 25*time.Millisecond
	}
	f.sim.after(max(wait, f.backoff), func() {
		if f.progress == generation && f.inFlight > 0 {
			f.backoff = min(2*max(wait, f.backoff), 2*time.Second)
			f.emit()
			f.armProbe()
		}
	})
}

func (f *simFlow) arrive(number int, marked bool) {
	p := &f.sent[number]
	p.arrived = true
	f.delivered += p.Bytes
	if p.lost {
		f.wasted += p.Bytes
	}
	if marked {
		f.marks++
	}
	f.arrivals = append(f.arrivals, number)
	f.pending++
	inOrder := number == f.top+1
	if number > f.top {
		f.top, f.ackedAt = number, f.sim.now
	}
	thin := min(max(f.cc.Window()/f.sim.packet/4, 2), 256)
	if !inOrder || f.pending >= thin {
		f.acknowledge()
	} else if !f.delayed {
		f.delayed = true
		f.sim.after(min(f.srtt/4, 25*time.Millisecond), func() {
			f.delayed = false
			if f.pending > 0 {
				f.acknowledge()
			}
		})
	}
}

func (f *simFlow) acknowledge() {
	s := f.sim
	f.pending = 0
	upTo, top, delay, marks := len(f.arrivals), f.top, s.now-f.ackedAt, f.marks
	at := s.now + s.rtt/2 + s.wobble()
	if s.ackTick != 0 {
		at = (at + s.ackTick - 1) / s.ackTick * s.ackTick
	}
	if s.rng.Float64() >= s.loss {
		s.after(at-s.now, func() { s.on(&s.hosts[0], func() { f.acked(upTo, top, delay, marks) }) })
	}
}

func (f *simFlow) acked(upTo, top int, delay time.Duration, marks int) {
	if upTo <= f.reported {
		return
	}
	fresh := slices.Clone(f.arrivals[f.reported:upTo])
	f.reported = upTo
	f.progress++
	f.backoff = 0
	now := f.sim.clock()
	slices.Sort(fresh)
	var rtt time.Duration
	if top > f.largest {
		f.largest = top
		rtt = f.measure(now.Sub(f.sent[top].SentAt), delay)
	}
	for _, number := range fresh {
		p := &f.sent[number]
		p.acked = true
		if p.lost {
			f.reorder = min(max(f.reorder, f.largest-number+1), 128)
			f.slack = min(max(f.slack, now.Sub(p.SentAt)-f.srtt), f.srtt)
			f.cc.Spurious(now, &p.Packet)
			continue
		}
		f.inFlight -= p.Bytes
		f.cc.Acked(now, &p.Packet)
	}
	f.detect(now)
	if marks > f.marksOut {
		f.cc.Marked(now, marks-f.marksOut)
		f.marksOut = marks
	}
	f.cc.EndAck(now, rtt, f.inFlight)
	f.armProbe()
	f.send()
}

func (f *simFlow) measure(rtt, delay time.Duration) time.Duration {
	if f.least == 0 || rtt < f.least {
		f.least = rtt
	}
	f.rtts = append(f.rtts, rtt)
	if rtt-delay >= f.least {
		rtt -= delay
	}
	if f.srtt == 0 {
		f.srtt, f.rttvar = rtt, rtt/2
	}
	f.rttvar += ((rtt - f.srtt).Abs() - f.rttvar) / 4
	f.srtt += (rtt - f.srtt) / 8
	return rtt
}

func (f *simFlow) detect(now time.Time) {
	tooOld := f.srtt*9/8 + f.slack
	for i := f.oldest; i < f.largest; i++ {
		p := &f.sent[i]
		if p.acked || p.lost {
			if i == f.oldest {
				f.oldest++
			}
			continue
		}
		if i+f.reorder > f.largest && now.Sub(p.SentAt) < tooOld {
			break
		}
		p.lost = true
		if p.arrived {
			f.wasted += p.Bytes
		}
		f.inFlight -= p.Bytes
		f.cc.Lost(now, &p.Packet)
	}
}

// An application that is ready for so many bytes each period.
func (f *simFlow) feed(period time.Duration, bytes int) {
	f.limit = bytes
	f.budget = max(f.budget, 0) + bytes
	f.sim.after(period, func() {
		if f.limit != 0 {
			f.feed(period, f.limit)
		}
	})
	f.send()
}
