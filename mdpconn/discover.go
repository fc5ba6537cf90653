package mdpconn

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

// Announcing and asking. Specification: docs/overlay.md §2.1, §2.2, §4.3.
const (
	tickEvery = 500 * time.Millisecond
	idleTick  = 5 * time.Second // while no neighbour is heard
	idleAfter = 5 * time.Second // without a neighbour
)

// Implementation.
const (
	askWait   = 250 * time.Millisecond // before a question is repeated; doubled each time
	askMost   = time.Second            // the longest of these waits
	askLength = 31                     // bytes of the SID in a question, the most there may be
)

// askAgain tells how long to wait after the k-th question for a SID.
func askAgain(k int) time.Duration { return min(askWait<<min(k-1, 8), askMost) }

// A beacon is when the node announces itself. Guarded by Node.mu.
type beacon struct {
	holders   int
	since     time.Time // when the first holder came
	neighbour time.Time // when a packet of anybody else arrived last
	next      time.Time // next tick; zero: none
}

// due reports whether a tick is due, and if so when the next one is.
func (b *beacon) due(now time.Time) bool {
	if b.next.IsZero() || now.Before(b.next) {
		return false
	}
	b.next = now.Add(b.interval(now))
	return true
}

// interval gives the time between ticks.
func (b *beacon) interval(now time.Time) time.Duration {
	if now.Sub(b.since) < idleAfter || !b.neighbour.IsZero() && now.Sub(b.neighbour) < idleAfter {
		return tickEvery
	}
	return idleTick
}

// Announce has the node broadcast its SIDs to its neighbours, every 500 ms, or
// 5 s while no neighbour is heard, until stop is called as often as Announce.
// In a node with AnnounceNever it broadcasts nothing, but it opens, as in all
// others, the ears for questions of neighbours that know the SID.
func (n *Node) Announce() (stop func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	n.beacon.holders++
	if n.beacon.holders == 1 {
		n.beacon.since = now
		if n.config.Announce != AnnounceNever {
			n.beacon.next = now
		}
		n.wakeLocked(now)
	}
	return sync.OnceFunc(n.stopAnnouncing)
}

func (n *Node) stopAnnouncing() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.beacon.holders--; n.beacon.holders == 0 {
		n.beacon.next = time.Time{}
	}
}

// neighbourLocked notes a packet of another node. Caller holds mu.
func (n *Node) neighbourLocked(now time.Time) {
	n.beacon.neighbour = now
	if soon := now.Add(tickEvery); n.beacon.next.After(soon) {
		n.beacon.next = soon
		n.wakeLocked(soon)
	}
}

// isAnnouncingLocked reports whether the node broadcasts its SIDs. Caller holds
// mu.
func (n *Node) isAnnouncingLocked() bool { return !n.beacon.next.IsZero() }

// tick broadcasts a packet without payload for each identity
// (docs/overlay.md §2.2).
func (n *Node) tick(links []*nodeLink) {
	for _, own := range n.own.Load().order {
		n.count.discovery.ticksSent.Add(1)
		n.broadcast(own, 0, nil, links)
	}
}

// tickLinks gives the links on which a tick is due: all but slow ones that had
// one lately. Only the maintenance goroutine calls it.
func (n *Node) tickLinks(now time.Time) (due []*nodeLink) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.links {
		if !l.timing.slow() || l.ticked.IsZero() || now.Sub(l.ticked) >= l.timing.tick {
			l.ticked = now
			due = append(due, l)
		}
	}
	return due
}

// ask asks all neighbours for a peer (docs/overlay.md §4.3). Whoever has that
// SID answers, and so tells its address.
func (n *Node) ask(p *peer) {
	n.count.discovery.asksSent.Add(1)
	body, err := overlay.AppendExplainItem(nil, overlay.ExplainItem{Kind: overlay.AskPrefix, Prefix: p.remote[:askLength]})
	if err != nil {
		panic("BUG: mdpconn: " + err.Error())
	}
	n.mu.Lock()
	links := n.links
	n.mu.Unlock()
	n.broadcast(p.own, 1, &overlay.Payload{
		Flags: overlay.ToBroadcast | overlay.OneHop,
		Type:  overlay.TypeExplain,
		Seq:   byte(p.own.sequence.Add(1)),
		Body:  body,
	}, links)
}

// broadcast sends a packet to all broadcast addresses of links.
func (n *Node) broadcast(own *ownIdentity, version byte, p *overlay.Payload, links []*nodeLink) {
	o := n.outbox(own, nil)
	defer o.free()
	for _, l := range links {
		to := l.link.Broadcasts()
		if len(to) == 0 {
			continue
		}
		packets := make([]Packet, len(to))
		for i := range to {
			packets[i].Addr = to[i]
		}
		refused := o.plainTo(l, packets, version, 0, p)
		n.count.discovery.broadcastErrors.Add(uint64(refused))
	}
}

// noticed notes where a packet came from whose sender nothing proves: that is a
// candidate if somebody here looks for the sender.
func (n *Node) noticed(sender SID, from endpoint, class candidateClass, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.neighbourLocked(now)
	if n.peers.remotes.counts[sender] == 0 {
		if n.isOpenLocked() {
			n.acquainted.add(sender, &n.peers.remotes)
		}
		return
	}
	if !sendable(from.addr) {
		return
	}
	for _, own := range n.own.Load().order {
		if p := n.peers.all[pair{own.sid, sender}]; p != nil && p.wanted(now) {
			p.path.announcedAt(now, from, class)
			n.activateLocked(p)
		}
	}
}

