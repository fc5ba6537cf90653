package mdpconn

import (
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

// Limits of what neighbours tell. Implementation.
const (
	linksPerNeighbour = 512
	maxLinks          = 4096 // of all neighbours
	questionItems     = 8    // of one please-explain
	questionRate      = 50   // please-explains per second
	questionBurst     = 50
)

// A link is one that a neighbour told of: the last on its way to somebody.
type link struct {
	transmitter SID
	drop        byte
	told        time.Time
}

// linkState handles a link-state message from a neighbour's proven address.
func (r *receiver) linkState(data []byte) {
	n, nb := r.node, r.neighbour
	n.count.mesh.recordsHeard.Add(1)
	ls := overlay.NewLinkState(data, overlay.BodyContext(overlay.SID(nb.sid), resolver{n}))
	var questions []overlay.ExplainItem
	for rec := (overlay.LinkRecord{}); ls.Next(&rec); {
		if rec.Check() == nil {
			n.mu.Lock()
			n.heardRecordLocked(nb, r.set, &rec, r.now)
			n.mu.Unlock()
			if SID(rec.Receiver.SID) == nb.sid && rec.Flags&overlay.LinkAck != 0 {
				n.repair(nb, rec.Ack, r.from, r.now)
			}
			continue
		}
		for _, a := range [...]*overlay.Address{&rec.Receiver, &rec.Transmitter} {
			if q, ok := a.Question(); ok && len(questions) < questionItems {
				questions = append(questions, q)
			}
		}
	}
	if ls.Err() != nil {
		n.count.dropped.malformed.Add(1)
	}
	n.askNeighbour(nb, questions, r.now)
}

// heardRecordLocked handles one record of a neighbour (docs/overlay.md §8.5).
// Caller holds mu.
func (n *Node) heardRecordLocked(nb *neighbour, set *identitySet, rec *overlay.LinkRecord, now time.Time) {
	if nb.gone {
		return
	}
	nb.rest.told = now
	receiver, transmitter := SID(rec.Receiver.SID), SID(rec.Transmitter.SID)
	path := rec.Flags&overlay.LinkNoPath == 0
	switch {
	case receiver == nb.sid:
		if path && set.bySID[transmitter] != nil {
			n.heardLinkRecordLocked(nb, rec, now)
		}
	case set.bySID[receiver] != nil:
		nb.using = path && transmitter == nb.sid
	case path && set.bySID[transmitter] != nil:
		nb.through = now
		fallthrough // nobody is reached through who reaches him through us
	case !path:
		if _, ok := nb.links[receiver]; ok {
			n.dropLinkLocked(nb, receiver)
			n.changedLocked(now)
		}
	default:
		n.heardAdvertLocked(nb, receiver, link{transmitter, rec.DropRate, now})
	}
}

// heardLinkRecordLocked notes that a neighbour hears this node. Caller holds mu.
func (n *Node) heardLinkRecordLocked(nb *neighbour, rec *overlay.LinkRecord, now time.Time) {
	was := nb.isLinked(now)
	nb.linked = now
	nb.number.on.Store(true)
	drop := nb.dropRate()
	if rec.Flags&overlay.LinkAck != 0 {
		nb.acknowledged(rec.Ack)
	}
	if !was {
		nb.news = changeRuns
		n.recordSoonLocked(nb, now)
	}
	if !was || nb.dropRate() != drop {
		n.changedLocked(now)
	}
}

// heardAdvertLocked notes the last link on a neighbour's way to somebody. Caller
// holds mu.
func (n *Node) heardAdvertLocked(nb *neighbour, receiver SID, l link) {
	m := &n.mesh
	old, known := nb.links[receiver]
	if !known {
		if len(nb.links) >= linksPerNeighbour || m.links >= maxLinks {
			n.count.mesh.refused.Add(1)
			return
		}
		if nb.links == nil {
			nb.links = make(map[SID]link)
		}
		m.links++
		n.peers.remotes.add(receiver)
	}
	nb.links[receiver] = l
	if !known || old.transmitter != l.transmitter || old.drop != l.drop {
		n.changedLocked(l.told)
	}
}

// dropLinkLocked forgets what a neighbour told about somebody. Caller holds mu.
func (n *Node) dropLinkLocked(nb *neighbour, receiver SID) {
	delete(nb.links, receiver)
	n.mesh.links--
	n.mesh.stale = true
	n.peers.remotes.remove(receiver)
}

// askNeighbour asks a neighbour about SIDs that it abbreviated (docs/overlay.md §4.3).
func (n *Node) askNeighbour(nb *neighbour, questions []overlay.ExplainItem, now time.Time) {
	if len(questions) == 0 {
		return
	}
	n.mu.Lock()
	ok := !nb.gone && nb.proven() && n.mesh.questions.take(now)
	var to endpoint
	if ok {
		to = nb.peer.path.current.endpoint
	}
	n.mu.Unlock()
	if !ok {
		n.count.dropped.answerLimit.Add(1)
		return
	}
	n.count.discovery.asksSent.Add(1)
	n.explainTo(nb.sid, to, questions)
}

// explainTo sends a please-explain to one node, with the SID of this one in
// full.
func (n *Node) explainTo(sid SID, to endpoint, items []overlay.ExplainItem) {
	var body []byte
	for _, item := range items {
		body, _ = overlay.AppendExplainItem(body, item) // what cannot be asked is left out
	}
	own := n.own.Load().order[0]
	o := n.outbox(own, nil)
	defer o.free()
	o.plainTo(to.link, []Packet{{Addr: to.addr}}, 1, overlay.PacketUnicast, &overlay.Payload{
		Flags:       overlay.OneHop,
		Destination: overlay.To(overlay.SID(sid)),
		Type:        overlay.TypeExplain,
		Seq:         byte(own.sequence.Add(1)),
		Body:        body,
	})
}
