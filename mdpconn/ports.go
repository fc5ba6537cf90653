package mdpconn

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"reflect"
	"syscall"
)

// Built-in ports, at which the node itself answers (docs/overlay.md §1.3, §9).
// Specification.
const (
	portKeyMap    Port = 1
	portLinkState Port = 2
	portEcho      Port = 7
)

// Ports given out when any will do (docs/protocol.md §1). Implementation.
const (
	// firstRandomPort is above all that stock gives out by itself.
	firstRandomPort Port = 1 << 16
	// endShortPorts ends those that packets name in three bytes, as either end; they
	// are drawn from while shortDraws draws find one that is free.
	endShortPorts Port = 1 << 20
	shortDraws         = 32
	// recentPorts is how many others are given out before a port is again: a peer
	// remembers connections that have ended, and looks twice at one in their place.
	recentPorts = 1 << 15
)

// A sink is a handler and whether it can be compared with others.
type sink struct {
	handler    Handler
	comparable bool
}

func newSink(h Handler) sink {
	return sink{handler: h, comparable: h != nil && reflect.TypeOf(h).Comparable()}
}

// same reports whether the two are known to be one handler.
func (s sink) same(o sink) bool {
	return s.comparable && o.comparable && s.handler == o.handler
}

// A portTable is the bound ports of a node. Guarded by Node.mu.
type portTable struct {
	bound map[Addr]*Socket
	every map[Port]int // sockets of any SID at a port, and one more if it is in recent

	recent lately[Port] // what randomPort gave
}

func (t *portTable) init() {
	t.bound = make(map[Addr]*Socket)
	t.every = make(map[Port]int)
}

func (t *portTable) len() int { return len(t.bound) }

// find gives the socket for datagrams to an address of this node: that of the
// address itself if there is one, else that of all SIDs, else nil.
func (t *portTable) find(a Addr) *Socket {
	if t.every[a.Port] == 0 {
		return nil
	}
	if s := t.bound[a]; s != nil {
		return s
	}
	return t.bound[Addr{All, a.Port}]
}

func (t *portTable) insert(s *Socket) {
	t.bound[s.local] = s
	t.every[s.local.Port]++
}

func (t *portTable) remove(s *Socket) {
	if t.bound[s.local] != s {
		return
	}
	delete(t.bound, s.local)
	t.release(s.local.Port)
}

// release undoes a count of every.
func (t *portTable) release(p Port) {
	if t.every[p]--; t.every[p] == 0 {
		delete(t.every, p)
	}
}

// randomPort gives a port that nobody bound, for no SID, and that it did not give
// lately.
func (t *portTable) randomPort() Port {
	end := endShortPorts
	for draws := 1; ; draws++ {
		p := firstRandomPort + Port(rand.Uint32N(uint32(end-firstRandomPort)))
		if t.every[p] == 0 {
			t.remember(p)
			return p
		}
		if draws == shortDraws {
			end = MaxPort + 1
		}
	}
}

// remember keeps a port from being given out again soon.
func (t *portTable) remember(p Port) {
	t.every[p]++
	if old, full := t.recent.put(p, recentPorts); full {
		t.release(old)
	}
}

// Bind binds a port of an identity of the node. Datagrams to it go to h until
// the socket is closed.
//
// The SID of local may be Primary, the node's primary identity, or All, all its
// identities, those added later too. A port may be bound for one SID and for
// All: datagrams then go to the socket of their SID. Port 0 is any free one from 2^16
// on, below 2^20 unless hardly one is free there; a daemon gives them from 257 on.
//
// An error is a *net.OpError. It unwraps to syscall.EADDRINUSE if the address
// is bound already or the port is built in (1 key map, 2 link state, 7 echo, and 11
// services, but not at a daemon), to syscall.EADDRNOTAVAIL if the node has no such
// identity, and to net.ErrClosed after Close. A node at a daemon asks it, which
// takes a moment; its error may also be a *DaemonError, and the daemon refuses
// what another of its clients has bound, without telling why.
func (n *Node) Bind(local Addr, h Handler) (*Socket, error) {
	s, err := n.carrier.bind(local, h)
	if err != nil {
		return nil, &net.OpError{Op: "bind", Net: local.Network(), Addr: local, Err: err}
	}
	return s, nil
}

// checkBind refuses what nobody can bind.
func checkBind(local Addr, h Handler) error {
	switch {
	case h == nil:
		return errors.New("no handler")
	case local.Port > MaxPort:
		return fmt.Errorf("port %d, expected 0 … %d", local.Port, MaxPort)
	}
	return nil
}

func (n *Node) bindOverlay(local Addr, h Handler) (*Socket, error) {
	if err := checkBind(local, h); err != nil {
		return nil, err
	}
	if local.SID != All {
		own := n.own.Load().find(local.SID)
		if own == nil {
			return nil, os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)
		}
		local.SID = own.sid
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.isClosedLocked() {
		return nil, net.ErrClosed
	}
	if local.Port == 0 {
		for local.Port == 0 || local.Port == n.challengePort {
			local.Port = n.ports.randomPort()
		}
	} else if n.ports.bound[local] != nil || n.isBuiltinLocked(local.Port) {
		return nil, os.NewSyscallError("bind", syscall.EADDRINUSE)
	}
	s := &Socket{node: n, local: local, sink: newSink(h)}
	s.queue, s.ttl = QueueOrdinary, maxTTL
	n.ports.insert(s)
	return s, nil
}

// isBuiltinLocked reports whether the node keeps a port for itself. Caller holds mu.
func (n *Node) isBuiltinLocked(p Port) bool {
	return p == portKeyMap || p == portLinkState || p == portEcho || p == portService && n.config.Servald == nil || p == n.challengePort
}

// Silent reports whether the node hides which of its ports are in use, as
// Config.Silent asks.
func (n *Node) Silent() bool { return n.config.Silent }

// HandleUnbound sets the handler of datagrams for ports that nobody bound, of
// any of the node's identities; nil drops them, as does Config.Silent. A daemon
// drops them by itself.
func (n *Node) HandleUnbound(h Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unbound = newSink(h)
}
