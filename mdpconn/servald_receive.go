package mdpconn

import (
	"bytes"

	"mesh.example/msp/mdpconn/servald"
)

// receive takes what comes from the daemon, until the connection ends.
func (c *daemonConn) receive() {
	n := c.daemon.node
	defer n.running.Done()
	var out dispatcher
	for {
		buf := getBuffer()
		k, from, err := c.socket.ReadFromUnix(buf.data[:])
		switch {
		case c.ended.Load():
			buf.release()
			return
		case err != nil:
			buf.release()
			c.daemon.lose(c, err)
			return
		case from == nil || from.Name != c.daemon.name:
			buf.release()
			n.count.servald.foreign.Add(1)
			continue
		}
		n.count.received.packets.Add(1)
		n.count.received.bytes.Add(uint64(k))
		m, err := servald.Parse(buf.data[:k])
		if err != nil {
			buf.release()
			n.count.dropped.malformed.Add(1)
			continue
		}
		if n.debugging() {
			n.log.Debug("mdp received", "servald", c.daemon.name, "message", m.String())
		}
		if m.IsCommand() {
			c.answered(&m)
			buf.release()
			continue
		}
		c.deliver(&out, &m, buf)
	}
}

// answered hands an answer to who has the turn.
func (c *daemonConn) answered(m *servald.Message) {
	m.Payload = bytes.Clone(m.Payload)
	select {
	case c.answers <- *m:
	default:
		c.daemon.node.count.servald.stray.Add(1)
	}
}

// deliver hands a datagram to the handler of its port, and takes the buffer.
// Datagrams for ports that nobody bound come only while a binding is being made
// or released: nobody is told of them.
func (c *daemonConn) deliver(out *dispatcher, m *servald.Message, buf *buffer) {
	n := c.daemon.node
	d := Datagram{
		Local:  Addr{SID(m.LocalSID), Port(m.LocalPort)},
		Remote: Addr{SID(m.RemoteSID), Port(m.RemotePort)},
		Data:   m.Payload, TTL: m.TTL, buf: buf,
	}
	if Queue(m.Queue).Check() == nil {
		d.Queue = Queue(m.Queue)
	}
	switch {
	case m.Flags&servald.Error != 0:
		n.count.servald.refused.Add(1)
	case m.Flags&(servald.NoCrypt|servald.NoSign) != 0 || m.LocalSID == servald.Broadcast:
		if !c.service(m) {
			c.readable(out, &d, m)
		}
	case m.Flags != 0:
		n.count.servald.stray.Add(1)
	case d.Remote.SID.Check() != nil || d.Remote.Port == 0 || d.Remote.Port > MaxPort:
		n.count.dropped.badSID.Add(1)
	case len(d.Data) == 0:
		n.count.dropped.empty.Add(1)
	default:
		n.mu.Lock()
		s := n.ports.find(d.Local)
		n.mu.Unlock()
		if s == nil {
			n.count.dropped.unbound.Add(1)
			break
		}
		n.dispatch(out, s, &d)
		out.deliver()
		return
	}
	d.Release()
}

// readable hands a signed or plain datagram to the sockets that accept it. The
// daemon has verified what is signed.
func (c *daemonConn) readable(out *dispatcher, d *Datagram, m *servald.Message) {
	n := c.daemon.node
	d.Broadcast = m.LocalSID == servald.Broadcast
	switch m.Flags {
	case servald.NoCrypt:
		d.Mode = Signed
	case servald.NoCrypt | servald.NoSign:
		d.Mode = Plain
	default:
		n.count.dropped.plain.Add(1)
		return
	}
	if d.Remote.SID.Check() != nil || d.Remote.Port == 0 || d.Remote.Port > MaxPort {
		n.count.dropped.badSID.Add(1)
		return
	}
	sockets := n.admitting(d)
	if len(sockets) == 0 {
		n.count.dropped.plain.Add(1)
		return
	}
	n.dispatchCopies(out, sockets, d)
	out.deliver()
}
