package mdpconn

import (
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

// Relaying. Implementation.
const (
	defaultRelayRate = 40000 // payloads per second: as many as one core opens
	maxSources       = 256   // sources that are counted at a time
)

// relayLimits bounds what is relayed. There is no queue: what is within the
// limits leaves with the batch of packets that it came in. Guarded by Node.mu.
type relayLimits struct {
	half    float64 // for one source, and one neighbour
	all     bucket
	sources map[SID]*bucket
}

func (l *relayLimits) init(c *Config) {
	l.half = max(1, c.relayRate()/2)
	l.all = newBucket(c.relayRate(), c.relayRate())
	l.sources = make(map[SID]*bucket)
}

// take reports whether a payload of a source may be relayed for a neighbour. Of
// too many sources any is forgotten: names of sources are not proven, so that they
// only help among honest ones. The neighbour's share is what counts against others.
func (l *relayLimits) take(nb *neighbour, source SID, now time.Time) bool {
	b := l.sources[source]
	if b == nil {
		if len(l.sources) >= maxSources {
			for sid := range l.sources {
				delete(l.sources, sid)
				break
			}
		}
		fresh := newBucket(l.half, l.half)
		b = &fresh
		l.sources[source] = b
	}
	return nb.share.take(now) && b.take(now) && l.all.take(now)
}

// A forwarder collects the payloads of a batch of packets that are to be passed
// on, for each neighbour. It belongs to one goroutine.
type forwarder struct {
	boxes []*outbox
}

// box gives the outbox for a hop.
func (f *forwarder) box(n *Node, h *hop) *outbox {
	for _, o := range f.boxes {
		if o.hop.sid == h.sid && o.hop.endpoint == h.endpoint {
			return o
		}
	}
	o := n.outboxVia(nil, h)
	f.boxes = append(f.boxes, o)
	return o
}

// flush sends what was collected.
func (f *forwarder) flush(now time.Time) {
	for i, o := range f.boxes {
		o.flush(now)
		o.free()
		f.boxes[i] = nil
	}
	f.boxes = f.boxes[:0]
}

// forward handles a unicast payload for somebody else: it passes it on if this
// node is its next hop (docs/overlay.md §5).
func (r *receiver) forward(source SID) {
	n, p := r.node, &r.payload
	switch {
	case p.Flags&overlay.OneHop != 0 || r.set.bySID[SID(p.NextHop.SID)] == nil || r.neighbour == nil:
		n.count.dropped.notOurs.Add(1)
		return
	case !n.relays():
		n.count.relayed.off.Add(1)
		return
	case p.Remaining() == 0:
		n.count.relayed.expired.Add(1)
		return
	case len(p.Body) > overlay.MaxBody:
		n.count.relayed.refused.Add(1)
		return
	}
	h, ok := n.nextHop(r.neighbour, source, SID(p.Destination.SID), r.now)
	if h == nil {
		if ok {
			n.count.relayed.noRoute.Add(1)
		} else {
			n.count.relayed.limited.Add(1)
		}
		return
	}
	q := overlay.Payload{
		Flags:  p.Flags & (overlay.Ciphered | overlay.Signed),
		Source: fullSID(source),
		TTL:    p.Remaining(), Queue: p.Queue, Type: p.Type, Body: p.Body,
	}
	if r.forwarder.relay(n, h, &q, SID(p.Destination.SID), r.now) {
		n.count.relayed.payloads.Add(1)
		n.count.relayed.bytes.Add(uint64(len(p.Body)))
	}
}

// nextHop gives the neighbour to which a payload is passed on; nil if there is no
// way, or, if ok is false, too much was passed on already. A payload does not go
// back to where it came from: that would be a loop.
func (n *Node) nextHop(from *neighbour, source, destination SID, now time.Time) (h *hop, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.mesh.limits.take(from, source, now) {
		return nil, false
	}
	r, found := n.mesh.routes[destination]
	if !found || r.via == from || r.via.gone || !r.via.isLinked(now) {
		return nil, true
	}
	return r.via.hop(), true
}

// relay puts a payload into a packet for a neighbour. It reports whether that
// was possible: what may not be sent is refused, whoever asks for it.
func (f *forwarder) relay(n *Node, h *hop, q *overlay.Payload, destination SID, now time.Time) bool {
	o := f.box(n, h)
	q.Seq = byte(o.own.sequence.Add(1))
	var err error
	o.put(now, func(b *outPacket) bool {
		p := *q
		if p.Flags&overlay.ToBroadcast == 0 {
			o.address(&p, destination)
		}
		before := b.ctx
		var data []byte
		if data, err = overlay.AppendPayload(b.data, &p, &b.ctx); err != nil {
			return true // nothing was appended
		}
		return b.appended(data, before)
	})
	if err != nil {
		n.count.relayed.refused.Add(1)
	}
	return err == nil
}
