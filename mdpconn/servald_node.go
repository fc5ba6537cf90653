package mdpconn

import (
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mesh.example/msp/mdpconn/servald"
)

// A ServaldConfig names a servald daemon to be a client of. The zero value is
// the one that the environment tells.
type ServaldConfig struct {
	// Instance is the daemon's instance path, absolute, as the daemon spells
	// it. If empty, the environment's SERVALINSTANCE_PATH; without that, the
	// path of a daemon built as it comes.
	Instance string

	// Client is a name for the node's own socket, one for each service. The
	// daemon keeps the ports of a program that crashed for whoever has its name:
	// with a fixed one the program gets them back when it starts again. Two
	// nodes cannot have the same at one time. If empty, a name of its own.
	Client string
}

// Implementation.
const (
	pollEvery  = 400 * time.Millisecond // so that a loss is seen within a second
	answerTime = 2 * time.Second        // until a question counts as not answered
	probeEvery = 100 * time.Millisecond // while an answer is waited for: the daemon may end before it gives one
	comeBack   = 50 * time.Millisecond  // before the second attempt to come back; doubled each time
	comeMost   = 2 * time.Second        // the longest of these waits
)

// A daemon carries datagrams through a servald daemon (docs/servald.md). A
// goroutine reads from the socket; another, the keeper, asks now and then
// whether the daemon is there while something is bound, and comes back when it
// was lost.
//
// Whoever asks the daemon something has the turn: one request is on its way at a
// time, as only so its answer can be told apart (§4). Waiting for the turn is
// waiting on a channel; mu is a leaf.
type daemon struct {
	// Constant.
	node   *Node
	name   string        // of the daemon's socket
	client string        // the fixed client name, or ""
	wake   chan struct{} // cap 1; wakes the keeper

	own atomic.Pointer[[]SID] // identities of the daemon, the primary one first; never changed, only replaced

	turn chan struct{} // cap 1; full while somebody has the turn

	// What follows belongs to who has the turn.
	leases   map[*Socket]*lease
	granted  map[Addr]int // bindings at the daemon, with the number of leases
	nextTry  time.Time    // when to come back; zero: at once
	tryWait  time.Duration
	isSilent bool    // it was logged
	serving  int     // services that are registered
	service  *Socket // port 11, while there are any

	// mu guards what follows.
	mu      sync.Mutex
	conn    *daemonConn  // nil while the daemon is lost
	lost    *DaemonError // why conn is nil
	untold  *DaemonError // what handlers are still to be told
	toldOff bool         // handlers were told that it is gone, and not yet that it is back
	left    []func()     // what is left to who has the turn
	closed  bool
}

// openDaemon makes the node a client of its daemon.
func (n *Node) openDaemon() error {
	c := n.config.Servald
	name, err := servald.SocketName(c.Instance)
	if err != nil {
		return err
	}
	d := &daemon{
		node: n, name: name, client: c.Client,
		wake:    make(chan struct{}, 1),
		turn:    make(chan struct{}, 1),
		leases:  make(map[*Socket]*lease),
		granted: make(map[Addr]int),
	}
	d.own.Store(&[]SID{{}})
	n.carrier = d
	d.begin()
	defer d.end()
	if err := d.connect(); err != nil {
		d.close()
		close(n.done)
		n.running.Wait()
		return err
	}
	n.running.Add(1)
	go d.keep()
	return nil
}

// begin takes the turn. It reports false if the node is closed.
func (d *daemon) begin() bool {
	select {
	case d.turn <- struct{}{}:
		return true
	case <-d.node.done:
		return false
	}
}

// end gives the turn back, when nothing is left to do.
func (d *daemon) end() {
	for {
		d.mu.Lock()
		left := d.left
		d.left = nil
		if len(left) == 0 {
			<-d.turn
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		for _, f := range left {
			f()
		}
	}
}

// leave has f called by who has the turn: here if nobody has. It does not wait
// for others.
func (d *daemon) leave(f func()) {
	d.mu.Lock()
	d.left = append(d.left, f)
	turn := false
	select {
	case d.turn <- struct{}{}:
		turn = true
	default:
	}
	d.mu.Unlock()
	if turn {
		d.end()
	}
}

// keep is the keeper.
func (d *daemon) keep() {
	defer d.node.running.Done()
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-d.node.done:
			return
		case <-d.wake:
		case <-timer.C:
		}
		if !d.begin() {
			return
		}
		wait := d.look()
		d.end()
		if wait > 0 {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
	}
}

func (d *daemon) wakeKeeper() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// look looks after the daemon, and gives when to do so again; 0 is never. The
// caller has the turn.
func (d *daemon) look() time.Duration {
	d.tellDown()
	if len(d.leases) == 0 {
		return 0
	}
	if d.current() == nil {
		if wait := time.Until(d.nextTry); wait > 0 {
			return wait
		}
		if d.connect() != nil {
			d.tryWait = min(max(2*d.tryWait, comeBack), comeMost)
			d.nextTry = time.Now().Add(d.tryWait)
			return d.tryWait
		}
		return pollEvery
	}
	d.node.count.servald.polls.Add(1)
	if err := d.search(); err == nil {
		d.bindMissing()
	}
	if d.current() == nil {
		d.tellDown()
		d.nextTry, d.tryWait = time.Time{}, 0
		return time.Millisecond
	}
	return pollEvery
}

