package engine

import (
	"net"
	"time"

	"mesh.example/msp/engine/msp"
	"mesh.example/msp/engine/stream"
	"mesh.example/msp/mdpconn"
)

// loop takes a turn whenever there is something to do.
func (e *Engine) loop() {
	defer close(e.done)
	defer e.timer.Stop()
	for {
		select {
		case <-e.wake:
		case <-e.timer.C:
		}
		for more := true; more && e.enter(false); {
			now := time.Now()
			left, closing := e.turn(now)
			if closing {
				e.abandon(now)
				return // nobody takes a turn any more
			}
			more = e.leave(left)
		}
	}
}

// turn takes what has arrived and what applications want, lets the machine act, tells
// applications the news, and sends what is due. More is left for another turn if so much
// was sent that it should hear first what has arrived meanwhile.
func (e *Engine) turn(now time.Time) (more, closing bool) {
	if closing = e.takeWork(now); closing {
		return false, true
	}
	return e.act(now), false
}

// takeWork moves everything that waits for a turn into the machine.
func (e *Engine) takeWork(now time.Time) (closing bool) {
	e.mu.Lock()
	inbox, news, calls, ready := e.inbox, e.news, e.calls, e.ready
	e.inbox, e.ready, e.news, e.calls = e.spare.inbox, e.spare.ready, nil, nil
	closing = e.closing
	e.mu.Unlock()

	for _, f := range news {
		f(now)
	}
	for i := range inbox {
		d := &inbox[i]
		if e.down != nil { // a late one of the time before
			d.Release()
			continue
		}
		local, remote := toMSP(d.Local), toMSP(d.Remote)
		switch {
		case d.restart:
			e.mux.Restarted(local.SID, remote.SID, d.Made)
		case d.unbound:
			e.mux.InputUnbound(now, local, remote, d.Data, true)
		default:
			e.mux.InputFrom(now, local, remote, d.Data, originOf(&d.Datagram))
		}
		d.Release()
	}
	for _, f := range calls {
		f(now)
	}
	for _, c := range ready {
		c.heed(now)
	}

	clear(inbox)
	clear(ready)
	e.spare.inbox, e.spare.ready = inbox[:0], ready[:0]
	return closing
}

// act lets the machine act until nothing is left to do at now, or it has sent so
// much that it should hear first what has arrived meanwhile: then there is more.
// Otherwise the timer is set to when something is due.
func (e *Engine) act(now time.Time) (more bool) {
	e.mux.Advance(now)
	for !more {
		for m := e.mux.NextEvent(); m != nil; m = e.mux.NextEvent() {
			e.event(now, m)
		}
		if !e.mux.Pending() {
			break
		}
		e.mux.Poll(now, e.emit)
		e.flush()
		more = e.mux.Pending()
	}
	e.lingering.release(now)
	if !more {
		e.armTimer(now)
	}
	return more
}

// event tells the application of m's news. What it wants in turn is for the next one: who is
// called and ends the connection at once answers the caller first.
func (e *Engine) event(now time.Time, m *msp.Conn) {
	c, _ := m.User.(*Conn)
	if c == nil {
		if c = e.incoming(m); c == nil {
			return
		}
	}
	c.pump(now)
}

// slowSend is how long sending takes when a link holds it up, rather than the processor.
const slowSend = 2 * time.Millisecond

// flush sends what the machine has emitted.
func (e *Engine) flush() {
	if len(e.out) == 0 {
		return
	}
	start := time.Now()
	e.out = sendAll(e.node, e.out)
	e.heldUp = time.Since(start) > slowSend
}

// armTimer has the loop take a turn when something is due. A timer that fires too early
// stays as it is, as moving it is dearer than a turn for nothing now and then: a request and
// its answer move what is due to and fro.
func (e *Engine) armTimer(now time.Time) {
	at := e.lingering.next(e.mux.NextTimeout())
	if at.IsZero() || e.timerAt.After(now) && !at.Before(e.timerAt) {
		return
	}
	e.timerAt = at
	e.timer.Reset(max(at.Sub(now), 0))
}

// abandon stops everything: the peers get a STOP, the applications an error.
func (e *Engine) abandon(now time.Time) {
	e.mux.Conns(func(m *msp.Conn) {
		if c, _ := m.User.(*Conn); c != nil {
			c.fail(net.ErrClosed)
		}
		m.Stop()
	})
	e.mux.Listeners(func(l *msp.Listener) { l.User.(*Listener).fail(net.ErrClosed) })
	for e.act(now) {
	}
	e.lingering.release(now.Add(portLinger))
	e.mu.Lock()
	e.forgetArrivalsLocked()
	e.mu.Unlock()
}

func originOf(d *mdpconn.Datagram) msp.Origin {
	return msp.Origin{Early: d.Early, Made: d.Made, Marked: d.ECN == mdpconn.CE}
}

// ecnOf tells whether a packet may be marked for congestion: only connections in the
// extended format heed marks.
func ecnOf(packet []byte) mdpconn.ECN {
	if stream.IsPacket(packet) {
		return mdpconn.ECT0
	}
	return mdpconn.NotECT
}

func toMSP(a mdpconn.Addr) msp.Addr   { return msp.Addr{SID: a.SID, Port: uint32(a.Port)} }
func fromMSP(a msp.Addr) mdpconn.Addr { return mdpconn.Addr{SID: a.SID, Port: mdpconn.Port(a.Port)} }
