package mdpconn

import (
	"fmt"

	"mesh.example/msp/mdpconn/servald"
)

func (d *daemon) send(batch []Datagram) (int, error) {
	c := d.current()
	if c == nil {
		if err := d.lostError(); len(batch) > 0 {
			return 0, err
		}
		return 0, nil
	}
	n := d.node
	buf := getBuffer()
	defer buf.release()
	c.patient()
	for i := range batch {
		m, err := d.message(&batch[i])
		if err != nil {
			return i, err
		}
		b, err := m.Append(buf.data[:0])
		if err != nil {
			return i, err
		}
		if n.debugging() {
			n.log.Debug("mdp sent", "servald", d.name, "message", m.String())
		}
		sent, err := c.write(b)
		if err != nil {
			return i, err
		}
		if sent {
			n.count.sent.packets.Add(1)
			n.count.sent.bytes.Add(uint64(len(b)))
			n.count.sent.datagrams.Add(1)
		}
	}
	return len(batch), nil
}

// message makes the message of a datagram (§5), or tells what is wrong with it.
func (d *daemon) message(dg *Datagram) (servald.Message, error) {
	if err := checkContent(dg); err != nil {
		return servald.Message{}, err
	}
	if dg.Remote.SID != All {
		if err := dg.Remote.SID.Check(); err != nil {
			return servald.Message{}, err
		}
	}
	local := dg.Local
	if local.SID == Primary {
		local.SID = d.primary()
	}
	if !d.isOwn(local.SID) {
		return servald.Message{}, fmt.Errorf("mdpconn: SID %v is no identity of this node's daemon", local.SID)
	}
	queue, ttl := dg.Queue, dg.TTL
	n := d.node
	n.mu.Lock()
	s := n.ports.find(local)
	if s != nil && queue == QueueDefault {
		queue = s.queue
	}
	if s != nil && ttl == 0 {
		ttl = s.ttl
	}
	n.mu.Unlock()
	if s == nil {
		return servald.Message{}, fmt.Errorf("mdpconn: local port %d is not bound: servald sends from bound ports only", local.Port)
	}
	if queue == QueueOrdinary {
		queue = 0 // which is the same (§3)
	}
	if ttl == maxTTL {
		ttl = 0
	}
	var flags servald.Flags
	switch dg.Mode {
	case Signed:
		flags = servald.NoCrypt
	case Plain:
		flags = servald.NoCrypt | servald.NoSign
	}
	return servald.Message{
		Flags:    flags,
		LocalSID: servald.SID(local.SID), LocalPort: uint32(local.Port),
		RemoteSID: servald.SID(dg.Remote.SID), RemotePort: uint32(dg.Remote.Port),
		Queue: byte(queue), TTL: ttl, Payload: dg.Data,
	}, nil
}