// current gives the connection; nil while the daemon is lost.
func (d *daemon) current() *daemonConn {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.conn
}

// lostError gives why there is no connection.
func (d *daemon) lostError() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.lost == nil {
		return net.ErrClosed
	}
	return d.lost
}

// lose notes that the daemon behind c is gone.
func (d *daemon) lose(c *daemonConn, cause error) {
	d.mu.Lock()
	if d.conn != c {
		d.mu.Unlock()
		return
	}
	d.conn = nil
	d.lost = goneError(d.name, cause)
	if !d.toldOff {
		d.untold = d.lost
	}
	d.mu.Unlock()
	d.node.count.servald.lost.Add(1)
	d.node.log.Warn("mdp servald is gone", "socket", d.name, "err", cause)
	c.close()
	d.wakeKeeper()
}

// connect reaches the daemon, learns its identities, and binds what sockets
// there are. The caller has the turn.
func (d *daemon) connect() error {
	d.tellDown()
	c, err := d.dial()
	if err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.closed {
			return net.ErrClosed
		}
		var absent *DaemonError
		if errors.As(err, &absent) && d.lost == nil {
			d.lost = absent
		}
		return err
	}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		c.close()
		return net.ErrClosed
	}
	d.conn, d.lost = c, nil
	d.node.running.Add(1)
	d.mu.Unlock()
	go c.receive()
	d.node.count.servald.connects.Add(1)
	d.nextTry, d.tryWait = time.Time{}, 0
	clear(d.granted)
	for _, l := range d.leases {
		l.addrs = l.addrs[:0]
	}
	if d.client != "" { // what an earlier life has left (§4.1)
		c.tell(&servald.Message{Flags: servald.Close})
	}
	if err := d.search(); err != nil {
		d.lose(c, err)
		return err
	}
	d.followPrimary()
	d.tellUp()
	d.bindMissing()
	return nil
}

// search asks for the daemon's identities (§7). The caller has the turn.
func (d *daemon) search() error {
	var sids []SID
	var primary SID
	err := d.ask(&servald.Message{RemotePort: servald.CommandSearch}, func(m *servald.Message) (bool, error) {
		switch {
		case m.RemotePort != servald.CommandSearch:
			return false, nil
		case m.Flags&servald.Error != 0:
			return true, errors.New("servald does not tell its identities")
		}
		primary = SID(m.LocalSID)
		if len(m.Payload) == len(SID{}) {
			if sid := SID(m.Payload); sid.Check() == nil && !slices.Contains(sids, sid) {
				sids = append(sids, sid)
			}
		}
		return m.Flags&servald.Close != 0, nil
	})
	if err != nil {
		return err
	}
	if i := slices.Index(sids, primary); i >= 0 {
		sids = slices.Delete(sids, i, i+1)
	}
	if primary.Check() == nil {
		sids = slices.Insert(sids, 0, primary)
	}
	if len(sids) == 0 {
		return &DaemonError{d.name, "has no identity: add one to its keyring"}
	}
	if !slices.Equal(sids, *d.own.Load()) {
		d.own.Store(&sids)
	}
	return nil
}

func (d *daemon) primary() SID { return (*d.own.Load())[0] }
func (d *daemon) sids() []SID  { return slices.Clone(*d.own.Load()) }
func (d *daemon) isOwn(sid SID) bool {
	return slices.Contains(*d.own.Load(), sid)
}

// hold checks the remote SID: routes are the daemon's.
func (d *daemon) hold(_, remote SID) (func(), error) {
	if err := remote.Check(); err != nil {
		return nil, err
	}
	return func() {}, nil
}

// tellDown tells handlers that the daemon is gone, once. The caller has the
// turn.
func (d *daemon) tellDown() {
	d.mu.Lock()
	err := d.untold
	d.untold = nil
	d.toldOff = d.toldOff || err != nil
	d.mu.Unlock()
	if err != nil {
		d.eachHandler(func(h DownHandler) { h.HandleDown(err) })
	}
}

// tellUp tells them that it is back.
func (d *daemon) tellUp() {
	d.mu.Lock()
	back := d.toldOff
	d.toldOff = false
	d.mu.Unlock()
	if back {
		d.node.log.Info("mdp servald is back", "socket", d.name, "primary", d.primary())
		d.eachHandler(func(h DownHandler) { h.HandleUp() })
	}
}

// eachHandler calls f for each handler of the sockets. No lock is held.
func (d *daemon) eachHandler(f func(h DownHandler)) {
	var done []sink
	for s := range d.leases {
		if slices.ContainsFunc(done, s.sink.same) {
			continue
		}
		done = append(done, s.sink)
		if h, ok := s.sink.handler.(DownHandler); ok {
			f(h)
		}
	}
}

// close releases all bindings, and ends the connection.
func (d *daemon) close() error {
	d.mu.Lock()
	c := d.conn
	d.conn, d.closed = nil, true
	d.mu.Unlock()
	if c == nil {
		return nil
	}
	c.tell(&servald.Message{Flags: servald.Close})
	return c.close()
}
