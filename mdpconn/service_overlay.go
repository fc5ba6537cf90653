package mdpconn

import "mesh.example/msp/mdpconn/overlay"

// Service discovery of a node that is itself a member of the mesh.

func (o overlayCarrier) serveServices() (stop func(), err error) { return func() {}, nil }

// askServices floods a question in the clear, over all links and to each
// neighbour. The node's own services answer at once.
func (o overlayCarrier) askServices(from Port, question []byte) error {
	n := o.n
	p := overlay.Payload{
		TTL: maxTTL, Queue: uint8(QueueOrdinary), Type: overlay.TypeData,
		Body: plainBody(portService, from, question),
	}
	if err := n.sendBroadcast(n.own.Load().order[0], &p); err != nil {
		return err
	}
	n.count.sent.lookups.Add(1)
	n.mu.Lock()
	l, answers := n.services.lookups[from], n.serviceAnswersLocked(question)
	n.mu.Unlock()
	for _, answer := range answers {
		l.heard(o.primary(), answer, true)
	}
	return nil
}

// service handles a readable datagram that asks for a service, or answers a
// look-up, and reports whether it was one. own is whom it is for; nil: all.
func (r *receiver) service(mode overlay.Mode, own *ownIdentity, source SID, ports overlay.Ports, data []byte) bool {
	n := r.node
	to, from := Port(ports.Destination), Port(ports.Source)
	if to == portService && len(data) > 0 && ports.Check() == nil {
		r.question(mode, own, source, from, data)
		return true
	}
	n.mu.Lock()
	l := n.services.lookups[to]
	n.mu.Unlock()
	if mode != overlay.ModePlain || l == nil || own == nil || from != portService {
		return false
	}
	l.heard(source, data, false)
	return true
}

// question answers a readable question for services, in its mode.
func (r *receiver) question(mode overlay.Mode, own *ownIdentity, source SID, from Port, data []byte) {
	n := r.node
	n.count.received.lookups.Add(1)
	if mode == overlay.ModeSigned {
		if !n.hasServices() {
			return
		}
		plain := r.verified(own, source)
		if plain == nil {
			return
		}
		_, data, _ = overlay.ParsePorts(plain) // if none are left there is no data either
	}
	if own == nil {
		own = r.set.order[0]
	}
	for _, answer := range n.answersFor(data, from, r.now) {
		r.answerReadably(mode, own, source, from, answer)
	}
}

// answerReadably sends a signed or plain answer: to where the question came from,
// if who asks sent it itself, else the way it came.
func (r *receiver) answerReadably(mode overlay.Mode, own *ownIdentity, to SID, port Port, answer []byte) {
	n := r.node
	p := overlay.Payload{Type: overlay.TypeData, Body: plainBody(port, portService, answer)}
	if mode == overlay.ModeSigned && own.sign(&p) != nil {
		n.count.dropped.tooLong.Add(1)
		return
	}
	switch {
	case to == r.sender && sendable(r.from.addr):
		p.Flags |= overlay.OneHop
		p.Destination, p.Seq = overlay.To(overlay.SID(to)), byte(own.sequence.Add(1))
		o := n.outbox(own, nil)
		defer o.free()
		o.plainTo(r.from.link, []Packet{{Addr: r.from.addr}}, 1, overlay.PacketUnicast, &p)
	case to != r.sender && r.neighbour != nil:
		p.Source, p.TTL, p.Queue = fullSID(own.sid), maxTTL, uint8(QueueOrdinary)
		n.mu.Lock()
		h := r.neighbour.hop()
		n.mu.Unlock()
		r.forwarder.relay(n, h, &p, to, r.now)
	default:
		n.count.dropped.ignored.Add(1)
		return
	}
	n.count.sent.services.Add(1)
}

// answerServices answers a question that came enciphered.
func (r *receiver) answerServices(p *peer, d *Datagram, direct bool) {
	n := r.node
	n.count.received.lookups.Add(1)
	for _, answer := range n.answersFor(d.Data, d.Remote.Port, r.now) {
		n.count.sent.services.Add(1)
		r.answer(p, d, answer, direct)
	}
}
