package engine

import (
	"io"
	"net"
	"sync"
	"time"

	"mesh.example/msp/engine/msp"
	"mesh.example/msp/internal/mspdebug"
	"mesh.example/msp/mdpconn"
)

const (
	inboxLimit     = 4096                  // datagrams waiting for a turn; more are dropped and counted
	promptBytes    = 4 << 10               // what comes alone, and is no more, is perhaps a request or an answer: somebody waits
	announceDelay  = 10 * time.Millisecond // an early Dial waits so long for the first message
	defaultBacklog = 128
)

// An Engine runs the connections of one node. All its methods, and those of its
// connections and listeners, may be called concurrently.
//
// Whoever has the turn (turn.go) owns the state machine and all that is marked
// turn-owned. The others leave what they bring in the inbox, in the list of
// connections that want attention, or as functions to run. No one waits while holding a
// mutex. Lock order: Conn.mu, Listener.mu, portTable.mu, Engine.mu, the node's.
type Engine struct {
	// Constant.
	node  *mdpconn.Node
	wake  chan struct{} // capacity 1
	done  chan struct{} // closed when the loop has ended
	ports portTable

	// Turn-owned.
	mux       *msp.Mux
	emit      msp.Emit           // puts a packet into out
	out       []mdpconn.Datagram // emitted in this turn
	timer     *time.Timer
	timerAt   time.Time // when it fires, or has fired
	lingering lingerList
	heldUp    bool     // links held up what was sent last
	down      error    // while what carries the datagrams is gone
	spare     struct { // what inbox and ready change places with
		inbox []arrival
		ready []*Conn
	}

	mu sync.Mutex
	// Guarded by mu.
	taken   bool // somebody has the turn
	wanted  bool // something came up since they took it
	inbox   []arrival
	opening map[mdpconn.Port]int  // ports at which Listen has begun
	held    []arrival             // what came for these meanwhile
	news    []func(now time.Time) // of the node, to be run before anything else
	calls   []func(now time.Time)
	ready   []*Conn            // connections whose application did something
	dropped uint64             // datagrams that did not fit into the inbox
	leaving map[*Conn]struct{} // closed and not ended, or ended and lingering
	closing bool
}

// arrival is a datagram in the inbox.
type arrival struct {
	mdpconn.Datagram
	unbound bool
	restart bool // no datagram: the remote SID has begun anew, at Made
}

type engineKey struct{}

// Of returns the engine of a node; it lives until the node is closed. Nil if
// the node is closed already. The engine is the node's handler of datagrams for
// unbound ports (Node.HandleUnbound) from then on.
func Of(node *mdpconn.Node) *Engine {
	e, _ := node.Attach(engineKey{}, func() io.Closer { return newEngine(node) }).(*Engine)
	return e
}

func newEngine(node *mdpconn.Node) *Engine {
	e := &Engine{
		node: node,
		wake: make(chan struct{}, 1),
		done: make(chan struct{}),
		mux: msp.NewMux(msp.Config{
			SendQueue: machineQueue, Silent: node.Silent(), Extended: !mspdebug.Published(),
			PacketSize: func(local, remote msp.Addr) int { return node.MaxDatagram(fromMSP(local), fromMSP(remote)) },
			Watched:    func(local, remote msp.Addr) bool { return node.Watches(local.SID, remote.SID) },
			Alloc:      allocBuffer, Free: freeBuffer,
		}),
		timer: time.NewTimer(time.Hour),

		leaving: make(map[*Conn]struct{}),
	}
	e.ports = portTable{node: node, handler: e}
	e.emit = func(local, remote msp.Addr, data []byte) {
		e.out = append(e.out, mdpconn.Datagram{Local: fromMSP(local), Remote: fromMSP(remote), Data: data, ECN: ecnOf(data)})
	}
	e.timer.Stop()
	node.HandleUnbound(unboundHandler{e})
	go e.loop()
	return e
}

