package engine

import (
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"mesh.example/msp/mdpconn"
)

// portLinger is how long the port of an ended connection stays bound: the peer
// may still repeat itself (docs/protocol.md §8.2).
const portLinger = 10 * time.Second

// lingerLimit bounds the ended connections whose ports are kept.
const lingerLimit = 1 << 14

// A portTable is the MDP ports that an engine has bound.
type portTable struct {
	node    *mdpconn.Node
	handler mdpconn.Handler

	mu sync.Mutex
	// Guarded by mu.
	ports map[mdpconn.Addr]*port
}

// A port is bound by a listener or a dialled connection, which owns it, and by
// every connection that was accepted on it.
type port struct {
	table *portTable
	sock  *mdpconn.Socket

	// Guarded by portTable.mu.
	key   mdpconn.Addr // in the table
	owned bool
	users int // the owner, and connections, ended ones that linger included
}

// claim binds an address for a new owner. A port that only connections of a
// former owner still use can be claimed again.
func (t *portTable) claim(local mdpconn.Addr) (*port, error) {
	if p, err := t.reclaim(local); p != nil || err != nil {
		return p, err
	}
	sock, err := t.node.Bind(local, t.handler)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ports == nil {
		t.ports = make(map[mdpconn.Addr]*port)
	}
	p := &port{table: t, sock: sock, key: sock.LocalAddr(), owned: true, users: 1}
	t.ports[p.key] = p
	return p, nil
}

// reclaim claims a port that the table has already, else it gives nil.
func (t *portTable) reclaim(local mdpconn.Addr) (*port, error) {
	if local.SID == mdpconn.Primary {
		local.SID = t.node.Primary()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.ports[local]
	if p == nil {
		return nil, nil
	}
	if p.owned {
		return nil, &net.OpError{Op: "bind", Net: local.Network(), Addr: local,
			Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	p.owned = true
	p.users++
	return p, nil
}

// rekey finds ports by their addresses again, after some have changed.
func (t *portTable) rekey() {
	t.mu.Lock()
	defer t.mu.Unlock()
	ports := make(map[mdpconn.Addr]*port, len(t.ports))
	for _, p := range t.ports {
		p.key = p.addr()
		ports[p.key] = p
	}
	t.ports = ports
}

// addr returns the bound address.
func (p *port) addr() mdpconn.Addr { return p.sock.LocalAddr() }

// abandon undoes claim, when what the port was claimed for failed.
func (p *port) abandon() {
	p.disown()
	p.release()
}

// disown lets somebody else claim the port; its user is still counted.
func (p *port) disown() {
	p.table.mu.Lock()
	defer p.table.mu.Unlock()
	p.owned = false
}

// release ends one use; the last one unbinds the port. The mutex is held
// meanwhile, so that nobody finds the address neither in the table nor free:
// unbinding takes a moment, at worst that of a daemon with a full queue.
func (p *port) release() {
	p.table.mu.Lock()
	defer p.table.mu.Unlock()
	if p.users--; p.users == 0 {
		delete(p.table.ports, p.key)
		p.sock.Close()
	}
}

// A tenancy is what a connection holds of the node: a port, and the peer's keys.
type tenancy struct {
	port   *port
	unhold func()
}

// rent makes a connection that was accepted on p a tenant.
func (p *port) rent(local, remote mdpconn.SID) (tenancy, error) {
	unhold, err := p.table.node.Hold(local, remote)
	if err != nil {
		return tenancy{}, err
	}
	p.table.mu.Lock()
	defer p.table.mu.Unlock()
	p.users++
	return tenancy{p, unhold}, nil
}

// claimFor binds an address for a connection to remote.
func (t *portTable) claimFor(local, remote mdpconn.Addr) (tenancy, error) {
	if remote.Port == 0 || remote.Port > mdpconn.MaxPort {
		return tenancy{}, fmt.Errorf("engine: remote port %d, expected 1 … %d", remote.Port, mdpconn.MaxPort)
	}
	p, err := t.claim(local)
	if err != nil {
		return tenancy{}, err
	}
	unhold, err := t.node.Hold(p.addr().SID, remote.SID)
	if err != nil {
		p.abandon()
		return tenancy{}, err
	}
	return tenancy{p, unhold}, nil
}

// abandon undoes claimFor.
func (t tenancy) abandon() {
	t.unhold()
	t.port.abandon()
}

func (t tenancy) release() {
	t.unhold()
	t.port.release()
}

// A lingerList holds the tenancies of ended connections, by time.
type lingerList []lingerer

type lingerer struct {
	until time.Time
	tenancy
	gone func() // called at the release; may be nil
}

func (l *lingerList) add(now time.Time, t tenancy, gone func()) {
	*l = append(*l, lingerer{now.Add(portLinger), t, gone})
}

// release releases what has lingered until now, and the oldest of too many.
func (l *lingerList) release(now time.Time) {
	for len(*l) > lingerLimit || len(*l) > 0 && !now.Before((*l)[0].until) {
		first := (*l)[0]
		(*l)[0] = lingerer{}
		*l = (*l)[1:]
		first.tenancy.release()
		if first.gone != nil {
			first.gone()
		}
	}
	if len(*l) == 0 {
		*l = nil
	}
}

// next returns the earlier of when release has something to do and at; zero
// times are never.
func (l lingerList) next(at time.Time) time.Time {
	if len(l) > 0 && (at.IsZero() || l[0].until.Before(at)) {
		return l[0].until
	}
	return at
}
