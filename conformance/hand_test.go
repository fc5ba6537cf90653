package conformance

import (
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/engine"
	"mesh.example/msp/engine/msp"
	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
)

// A hand drives the sockets of one node as a program for the protocol's
// original does: it polls, receives, and calls Processing when that says.
type hand struct {
	*engine.Manual
	next time.Time
}

// step takes what has arrived, and lets everything happen that is due.
func (h *hand) step() {
	for h.Recv(time.Now()) == nil {
	}
	h.next = h.Processing(time.Now())
}

// hands are two programs, one on each node of a world.
type hands struct {
	*world
	a, b *hand // on the client's node, on the server's
}

// byHand runs f in virtual time.
func byHand(t *testing.T, f func(t *testing.T, h *hands)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Config{Seed: 1, Impairment: steady})
		h := &hands{w, &hand{Manual: engine.NewManual(w.client)}, &hand{Manual: engine.NewManual(w.server)}}
		f(t, h)
		try(t, "CloseAll", h.a.CloseAll(time.Now()))
		try(t, "CloseAll", h.b.CloseAll(time.Now()))
	})
}

// run lets both programs run for d. Each acts only when packets have arrived,
// or at the time that its Processing has named.
func (h *hands) run(d time.Duration) {
	h.a.step()
	h.b.step()
	end := time.NewTimer(d)
	defer end.Stop()
	for {
		select {
		case <-h.a.Readable():
			h.a.step()
		case <-h.b.Readable():
			h.b.step()
		case <-alarm(h.a.next):
			h.a.step()
		case <-alarm(h.b.next):
			h.b.step()
		case <-end.C:
			return
		}
	}
}

// alarm is a channel for a time; never for zero.
func alarm(at time.Time) <-chan time.Time {
	if at.IsZero() {
		return nil
	}
	return time.After(time.Until(at))
}

// A diary is what a handler was told.
type diary struct {
	sockets  []*engine.Socket // in the order of their first event
	states   map[*engine.Socket][]msp.State
	messages []string
	closed   map[*engine.Socket]int // how often it was told of the end
	react    func(s *engine.Socket, state msp.State, payload []byte) int
}

func newDiary() *diary {
	return &diary{states: make(map[*engine.Socket][]msp.State), closed: make(map[*engine.Socket]int)}
}

// handler writes down what it is told, consumes everything unless react says
// otherwise, and fails the test if something comes after the end.
func (d *diary) handler(t *testing.T) engine.Handler {
	return func(s *engine.Socket, state msp.State, payload []byte) int {
		if d.states[s] == nil {
			d.sockets = append(d.sockets, s)
		}
		if d.closed[s] > 0 {
			t.Errorf("after CLOSED: %v with %q", state, payload)
		}
		d.states[s] = append(d.states[s], state)
		if state&msp.Closed != 0 {
			d.closed[s]++
		}
		n := len(payload)
		if d.react != nil {
			n = d.react(s, state, payload)
		}
		if payload != nil && n > 0 {
			d.messages = append(d.messages, string(payload[:n]))
		}
		return n
	}
}

// last is the latest state that the handler was told of a socket.
func (d *diary) last(s *engine.Socket) msp.State {
	if all := d.states[s]; len(all) > 0 {
		return all[len(all)-1]
	}
	return 0
}

// listen makes b listen on port of its primary identity.
func (h *hands) listen(t *testing.T) (*engine.Socket, *diary) {
	t.Helper()
	d := newDiary()
	s := h.b.Socket()
	s.SetLocal(mdpconn.Addr{SID: mdpconn.Primary, Port: port})
	s.SetHandler(d.handler(t))
	try(t, "Listen", s.Listen())
	return s, d
}

// connect makes a socket of a call the port of b.
func (h *hands) connect(t *testing.T) (*engine.Socket, *diary) {
	t.Helper()
	d := newDiary()
	s := h.a.Socket()
	s.SetHandler(d.handler(t))
	try(t, "Connect", s.Connect(time.Now(), mdpconn.Addr{SID: h.server.Primary(), Port: port}))
	return s, d
}

// pair gives the two sockets of a new connection.
func (h *hands) pair(t *testing.T) (a, b *engine.Socket, da, db *diary) {
	t.Helper()
	_, db = h.listen(t)
	a, da = h.connect(t)
	h.run(time.Second)
	for _, s := range db.sockets {
		if s.IsConnected() {
			b = s
		}
	}
	if b == nil {
		t.Fatal("the listener's handler was told of no connection")
	}
	return a, b, da, db
}

// countDatagrams counts what node sends above MDP from now on.
func countDatagrams(node *mdpconn.Node) func() int {
	before := node.Stats().Sent.Datagrams
	return func() int { return int(node.Stats().Sent.Datagrams - before) }
}
