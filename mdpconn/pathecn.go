package mdpconn

import (
	"crypto/rand"
	"time"

	"mesh.example/msp/mdpconn/session"
)

// Finding out whether packets that routers may mark pass to a peer (docs/extension.md
// §11).
const (
	ecnTries = 5                // pings in a row without a pong end it. Specification
	ecnAgain = 10 * time.Minute // until it is tried again, where other packets pass. Specification
)

// A pathECN is what is known of packets with ECT(0) that go to a peer's endpoint:
// a ping with it has proven that they pass. Pings go along with datagrams that
// may have it; without any none are sent. Guarded by Node.mu.
type pathECN struct {
	at     endpoint // whom all this is about
	on     bool     // they pass
	waits  bool     // a ping is under way
	token  [session.TokenSize]byte
	sent   time.Time
	tries  int
	nextAt time.Time // no ping before
}

// fillsQueues reports whether datagrams are a full packet at least of what may have
// ECT(0). Less, as acknowledgements and signs of life, goes without, and costs no
// pings.
func fillsQueues(batch []Datagram) bool {
	bytes := 0
	for i := 0; i < len(batch) && bytes < MaxData; i++ {
		if batch[i].ECN == ECT0 {
			bytes += len(batch[i].Data)
		}
	}
	return bytes >= MaxData
}

// due reports whether a ping with ECT(0) is to be sent now. heard is when the peer was
// heard last.
func (e *pathECN) due(now, heard time.Time, rtt time.Duration) bool {
	if e.waits {
		if now.Sub(e.sent) < max(checkWait, 3*rtt) {
			return false
		}
		e.unanswered(now, heard)
	}
	if now.Before(e.nextAt) {
		return false
	}
	e.waits, e.sent = true, now
	rand.Read(e.token[:])
	return true
}

// unanswered notes that a ping has had no pong.
func (e *pathECN) unanswered(now, heard time.Time) {
	e.waits = false
	if e.tries++; e.tries < ecnTries {
		return
	}
	// Without it they may pass: if they do, the peer is heard.
	wait := checkEvery
	if heard.After(e.sent) {
		wait = ecnAgain
	}
	*e = pathECN{at: e.at, nextAt: now.Add(wait)}
}

// answered notes a pong, and reports whether it belongs to a ping.
func (e *pathECN) answered(from endpoint, token [session.TokenSize]byte, now time.Time) bool {
	if !e.waits || from != e.at || token != e.token {
		return false
	}
	*e = pathECN{at: e.at, on: true, nextAt: now.Add(checkEvery)}
	return true
}

// ecnLocked tells whether packets of datagrams to a peer's endpoint may have ECT(0)
// now, and whether a ping with it is to go there. Caller holds mu.
func (n *Node) ecnLocked(p *peer, st standing, batch []Datagram, now time.Time) (on, ping bool) {
	to := p.path.current.endpoint
	if !st.ecn || !fillsQueues(batch) || !to.link.ecn() {
		return false, false
	}
	e := &p.ecn
	if e.at != to {
		*e = pathECN{at: to}
	}
	ping = e.due(now, p.path.current.heard, p.path.rtt)
	return e.on, ping
}

// sendECNPing sends a ping with ECT(0).
func (n *Node) sendECNPing(p *peer, to endpoint, token [session.TokenSize]byte, now time.Time) {
	c := n.compactor(p.pair, smallCompact)
	defer c.free()
	c.ect = to
	c.begin()
	c.item(session.AppendPing(nil, token))
	c.flush([]target{{endpoint: to}}, now)
}
