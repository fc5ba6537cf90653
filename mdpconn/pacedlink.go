package mdpconn

import (
	"sync"
	"time"
)

// A pacedLink is a link that may not send as fast as it is given: what is too
// early waits in a queue.
type pacedLink struct {
	Link
	count *counters
	wake  chan struct{} // cap 1: something waits
	done  chan struct{}
	ended chan struct{}
	once  sync.Once

	// mu guards what follows. Nothing is written while it is held.
	mu    sync.Mutex
	pace  pace
	queue queue
}

// newPacedLink wraps a link, which is its own from then on.
func newPacedLink(l Link, t timing, count *counters) *pacedLink {
	p := &pacedLink{
		Link: l, count: count, pace: t.pace(),
		wake: make(chan struct{}, 1), done: make(chan struct{}), ended: make(chan struct{}),
	}
	go p.drain()
	return p
}

// WritePackets sends what may go now, and has the rest wait.
func (p *pacedLink) WritePackets(ps []Packet) (int, error) {
	now := time.Now()
	p.mu.Lock()
	k := 0
	for k < len(ps) && p.queue.len() == 0 && p.pace.take(now) {
		k++
	}
	late := p.lateLocked()
	for i := range ps[k:] {
		if !p.queue.push(QueueOrdinary, ps[k+i].Addr, ps[k+i].Data, now) {
			p.count.dropped.linkFull.Add(1)
		}
	}
	p.count.dropped.linkLate.Add(p.lateLocked() - late)
	waits := p.queue.len() > 0
	p.mu.Unlock()
	if waits {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	if n, err := p.Link.WritePackets(ps[:k]); err != nil {
		return n, err
	}
	return len(ps), nil
}

// WriteProbe sends a probe at once, beside the pace, if the link does: there are
// few.
func (p *pacedLink) WriteProbe(packet Packet) error {
	if w, ok := p.Link.(probingLink); ok {
		return w.WriteProbe(packet)
	}
	_, err := p.WritePackets([]Packet{packet})
	return err
}

// waiting gives how many packets wait.
func (p *pacedLink) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.len()
}

// lateLocked gives how many packets waited too long. Caller holds mu.
func (p *pacedLink) lateLocked() uint64 { return p.queue.counts.late[QueueOrdinary] }

// drain is the goroutine that sends what waits. It has a timer only while
// something does.
func (p *pacedLink) drain() {
	defer close(p.ended)
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	var ps [1]Packet
	for {
		now := time.Now()
		var due <-chan time.Time
		p.mu.Lock()
		late, send := p.lateLocked(), false
		if p.queue.len() > 0 {
			if p.pace.take(now) {
				send = p.queue.pop(&ps[0], now)
			} else {
				timer.Reset(p.pace.next().Sub(now))
				due = timer.C
			}
		}
		p.count.dropped.linkLate.Add(p.lateLocked() - late)
		p.mu.Unlock()
		if send {
			if _, err := p.Link.WritePackets(ps[:]); err != nil {
				p.count.sent.errors.Add(1)
			}
			continue
		}
		select {
		case <-due:
		case <-p.wake:
		case <-p.done:
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// Close forgets what waits.
func (p *pacedLink) Close() error {
	err := p.Link.Close()
	p.once.Do(func() { close(p.done) })
	<-p.ended
	return err
}
