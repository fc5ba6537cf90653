package engine

import (
	"context"
	"os"
	"sync"
	"time"
)

// A side is what calls of one kind wait on: the readers of a connection, its
// writers, or those who accept. All of it is guarded by the owner's mutex.
type side struct {
	// Mostly one call waits at a time: it has a channel that is used again. Others
	// share one that is closed when something has changed; nil while there are none.
	single  chan struct{} // capacity 1
	waiting bool          // a call waits on single
	changed chan struct{}

	timer  *time.Timer // while a deadline is set and not over
	passed bool        // the deadline is over
	set    int         // counts deadlines, so that an old timer is known as such
}

// wakeLocked lets all that wait look again.
func (s *side) wakeLocked() {
	if s.waiting {
		select {
		case s.single <- struct{}{}:
		default:
		}
	}
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// waitLocked unlocks mu, waits for a change or for ctx, and locks again. It
// fails if the deadline is over, which comes first, or with ctx's error.
func (s *side) waitLocked(ctx context.Context, mu *sync.Mutex) error {
	if s.passed {
		return os.ErrDeadlineExceeded
	}
	if s.waiting {
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		return wait(ctx, mu, s.changed)
	}
	if s.single == nil {
		s.single = make(chan struct{}, 1)
	}
	select {
	case <-s.single: // of a call that its ctx ended
	default:
	}
	s.waiting = true
	err := wait(ctx, mu, s.single)
	s.waiting = false
	return err
}

// wait unlocks mu, waits for changed or for ctx, and locks again.
func wait(ctx context.Context, mu *sync.Mutex, changed <-chan struct{}) error {
	mu.Unlock()
	defer mu.Lock()
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
