package mdpconn

import (
	"errors"
	"time"

	"mesh.example/msp/mdpconn/session"
)

// When offers are sent (MSX-9.2). Specification.
const (
	helloWait  = 100 * time.Millisecond // before it is repeated; doubled each second time
	helloTries = 17                     // the first, and sixteen repetitions
	helloAgain = 10 * time.Minute       // until one that did not answer is asked again
	helloPause = 5 * time.Second        // after a hello of the peer, which leads to a session by itself
)

// portHello is where hellos come from and go to (docs/extension.md §9.1).
const portHello Port = session.HelloPort

// A helloing is how far the asking of a peer for session keys has come. Guarded
// by Node.mu.
type helloing struct {
	tries int
	at    time.Time // when the next hello may go along with a datagram
	rate  bucket    // of the peer's offers
	boot  int64     // of the peer, of its last session that stood; 0: there was none
}

func newHelloing() helloing { return helloing{rate: newBucket(peerHelloRate, peerHellos)} }

// take reports whether a hello is due, and if so counts it as sent.
func (h *helloing) take(now time.Time) bool {
	if now.Before(h.at) {
		return false
	}
	if h.tries == helloTries {
		h.tries = 0
	}
	h.at = now.Add(helloWait << (h.tries / 2))
	if h.tries++; h.tries == helloTries {
		h.at = now.Add(helloAgain)
	}
	return true
}

// pause has the peer asked again after a while only.
func (h *helloing) pause(now time.Time) { h.tries, h.at = 0, now.Add(helloPause) }

// greetsLocked reports whether a hello is to go along with a datagram to a peer.
// Caller holds mu.
func (n *Node) greetsLocked(p *peer, st standing, now time.Time) bool {
	return n.sessions != nil && (!st.keyed || st.worn) && p.hello.take(now)
}

// offer gives the hello for a peer; nil if there is none.
func (n *Node) offer(p *peer, now time.Time) []byte {
	hello, timeout := n.sessions.offer(p, now)
	n.wakeAt(timeout)
	if hello != nil {
		n.count.sessions.offers.Add(1)
	}
	return hello
}

// wakeAt has the maintenance goroutine look at what is due by then; zero: never.
func (n *Node) wakeAt(at time.Time) {
	if at.IsZero() {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.wakeLocked(at)
}

// greet sends an offer to a peer that has lost its keys, by the way that is known.
func (n *Node) greet(p *peer, now time.Time) {
	if w := n.wayBack(p, now); w.open() {
		if hello := n.offer(p, now); hello != nil {
			n.sayHello(p, w, hello, now)
		}
	}
}

// A helloWay is how a hello goes that is not sent along with datagrams: to an
// address, or through others.
type helloWay struct {
	to  endpoint
	hop *hop
}

func (w helloWay) open() bool { return w.hop != nil || w.to.link != nil }

// wayBack gives the way on which a peer is reached now, if there is one.
func (n *Node) wayBack(p *peer, now time.Time) (w helloWay) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := n.peers.all[p.pair]; now != nil {
		p = now
	}
	if p.path.searching() {
		if nb := n.viaLocked(p, now); nb != nil {
			return helloWay{hop: nb.hop()}
		}
	}
	if p.path.known {
		w.to = p.path.current.endpoint
	}
	return w
}

// sayHello sends a hello, in the box.
func (n *Node) sayHello(p *peer, w helloWay, hello []byte, now time.Time) {
	if w.hop != nil {
		n.sendVia(p, w.hop, false, nil, hello, now)
		return
	}
	o := n.outbox(p.own, p)
	defer o.free()
	o.targets = append(o.targets, target{endpoint: w.to})
	o.add(portHello, portHello, hello, now)
	o.flush(now)
}

// hello handles a hello of a peer: a datagram that opened, be it in the box or
// under session keys. Unless it came directly from an address, what it leads to goes
// by the way on which the peer is reached.
func (r *receiver) hello(p *peer, data []byte, direct bool) {
	n := r.node
	h, err := session.ParseHello(data)
	if err != nil {
		n.count.sessions.refused.Add(1)
		return
	}
	if h.Kind == session.OfferHello && !n.welcomesOffer(p, r.now) {
		n.count.dropped.keyLimit.Add(1)
		return
	}
	a, err := n.sessions.receive(p, data, r.now)
	if err != nil {
		n.count.sessions.refused.Add(1)
		if !errors.Is(err, session.ErrCrossed) && n.debugging() {
			n.log.Debug("mdp hello refused", "peer", p.remote, "err", err)
		}
		return
	}
	n.wakeAt(a.timeout)
	if a.boot != 0 && direct && r.from.link.takesTo(r.from.addr.Addr()) > bufferSize {
		r.larger = r.packets != nil && len(r.packets) != largePackets // the first probe is not to be lost
	}
	n.mu.Lock()
	if now := n.peers.all[p.pair]; now != nil {
		p = now
	}
	p.hello.pause(r.now)
	n.mu.Unlock()
	w := helloWay{to: r.from}
	if !direct {
		w = n.wayBack(p, r.now)
	}
	if a.answer != nil && w.open() {
		n.count.sessions.answers.Add(1)
		n.sayHello(p, w, a.answer, r.now)
	}
	if !a.current {
		return
	}
	n.keyed(p, a.boot, r.now)
	switch {
	case w.hop != nil:
		n.confirmVia(p, w.hop, r.now)
	case w.open():
		n.confirm(p, w.to, r.now)
	}
}

// welcomesOffer reports whether an offer of a peer is to be looked at now.
func (n *Node) welcomesOffer(p *peer, now time.Time) bool {
	st := n.sessions.standing(p.pair, now)
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := n.peers.all[p.pair]; now != nil {
		p = now
	}
	return p.hello.rate.take(now) && (st.keyed || p.asked || n.helloRate.take(now))
}

// keyed notes that a session with a peer has become current, and when the peer
// says in it that it was started. Only who has the session's keys can bring that
// about.
func (n *Node) keyed(p *peer, boot int64, now time.Time) {
	n.mu.Lock()
	if now := n.peers.all[p.pair]; now != nil {
		p = now
	}
	p.able, p.keyed = true, true
	p.hello.tries, p.hello.at = 0, time.Time{}
	restarted := p.hello.boot != 0 && p.hello.boot != boot
	p.hello.boot = boot
	n.activateLocked(p)
	n.mu.Unlock()
	n.count.sessions.begun.Add(1)
	if restarted {
		n.count.sessions.restarts.Add(1)
		n.tellRestart(p.pair, boot)
	}
	n.log.Debug("mdp session", "local", p.local, "peer", p.remote, "restarted", restarted)
}

// awaitsKeysLocked reports whether what waits for a peer waits for session keys.
// Caller holds mu.
func (n *Node) awaitsKeysLocked(p *peer) bool {
	return n.config.RequireSessionKeys && !p.keyed
}
