package servaldtest

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"slices"
	"time"

	"mesh.example/msp/mdpconn/servald"
)

const (
	portEcho  = 7
	maxRead   = servald.HeaderLen + 1400
	patience  = time.Second // until a datagram for a client that does not read is dropped
	endCipher = 1157        // payloads from this length on end a daemon (§5)
	endPlain  = 1197
	vanish    = 1141 // and from this on vanish
)

// A delivery is a datagram to a client.
type delivery struct {
	daemon *Daemon
	conn   *net.UnixConn
	client string
	data   []byte
}

// serve handles datagrams of clients until c is closed.
func (d *Daemon) serve(c *net.UnixConn, stopped chan struct{}) {
	defer close(stopped)
	buf := make([]byte, maxRead)
	for {
		n, from, err := c.ReadFromUnix(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		client := ""
		if from != nil {
			client = from.Name
		}
		d.mesh.mu.Lock()
		r := request{daemon: d, client: client}
		d.mesh.guardLocked(client, buf[:n])
		if d.conn == c {
			r.handle(buf[:n])
		}
		d.mesh.mu.Unlock()
		for i := range r.out {
			r.out[i].send()
		}
		d.mesh.mu.Lock()
		d.clients++
		d.mesh.changed.Broadcast()
		d.mesh.mu.Unlock()
	}
}

// send delivers; a client whose socket is gone keeps its bindings with abstract
// names, as its address is refused rather than not found (§4.1).
func (o *delivery) send() {
	if o.client == "" {
		return
	}
	o.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := o.conn.WriteToUnix(o.data, &net.UnixAddr{Name: o.client, Net: "unixgram"})
	if errors.Is(err, fs.ErrNotExist) {
		d := o.daemon
		d.mesh.mu.Lock()
		defer d.mesh.mu.Unlock()
		d.unbindAll(o.client)
	}
}

func (d *Daemon) unbindAll(client string) {
	for b, owner := range d.bindings {
		if owner == client {
			delete(d.bindings, b)
		}
	}
}

// A request is a datagram of a client while it is handled, with mesh.mu held.
type request struct {
	daemon *Daemon
	client string
	out    []delivery
}

func (r *request) handle(b []byte) {
	m, err := servald.Parse(b)
	if err != nil {
		return
	}
	if m.Queue > 4 {
		r.daemon.killLocked("a queue of 5 or more")
		return
	}
	m.Payload = bytes.Clone(m.Payload)
	if m.LocalSID == servald.Any {
		m.LocalSID = r.daemon.sids[0]
	}
	if m.IsCommand() {
		r.command(&m)
	} else {
		r.data(&m)
	}
}

// answer sends the request's header back, with other flags and a payload.
func (r *request) answer(m *servald.Message, flags servald.Flags, payload []byte) {
	a := *m
	a.Flags, a.Payload = flags, payload
	r.deliver(r.daemon, r.client, &a)
}

func (r *request) deliver(d *Daemon, client string, m *servald.Message) {
	if d.conn != nil {
		r.out = append(r.out, delivery{d, d.conn, client, m.AppendAny(nil)})
	}
}

func (r *request) command(m *servald.Message) {
	d := r.daemon
	owns := d.bindings[Binding{m.LocalSID, m.LocalPort}] == r.client && r.client != ""
	switch m.RemotePort {
	case servald.CommandNone:
		switch {
		case m.Flags&servald.Close != 0 && m.LocalPort == 0:
			d.unbindAll(r.client)
		case m.Flags&servald.Close != 0 && owns:
			delete(d.bindings, Binding{m.LocalSID, m.LocalPort})
		case m.Flags&servald.Bind != 0:
			r.bind(m)
		case m.Flags&servald.Close != 0, !owns:
			r.answer(m, servald.Error, nil)
		}
	case servald.CommandSearch:
		for _, sid := range d.sids {
			r.answer(m, 0, sid[:])
		}
		r.answer(m, servald.Close, nil)
	case servald.CommandRoutes:
		if m.Flags&servald.Bind != 0 && !r.bind(m) {
			return
		}
		for _, route := range d.routesLocked() {
			r.answer(m, 0, route.Append(nil))
		}
		r.answer(m, servald.Close, nil)
	case servald.CommandLock, servald.CommandReload, servald.CommandBundles:
		r.answer(m, servald.Close, nil)
	default:
		r.answer(m, servald.Error, nil)
	}
}

// bind binds, and answers (§4). REUSE is without effect (§4.2).
func (r *request) bind(m *servald.Message) bool {
	d := r.daemon
	if !slices.Contains(d.sids, m.LocalSID) && m.LocalSID != servald.Broadcast && m.LocalSID != servald.Internal {
		r.answer(m, servald.Error, nil)
		return false
	}
	if m.LocalPort == 0 {
		for d.isBound(d.nextPort) {
			d.nextPort++
		}
		m.LocalPort = d.nextPort
		d.nextPort++
	}
	b := Binding{m.LocalSID, m.LocalPort}
	if owner, bound := d.bindings[b]; bound && owner != r.client {
		r.answer(m, servald.Error, nil)
		return false
	}
	d.bindings[b] = r.client
	r.answer(m, servald.Bind, nil)
	return true
}

func (d *Daemon) isBound(port uint32) bool {
	for b := range d.bindings {
		if b.Port == port {
			return true
		}
	}
	return false
}

func (r *request) data(m *servald.Message) {
	d := r.daemon
	crypto := m.Flags & (servald.NoCrypt | servald.NoSign)
	switch {
	case !slices.Contains(d.sids, m.LocalSID), m.TTL > 31, crypto == servald.NoSign:
		r.answer(m, servald.Error, nil)
		return
	case m.Flags&servald.Bind != 0:
		if !r.bind(m) {
			return
		}
	case r.client == "" || d.bindings[Binding{m.LocalSID, m.LocalPort}] != r.client:
		r.answer(m, servald.Error, nil)
		return
	}
	if m.Flags&servald.Close != 0 { // no answer arrives any more
		delete(d.bindings, Binding{m.LocalSID, m.LocalPort})
	}
	switch n := len(m.Payload); {
	case crypto&servald.NoCrypt == 0 && n >= endCipher, n >= endPlain:
		d.killLocked("a long payload")
	case n < vanish:
		r.route(m, crypto)
	}
}

// route sends data to where it is for (§5).
func (r *request) route(m *servald.Message, crypto servald.Flags) {
	arriving := servald.Message{
		LocalSID: m.RemoteSID, LocalPort: m.RemotePort, RemoteSID: m.LocalSID, RemotePort: m.LocalPort,
		Flags: crypto, Queue: m.Queue, TTL: m.TTL, Payload: m.Payload,
	}
	r.arrive(r.daemon, &arriving)
	if m.RemoteSID == servald.Broadcast && crypto&servald.NoCrypt == 0 {
		r.answer(m, servald.Error, nil)
		return
	}
	arriving.Queue, arriving.TTL = 0, 0
	for _, d := range r.daemon.mesh.daemons {
		if d != r.daemon && r.passes(r.daemon, d, &arriving) {
			r.arrive(d, &arriving)
		}
	}
}

// passes reports whether a message between two daemons is not lost.
func (r *request) passes(from, to *Daemon, m *servald.Message) bool {
	drop := r.daemon.mesh.drop
	return from.conn != nil && to.conn != nil && (drop == nil || !drop(from.sids[0], to.sids[0], m))
}

// arrive hands a message to clients and services of d, if it is for them. What
// nobody has bound is dropped; what is bound for all SIDs too (§4.1).
func (r *request) arrive(d *Daemon, m *servald.Message) {
	if m.LocalSID == servald.Broadcast {
		if m.LocalPort == portEcho && !d.isBound(portEcho) {
			r.echo(d, d.sids[0], m)
		}
		for b, client := range d.bindings {
			if b.Port == m.LocalPort {
				r.hand(d, client, m)
			}
		}
		return
	}
	if !slices.Contains(d.sids, m.LocalSID) {
		return
	}
	if client, ok := d.bindings[Binding{m.LocalSID, m.LocalPort}]; ok {
		r.hand(d, client, m)
	} else if m.LocalPort == portEcho {
		r.echo(d, m.LocalSID, m)
	}
}

// hand delivers to a client; without data that is the daemon's end.
func (r *request) hand(d *Daemon, client string, m *servald.Message) {
	if len(m.Payload) == 0 {
		d.killLocked("a data message without data")
		return
	}
	r.deliver(d, client, m)
}

// echo sends m back from the echo service of d, enciphered.
func (r *request) echo(d *Daemon, from servald.SID, m *servald.Message) {
	back := servald.Message{
		LocalSID: m.RemoteSID, LocalPort: m.RemotePort, RemoteSID: from, RemotePort: portEcho,
		Queue: m.Queue, Payload: m.Payload,
	}
	for _, to := range d.mesh.daemons {
		if to == d || r.passes(d, to, &back) {
			r.arrive(to, &back)
		}
	}
}

// routesLocked gives the route table (§7.1).
func (d *Daemon) routesLocked() []servald.Route {
	if d.routes != nil {
		return d.routes
	}
	iface := &servald.Interface{Up: true, Name: "test0"}
	var table []servald.Route
	for _, o := range d.mesh.daemons {
		for i, sid := range o.sids {
			r := servald.Route{SID: sid, Combined: true}
			switch {
			case o == d && i == 0:
				r.Reach, r.Interface = servald.Self, iface
				table = slices.Insert(table, 0, r)
				continue
			case o == d:
				r.Reach = servald.Self
			case o.conn != nil:
				r.Reach, r.Hops, r.Interface = servald.ByUnicast, 1, iface
			}
			table = append(table, r)
		}
	}
	return table
}
