package mdpconn

import (
	"sync"
	"time"
)

// A deadline is a time that can be moved while others wait for it. It has a
// timer only while it is set and in the future.
type deadline struct {
	// mu guards what follows.
	mu     sync.Mutex
	timer  *time.Timer
	turn   int           // counts the calls of set
	passed chan struct{} // closed when the deadline has passed
}

func (d *deadline) init() { d.passed = make(chan struct{}) }

// wait gives a channel that is closed when the deadline passes, also if it is
// moved meanwhile to another time in the future.
func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.passed
}

// set moves the deadline; the zero time takes it away.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turn++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	select {
	case <-d.passed:
		d.passed = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		close(d.passed)
		return
	}
	turn := d.turn
	d.timer = time.AfterFunc(wait, func() { d.expire(turn) })
}

// expire closes the channel, unless the deadline has been moved.
func (d *deadline) expire(turn int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.turn == turn {
		d.timer = nil
		close(d.passed)
	}
}