// explain handles a please-explain. Questions that fit own SIDs are answered
// to where they came from: by an empty please-explain in a packet that names
// the SID in full. Those of a neighbour about others are answered from what the
// node tells its neighbours anyway.
func (n *Node) explain(asker SID, from endpoint, nb *neighbour, body []byte, now time.Time) {
	n.count.received.explains.Add(1)
	r := overlay.NewExplain(body)
	r.Keys = resolver{n}
	item := overlay.ExplainItem{}
	var known []overlay.ExplainItem
	var told []*ownIdentity
	for i := 0; i < explainItems && r.Next(&item); i++ {
		switch {
		case (item.Kind == overlay.TellSID || item.Kind == overlay.TellSignKey) && nb != nil:
			n.toldSID(SID(item.SID))
			continue
		case item.Kind != overlay.AskPrefix:
			continue
		case nb != nil:
			known = n.knownSIDs(known, item.Prefix)
		}
		for _, own := range n.own.Load().match(item.Prefix) {
			// Once is enough, however often a message asks: nothing proves that
			// it came from where the answers go.
			if !slices.Contains(told, own) && n.mayExplain(len(item.Prefix), now) {
				told = append(told, own)
				n.count.sent.explains.Add(1)
				n.answerPlain(own, asker, from)
			}
		}
	}
	if len(known) > 0 && n.mayExplain(knowsSID, now) {
		n.count.sent.explains.Add(1)
		n.explainTo(asker, from, known)
	}
}

// knownSIDs appends answers about those SIDs with a prefix that the node tells
// its neighbours of.
func (n *Node) knownSIDs(items []overlay.ExplainItem, prefix []byte) []overlay.ExplainItem {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range n.mesh.order {
		if bytes.HasPrefix(a.sid[:], prefix) && len(items) < questionItems {
			items = append(items, overlay.ExplainItem{Kind: overlay.TellSID, SID: overlay.SID(a.sid)})
		}
	}
	return items
}

// toldSID notes a SID that a neighbour says there is, so that it is known when it
// is abbreviated.
func (n *Node) toldSID(sid SID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.peers.remotes.counts[sid] == 0 && n.own.Load().bySID[sid] == nil {
		n.acquainted.add(sid, &n.peers.remotes)
	}
}

// knowsSID is how many bytes of a SID somebody has to name to be told the rest
// by a node that does not make itself known: more than can be guessed.
// Implementation.
const knowsSID = 16

// explainItems is how many items of one please-explain are looked at.
// Implementation.
const explainItems = 16

// Answers to questions, of all kinds and to anybody. Implementation.
const (
	answerRate  = 200 // per second
	answerBurst = 100
)

func (n *Node) mayExplain(prefix int, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.isOpenLocked() && prefix < knowsSID {
		return false
	}
	if !n.answers.take(now) {
		n.count.dropped.answerLimit.Add(1)
		return false
	}
	return true
}

// answerPlain sends an empty please-explain of own to the asker's address.
func (n *Node) answerPlain(own *ownIdentity, asker SID, to endpoint) {
	o := n.outbox(own, nil)
	defer o.free()
	o.plainTo(to.link, []Packet{{Addr: to.addr}}, 1, overlay.PacketUnicast, &overlay.Payload{
		Flags:       overlay.OneHop,
		Destination: overlay.To(overlay.SID(asker)),
		Type:        overlay.TypeExplain,
		Seq:         byte(own.sequence.Add(1)),
	})
}

// wantsBroadcastsLocked reports whether the sockets that receive broadcasts are
// to be opened now: they are not open, and somebody announces or asks. Caller
// holds mu.
func (n *Node) wantsBroadcastsLocked(now time.Time, asking bool) bool {
	if len(n.heard) > 0 || len(n.config.Interfaces) > 0 || !asking && n.beacon.holders == 0 && !n.relays() ||
		!n.heardAt.IsZero() && now.Sub(n.heardAt) < listenAgain {
		return false
	}
	for _, l := range n.links {
		if l.udp != nil {
			n.heardAt = now
			return true
		}
	}
	return false
}

// askSender asks the sender of a packet, which only gave the first bytes of its
// SID, for the rest (docs/overlay.md §4.3). Only a node that announces itself or
// relays does so: others know whom they want to hear.
func (n *Node) askSender(q overlay.ExplainItem, from endpoint, now time.Time) {
	n.mu.Lock()
	ask := (n.isAnnouncingLocked() || n.relays()) && sendable(from.addr) && n.answers.take(now)
	n.mu.Unlock()
	if !ask {
		return
	}
	body, err := overlay.AppendExplainItem(nil, q)
	if err != nil {
		return
	}
	n.count.discovery.asksSent.Add(1)
	own := n.own.Load().order[0]
	o := n.outbox(own, nil)
	defer o.free()
	o.plainTo(from.link, []Packet{{Addr: from.addr}}, 1, overlay.PacketUnicast, &overlay.Payload{
		Flags: overlay.ToBroadcast | overlay.OneHop,
		Type:  overlay.TypeExplain,
		Seq:   byte(own.sequence.Add(1)),
		Body:  body,
	})
}
