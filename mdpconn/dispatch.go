package mdpconn

import (
	"net"
	"sync"
)

// A dispatcher collects datagrams for each handler. It belongs to one
// goroutine.
type dispatcher struct {
	batches []handlerBatch
}

type handlerBatch struct {
	sink
	datagrams []Datagram
}

// add adds a datagram for a handler.
func (d *dispatcher) add(s sink, dg *Datagram) {
	for i := range d.batches {
		if b := &d.batches[i]; b.same(s) {
			b.datagrams = append(b.datagrams, *dg)
			return
		}
	}
	if len(d.batches) < cap(d.batches) { // an old one, for its memory
		d.batches = d.batches[:len(d.batches)+1]
	} else {
		d.batches = append(d.batches, handlerBatch{})
	}
	b := &d.batches[len(d.batches)-1]
	b.sink = s
	b.datagrams = append(b.datagrams[:0], *dg)
}

// deliver calls the handlers. No lock is held.
func (d *dispatcher) deliver() {
	for i := range d.batches {
		b := &d.batches[i]
		b.handler.HandleDatagrams(b.datagrams)
		clear(b.datagrams)
		b.datagrams = b.datagrams[:0]
		b.sink = sink{}
	}
	d.batches = d.batches[:0]
}

// dispatch puts a datagram into out for the handler of a socket, or if that is
// nil for the handler of unbound ports. If there is none it is dropped.
func (n *Node) dispatch(out *dispatcher, s *Socket, d *Datagram) {
	if s != nil {
		n.count.received.datagrams.Add(1)
		out.add(s.sink, d)
		return
	}
	n.mu.Lock()
	unbound := n.unbound
	n.mu.Unlock()
	if unbound.handler == nil || n.config.Silent {
		n.count.dropped.unbound.Add(1)
		d.Release()
		return
	}
	n.count.received.unbound.Add(1)
	out.add(unbound, d)
}

var dispatcherPool = sync.Pool{New: func() any { return new(dispatcher) }}

// sendLocal hands datagrams of one identity of the node to handlers of another.
func (n *Node) sendLocal(from, to *ownIdentity, batch []Datagram) error {
	out := dispatcherPool.Get().(*dispatcher)
	defer dispatcherPool.Put(out)
	for i := range batch {
		sent := &batch[i]
		d := Datagram{
			Local: Addr{to.sid, sent.Remote.Port}, Remote: Addr{from.sid, sent.Local.Port},
			Queue: sent.Queue, TTL: 0,
		}
		n.mu.Lock()
		if n.isClosedLocked() {
			n.mu.Unlock()
			out.drop()
			return net.ErrClosed
		}
		if d.Local.Port == portEcho && d.Remote.Port != portEcho {
			d.Local, d.Remote = d.Remote, d.Local // it comes straight back
		}
		s := n.ports.find(d.Local)
		builtin := n.isBuiltinLocked(d.Local.Port)
		n.mu.Unlock()
		n.count.sent.local.Add(1)
		if builtin {
			n.count.dropped.ignored.Add(1)
			continue
		}
		d.buf = getBuffer()
		d.Data = d.buf.data[:copy(d.buf.data[:], sent.Data)]
		n.dispatch(out, s, &d)
	}
	out.deliver()
	return nil
}

// drop releases what was not delivered.
func (d *dispatcher) drop() {
	for i := range d.batches {
		for j := range d.batches[i].datagrams {
			d.batches[i].datagrams[j].Release()
		}
		d.batches[i] = handlerBatch{datagrams: d.batches[i].datagrams[:0]}
	}
	d.batches = d.batches[:0]
}
