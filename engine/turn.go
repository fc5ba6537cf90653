package engine

import "time"

// A turn is a pass through the state machine, which belongs to who has it. Mostly that is
// the loop. Whoever brings a lone packet takes the turn himself, if nobody has it: a request
// and its answer need not wait until the loop's goroutine runs.

// step takes a turn at once on the goroutine that has brought an arrival, which spares it to
// wait for the loop's, unless somebody else has it. What is left then is the loop's.
func (e *Engine) step() {
	if !e.enter(true) {
		return
	}
	now := time.Now()
	if left, closing := e.turn(now); e.leave(left || closing) {
		e.signal()
	}
}

// stepFor does for c, in the turn that the caller has taken, what its application wants.
// What others have brought is the loop's, also as it may call the application (Allow).
func (e *Engine) stepFor(c *Conn) {
	now := time.Now()
	c.heed(now)
	if more := e.act(now); e.leave(more) {
		e.signal()
	}
}

// enter takes the turn. If somebody has it already, it is for them to see what has come up.
// Who is only passing is refused while links hold senders up: applications have deadlines, and
// receivers more to receive.
func (e *Engine) enter(passing bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.taken || passing && e.heldUp {
		e.wakeLocked()
		return false
	}
	e.taken = true
	return true
}

// leave gives the turn back, and reports whether there must be another.
func (e *Engine) leave(more bool) (again bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	again = more || e.wanted
	e.taken, e.wanted = false, false
	return again
}

// wakeLocked has somebody see what has come up.
func (e *Engine) wakeLocked() {
	if e.taken {
		e.wanted = true
	} else {
		e.signal()
	}
}

// signal wakes the loop.
func (e *Engine) signal() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// attend has a turn look after c. The caller holds c.mu.
func (e *Engine) attend(c *Conn) {
	if c.attended {
		return
	}
	c.attended = true
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ready = append(e.ready, c)
	e.wakeLocked()
}

// attendNow is attend, at once if it can be. The caller holds c.mu, which is unlocked
// meanwhile.
func (e *Engine) attendNow(c *Conn) {
	if !e.enter(true) {
		e.attend(c)
		return
	}
	c.mu.Unlock()
	e.stepFor(c)
	c.mu.Lock()
}
