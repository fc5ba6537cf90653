package engine

import (
	"time"

	"mesh.example/msp/mdpconn"
)

// HandleDoubt has the idle connections to a peer that the node watched over see
// whether the peer still has them. It implements [mdpconn.WatchHandler].
func (e *Engine) HandleDoubt(local, remote mdpconn.SID) {
	e.tell(func(now time.Time) { e.mux.Doubted(now, local, remote) })
}

// HandleGone ends the idle connections to a peer that the node watched over, with
// syscall.ETIMEDOUT. It implements [mdpconn.WatchHandler].
func (e *Engine) HandleGone(local, remote mdpconn.SID) {
	e.tell(func(time.Time) { e.mux.Gone(local, remote) })
}

// tell runs news of the node in the next turn, before anything else.
func (e *Engine) tell(news func(now time.Time)) {
	e.mu.Lock()
	e.news = append(e.news, news)
	e.wakeLocked()
	e.mu.Unlock()
}
