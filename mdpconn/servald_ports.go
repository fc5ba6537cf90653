package mdpconn

import (
	"errors"
	"net"
	"os"
	"slices"
	"syscall"

	"mesh.example/msp/mdpconn/servald"
)

// A lease is what a socket has bound at the daemon.
type lease struct {
	primary bool   // it was bound for Primary
	addrs   []Addr // one; for All one of each identity
	failed  bool   // it was logged that the daemon refuses it
}

// portRefusedError is the daemon's refusal of a port. It does not tell why (§4).
type portRefusedError struct{}

func (portRefusedError) Error() string {
	return "servald refuses the port, without telling why: the SID is its own, so most likely another of its clients " +
		"has the port, or had it when it crashed: take another port, or that client's name, or restart the daemon"
}

func (portRefusedError) Unwrap() error { return syscall.EADDRINUSE }

func (d *daemon) bind(local Addr, h Handler) (*Socket, error) {
	if err := checkBind(local, h); err != nil {
		return nil, err
	}
	if !d.begin() {
		return nil, net.ErrClosed
	}
	defer d.end()
	return d.bindNow(local, h)
}

// bindNow binds an address. The caller has the turn.
func (d *daemon) bindNow(local Addr, h Handler) (*Socket, error) {
	if err := d.ready(); err != nil {
		return nil, err
	}
	l := &lease{primary: local.SID == Primary}
	if l.primary {
		local.SID = d.primary()
	}
	if local.SID != All && !d.isOwn(local.SID) {
		return nil, os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)
	}
	if err := d.isFree(local); err != nil {
		return nil, err
	}
	s := &Socket{node: d.node, sink: newSink(h), queue: QueueOrdinary, ttl: maxTTL}
	port, err := d.lease(l, local)
	if err != nil {
		return nil, err
	}
	s.local = Addr{local.SID, port}
	if err := d.insert(s); err != nil {
		d.release(l)
		return nil, err
	}
	d.leases[s] = l
	d.wakeKeeper()
	return s, nil
}

// ready sees to it that the daemon is there. While something is bound the keeper
// does. The caller has the turn.
func (d *daemon) ready() error {
	if d.current() != nil && len(d.leases) == 0 {
		if err := d.search(); err == nil || d.current() != nil {
			return err
		}
	}
	if d.current() == nil {
		return d.connect()
	}
	return nil
}

// isFree refuses what is bound in this node already.
func (d *daemon) isFree(local Addr) error {
	n := d.node
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.isClosedLocked():
		return net.ErrClosed
	case local.Port != 0 && (n.ports.bound[local] != nil || n.isBuiltinLocked(local.Port)):
		return os.NewSyscallError("bind", syscall.EADDRINUSE)
	}
	return nil
}

func (d *daemon) insert(s *Socket) error {
	n := d.node
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.isClosedLocked():
		return net.ErrClosed
	case n.ports.bound[s.local] != nil:
		return os.NewSyscallError("bind", syscall.EADDRINUSE)
	}
	n.ports.insert(s)
	return nil
}

// lease binds an address at the daemon, for All one of each identity, as the
// daemon's own wildcard never delivers (§4.1). It gives the port. The caller has
// the turn.
func (d *daemon) lease(l *lease, local Addr) (Port, error) {
	for _, a := range d.each(local) {
		if local.Port != 0 {
			a.Port = local.Port // what the first was given
		}
		if slices.Contains(l.addrs, a) {
			continue
		}
		a, err := d.grant(a)
		if err != nil {
			d.release(l)
			return 0, err
		}
		local.Port = a.Port
		l.addrs = append(l.addrs, a)
	}
	return local.Port, nil
}

// each gives the addresses of single identities behind local.
func (d *daemon) each(local Addr) []Addr {
	if local.SID != All {
		return []Addr{local}
	}
	var addrs []Addr
	for _, sid := range *d.own.Load() {
		addrs = append(addrs, Addr{sid, local.Port})
	}
	return addrs
}

// grant asks the daemon for a binding, unless it is granted already (§4).
func (d *daemon) grant(a Addr) (Addr, error) {
	if a.Port != 0 && d.granted[a] > 0 {
		d.granted[a]++
		return a, nil
	}
	request := servald.Message{LocalSID: servald.SID(a.SID), LocalPort: uint32(a.Port), Flags: servald.Bind}
	err := d.ask(&request, func(m *servald.Message) (bool, error) {
		switch {
		case m.RemotePort != servald.CommandNone || m.LocalSID != request.LocalSID,
			request.LocalPort != 0 && m.LocalPort != request.LocalPort:
			return false, nil // late
		case m.Flags == servald.Bind && m.LocalPort != 0:
			a.Port = Port(m.LocalPort)
			return true, nil
		case m.Flags == servald.Error:
			return true, portRefusedError{}
		}
		return false, nil
	})
	if err != nil {
		if c := d.current(); c != nil && a.Port != 0 && !errors.Is(err, portRefusedError{}) {
			c.tell(&servald.Message{LocalSID: request.LocalSID, LocalPort: request.LocalPort, Flags: servald.Close})
		}
		return a, err
	}
	d.granted[a]++
	return a, nil
}

// release ends what a lease has bound (§6). The caller has the turn.
func (d *daemon) release(l *lease) {
	for _, a := range l.addrs {
		if d.granted[a]--; d.granted[a] > 0 {
			continue
		}
		delete(d.granted, a)
		if c := d.current(); c != nil {
			c.tell(&servald.Message{LocalSID: servald.SID(a.SID), LocalPort: uint32(a.Port), Flags: servald.Close})
		}
	}
	l.addrs = nil
}

// unbind ends the lease of a closed socket.
func (d *daemon) unbind(s *Socket) { d.leave(func() { d.endLease(s) }) }

// endLease does so. The caller has the turn.
func (d *daemon) endLease(s *Socket) {
	if l := d.leases[s]; l != nil {
		delete(d.leases, s)
		d.release(l)
	}
}

// bindMissing binds what is not bound: everything when the daemon is back, new
// identities for All, and what was refused before. The caller has the turn.
func (d *daemon) bindMissing() {
	for s, l := range d.leases {
		local := s.LocalAddr()
		if local.SID != All && (len(l.addrs) > 0 || !d.isOwn(local.SID)) {
			continue
		}
		before := len(l.addrs)
		var err error
		for _, a := range d.each(local) {
			if slices.Contains(l.addrs, a) {
				continue
			}
			if a, err = d.grant(a); err != nil {
				break
			}
			l.addrs = append(l.addrs, a)
		}
		if d.current() == nil {
			return
		}
		if err != nil && !l.failed {
			d.node.log.Warn("mdp port cannot be bound again", "addr", local, "err", err)
		}
		if len(l.addrs) > before {
			d.node.log.Info("mdp port bound", "addr", local)
		}
		l.failed = err != nil
	}
}

// followPrimary gives sockets that were bound for Primary the SID of the one
// that is it now, if theirs is gone. The caller has the turn.
func (d *daemon) followPrimary() {
	n := d.node
	n.mu.Lock()
	defer n.mu.Unlock()
	for s, l := range d.leases {
		to := Addr{d.primary(), s.local.Port}
		if !l.primary || s.local == to || d.isOwn(s.local.SID) || s.closed || n.ports.bound[to] != nil {
			continue
		}
		n.ports.remove(s)
		s.local = to
		n.ports.insert(s)
	}
}
