package mdpconn

import (
	"mesh.example/msp/mdpconn/overlay"
)

// What a node serves at ports of its own, without a socket: echo, key map, and
// questions for the services that are registered (service.go).

// serve handles an authenticated datagram for a built-in port (docs/overlay.md §7,
// §9). Answers go straight to where the request came from, enciphered; those to a
// request that was relayed are relayed as well.
func (r *receiver) serve(p *peer, d *Datagram, direct bool) {
	n := r.node
	switch {
	case direct && !sendable(r.from.addr):
		n.count.dropped.ignored.Add(1)
	case d.Local.Port == portEcho:
		r.echo(p, d, direct)
	case d.Local.Port == portKeyMap:
		r.answerKeyMap(p, d, direct)
	case d.Local.Port == portService:
		r.answerServices(p, d, direct)
	default:
		n.count.dropped.ignored.Add(1)
	}
}

// echo sends the data back. Requests from port 7 would go to and fro for ever.
// Stock answers requests without data too; but an answer without data could end
// a stock node (docs/overlay.md §11), so there is none.
func (r *receiver) echo(p *peer, d *Datagram, direct bool) {
	n := r.node
	n.count.received.echoes.Add(1)
	switch {
	case d.Remote.Port == portEcho:
		n.count.dropped.ignored.Add(1)
	case len(d.Data) == 0:
		n.count.dropped.empty.Add(1)
	case len(d.Data) > MaxData:
		n.count.dropped.tooLong.Add(1)
	case checkContent(&Datagram{Local: d.Local, Remote: d.Remote, Data: d.Data}) != nil:
		n.count.dropped.ignored.Add(1) // it would have us send what ends a stock node
	default:
		n.count.sent.echoes.Add(1)
		r.answer(p, d, d.Data, direct)
	}
}

// answerKeyMap tells the signing key to who asks for it (docs/overlay.md §7), and
// takes answers of those that were asked.
func (r *receiver) answerKeyMap(p *peer, d *Datagram, direct bool) {
	n := r.node
	m, err := overlay.ParseKeyMap(d.Data)
	if err == nil && m.Response {
		if !n.signKeys.learn(p.remote, &m) {
			n.count.dropped.ignored.Add(1)
		}
		return
	}
	answer := Datagram{Local: d.Local, Remote: d.Remote, Data: p.own.keyMap}
	if err != nil || checkContent(&answer) != nil {
		n.count.dropped.ignored.Add(1)
		return
	}
	n.count.received.keyMaps.Add(1)
	// The answer is longer than the question, whose address may be forged.
	n.mu.Lock()
	may := n.answers.take(r.now)
	n.mu.Unlock()
	if !may {
		n.count.dropped.answerLimit.Add(1)
		return
	}
	n.count.sent.keyMaps.Add(1)
	r.answer(p, d, p.own.keyMap, direct)
}

// answer sends data back to the source of d: to the address it came from, or on
// the way it came.
func (r *receiver) answer(p *peer, d *Datagram, data []byte, direct bool) {
	n := r.node
	if !direct {
		n.answerVia(p, d, data, r.keyed, r.now)
		return
	}
	o := n.outbox(p.own, p)
	defer o.free()
	o.targets = append(o.targets, target{endpoint: r.from})
	if r.keyed {
		n.sendCompact(p, way{compact: smallCompact}, o, []Datagram{{Local: d.Local, Remote: d.Remote, Data: data}}, nil, r.now)
		return
	}
	o.add(d.Local.Port, d.Remote.Port, data, r.now)
	o.flush(r.now)
}

// keyMapAnswer makes the answer to a question for an identity's signing key.
func keyMapAnswer(id *Identity) []byte {
	m := overlay.KeyMap{Response: true, SignKey: [32]byte(id.SignKey())}
	sid := id.SID()
	copy(m.Signature[:], id.Sign(sid[:]))
	return overlay.AppendKeyMap(nil, &m)
}