// Node returns the node that the engine runs on.
func (e *Engine) Node() *mdpconn.Node { return e.node }

// HandleDatagrams takes what arrives for the engine's ports. It implements
// [mdpconn.Handler].
func (e *Engine) HandleDatagrams(batch []mdpconn.Datagram) { e.receive(batch, false) }

// unboundHandler takes what arrives for ports that nobody bound.
type unboundHandler struct{ e *Engine }

func (h unboundHandler) HandleDatagrams(batch []mdpconn.Datagram) { h.e.receive(batch, true) }

func (e *Engine) receive(batch []mdpconn.Datagram, unbound bool) {
	e.mu.Lock()
	for i := range batch {
		e.arriveLocked(arrival{Datagram: batch[i], unbound: unbound})
	}
	alone := len(batch) == 1 && len(batch[0].Data) <= promptBytes
	if !alone {
		e.wakeLocked()
	}
	e.mu.Unlock()
	if alone { // where many come at once, one reads and one takes turns
		e.step()
	}
}

func (e *Engine) arriveLocked(a arrival) {
	switch {
	case len(e.inbox)+len(e.held) >= inboxLimit || e.closing:
		e.dropped++
		a.Release()
	case !a.unbound && e.opening[a.Local.Port] > 0:
		e.held = append(e.held, a)
	default:
		e.inbox = append(e.inbox, a)
	}
}

// forgetArrivalsLocked drops what waits for a turn, and for listeners.
func (e *Engine) forgetArrivalsLocked() {
	for _, list := range []*[]arrival{&e.inbox, &e.held} {
		for i := range *list {
			(*list)[i].Release()
		}
		*list = nil
	}
}

// opens holds what arrives for a port back until the function that it returns is
// called: whoever calls while it is bound and nobody listens yet would be refused.
func (e *Engine) opens(port mdpconn.Port) (opened func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.opening == nil {
		e.opening = make(map[mdpconn.Port]int)
	}
	e.opening[port]++
	return func() {
		e.mu.Lock()
		if e.opening[port]--; e.opening[port] == 0 {
			delete(e.opening, port)
		}
		held := e.held
		e.held = nil
		for _, a := range held {
			e.arriveLocked(a)
		}
		e.wakeLocked()
		e.mu.Unlock()
	}
}

// drains lets Drain wait for c, until forgets is called.
func (e *Engine) drains(c *Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leaving[c] = struct{}{}
}

func (e *Engine) forgets(c *Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.leaving, c)
}

// post runs f in a turn, later. It reports false if the engine is closed.
func (e *Engine) post(f func(now time.Time)) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing {
		return false
	}
	e.calls = append(e.calls, f)
	e.wakeLocked()
	return true
}

// call runs f in a turn and waits for it. It fails with [net.ErrClosed].
func (e *Engine) call(f func(now time.Time)) error {
	ran := make(chan struct{})
	if !e.post(func(now time.Time) { f(now); close(ran) }) {
		return net.ErrClosed
	}
	select {
	case <-ran:
		return nil
	case <-e.done:
		select {
		case <-ran:
			return nil
		default:
			return net.ErrClosed
		}
	}
}

// Close aborts all connections and ends the engine. Its node calls it.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.closing = true
	e.wakeLocked()
	e.mu.Unlock()
	<-e.done
	return nil
}

// Stats are an engine's counters.
type Stats struct {
	msp.MuxStats
	Inbox, InboxLimit int    // datagrams that wait for the engine
	InboxDropped      uint64 // that found the inbox full
}

// Stats returns the engine's counters; zero if it is closed.
func (e *Engine) Stats() Stats {
	var s Stats
	e.call(func(time.Time) {
		s.MuxStats = e.mux.Stats()
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	s.Inbox, s.InboxLimit, s.InboxDropped = len(e.inbox), inboxLimit, e.dropped
	return s
}
