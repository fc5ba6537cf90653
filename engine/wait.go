package engine

import (
	"context"
	"os"
	"sync"
	"time"
)

// waiters are calls that wait for something. All of it is guarded by the owner's
// mutex.
//
// Mostly one call waits at a time: it has a channel that is used again. Others
// share one that is closed when something has changed; nil while there are none.
type waiters struct {
	single  chan struct{} // capacity 1
	changed chan struct{}
	waiting bool // a call waits on single
}

// wakeLocked lets all that wait look again.
func (w *waiters) wakeLocked() {
	if w.waiting {
		select {
		case w.single <- struct{}{}:
		default:
		}
	}
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// waitLocked unlocks mu, waits for a change or for ctx, and locks again. It fails
// with ctx's error.
func (w *waiters) waitLocked(ctx context.Context, mu *sync.Mutex) error {
	if w.waiting {
		if w.changed == nil {
			w.changed = make(chan struct{})
		}
		return wait(ctx, mu, w.changed)
	}
	if w.single == nil {
		w.single = make(chan struct{}, 1)
	}
	select {
	case <-w.single: // of a call that its ctx ended
	default:
	}
	w.waiting = true
	err := wait(ctx, mu, w.single)
	w.waiting = false
	return err
}

// shrinkLocked lets go of the channel that is kept for the next call.
func (w *waiters) shrinkLocked() {
	if !w.waiting {
		w.single = nil
	}
}

// A side is what calls of one kind wait on: the readers of a connection, its
// writers, or those who accept. They have a deadline. All of it is guarded by the
// owner's mutex.
type side struct {
	waiters
	timer  *time.Timer // while a deadline is set and not over
	set    uint32      // counts deadlines, so that an old timer is known as such
	passed bool        // the deadline is over
}

// waitLocked unlocks mu, waits for a change or for ctx, and locks again. It
// fails if the deadline is over, which comes first, or with ctx's error.
func (s *side) waitLocked(ctx context.Context, mu *sync.Mutex) error {
	if s.passed {
		return os.ErrDeadlineExceeded
	}
	return s.waiters.waitLocked(ctx, mu)
}

// wait unlocks mu, waits for changed or for ctx, and locks again.
func wait(ctx context.Context, mu *sync.Mutex, changed <-chan struct{}) error {
	mu.Unlock()
	defer mu.Lock()
	if ctx.Done() == nil { // a select is dearer, and a reader waits for each request
		<-changed
		return nil
	}
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// setDeadlineLocked moves the deadline; zero is none. Calls that wait meet the
// new one.
func (s *side) setDeadlineLocked(t time.Time, mu *sync.Mutex) {
	s.stopLocked()
	s.passed = false
	if t.IsZero() {
		return
	}
	d := time.Until(t)
	if d <= 0 {
		s.passed = true
		s.wakeLocked()
		return
	}
	set := s.set
	s.timer = time.AfterFunc(d, func() {
		mu.Lock()
		defer mu.Unlock()
		if s.set == set {
			s.timer = nil
			s.passed = true
			s.wakeLocked()
		}
	})
}

// stopLocked ends the deadline's timer.
func (s *side) stopLocked() {
	s.set++
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}
