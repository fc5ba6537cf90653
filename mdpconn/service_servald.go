package mdpconn

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"mesh.example/msp/mdpconn/servald"
)

// Service discovery through a daemon: the program answers itself, at the daemon's
// port 11 (docs/servald.md §5).

// serveServices binds that port, once for all services.
func (d *daemon) serveServices() (stop func(), err error) {
	if !d.begin() {
		return nil, net.ErrClosed
	}
	defer d.end()
	if d.serving == 0 {
		s, err := d.bindNow(Addr{SID: Primary, Port: portService}, serviceHandler{d})
		if err != nil {
			return nil, servicePortError(err)
		}
		d.service = s
	}
	d.serving++
	return func() { d.leave(d.serveLess) }, nil
}

// servicePortError names the port in the error of a bind, whose caller knows only
// that a listener was to have a name.
func servicePortError(err error) error {
	switch {
	case errors.Is(err, portRefusedError{}):
		return serviceRefusedError{}
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("mdpconn: services are asked for at port %d, which this program has bound for something else: %w", portService, err)
	}
	return err
}

// A serviceRefusedError is the daemon's refusal of port 11. Another port would not
// do.
type serviceRefusedError struct{}

func (serviceRefusedError) Error() string {
	return "services are asked for at port 11 of servald's primary identity, which servald refuses, without telling why: " +
		"most likely another program at this daemon has a service with a name, or had one when it crashed, and only one can: " +
		"listen for both in one program, or without a name here, or over UDP, or at another daemon; after a crash restart the daemon"
}

func (serviceRefusedError) Unwrap() error { return syscall.EADDRINUSE }

// serveLess releases the port with the last service. The caller has the turn.
func (d *daemon) serveLess() {
	if d.serving--; d.serving == 0 {
		d.service.close()
		d.endLease(d.service)
		d.service = nil
	}
}

// A serviceHandler answers questions that came enciphered.
type serviceHandler struct{ d *daemon }

func (h serviceHandler) HandleDatagrams(batch []Datagram) {
	d := h.d
	for i := range batch {
		q := &batch[i]
		d.node.count.received.lookups.Add(1)
		for _, answer := range d.node.answersFor(q.Data, q.Remote.Port, time.Now()) {
			d.node.count.sent.services.Add(1)
			d.send([]Datagram{{Local: q.Local, Remote: q.Remote, Data: answer}})
		}
		q.Release()
	}
}

// askServices floods a question in the clear.
func (d *daemon) askServices(from Port, question []byte) error {
	c := d.current()
	if c == nil {
		return d.lostError()
	}
	d.node.count.sent.lookups.Add(1)
	return c.tell(&servald.Message{
		LocalSID: servald.SID(d.primary()), LocalPort: uint32(from),
		RemoteSID: servald.Broadcast, RemotePort: uint32(portService),
		Flags: servald.NoCrypt | servald.NoSign, Payload: question,
	})
}

// service handles a readable datagram that asks for a service, or answers a look-up,
// and reports whether it was one.
func (c *daemonConn) service(m *servald.Message) bool {
	d, n := c.daemon, c.daemon.node
	isPlain := m.Flags == servald.NoCrypt|servald.NoSign
	source := SID(m.RemoteSID)
	if source.Check() != nil || len(m.Payload) == 0 || !isPlain && m.Flags != servald.NoCrypt {
		return false
	}
	if Port(m.LocalPort) == portService && (m.LocalSID == servald.Broadcast || d.isOwn(SID(m.LocalSID))) {
		c.question(m)
		return true
	}
	n.mu.Lock()
	l := n.services.lookups[Port(m.LocalPort)]
	n.mu.Unlock()
	if !isPlain || l == nil || Port(m.RemotePort) != portService {
		return false
	}
	l.heard(source, m.Payload, false)
	return true
}

// question answers a readable question for services, in its mode. A broadcast is
// answered from the primary identity, as nothing can be sent from the address it is
// for (§4.1).
func (c *daemonConn) question(m *servald.Message) {
	n := c.daemon.node
	n.count.received.lookups.Add(1)
	local := m.LocalSID
	if local == servald.Broadcast {
		local = servald.SID(c.daemon.primary())
	}
	for _, answer := range n.answersFor(m.Payload, Port(m.RemotePort), time.Now()) {
		n.count.sent.services.Add(1)
		c.tell(&servald.Message{
			LocalSID: local, LocalPort: uint32(portService),
			RemoteSID: m.RemoteSID, RemotePort: m.RemotePort, Flags: m.Flags, Payload: answer,
		})
	}
}
