package mdpconn

import (
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"time"

	"mesh.example/msp/mdpconn/session"
)

// Finding the largest packet that passes to a peer (docs/extension.md §13).
const (
	firstProbe  = 1452             // bytes of the first one tried: Ethernet's 1,500 with room for tunnels. Specification
	defaultMost = 1472             // bytes that a link takes of which nothing else is known: Ethernet's 1,500 less IPv4 and UDP
	probeStep   = 32               // nearer than that to what was refused nothing is tried
	probeTries  = 2                // probes in a row without a pong refuse a size. Specification
	refusedFor  = 10 * time.Minute // Specification
	probeWait   = time.Second      // at least, for a pong
	checkEvery  = 2 * time.Second  // at the soonest, while larger packets are sent: one of the size proven shows that they pass
	checkMost   = 10 * time.Second // at the latest
	checkAmong  = 256              // larger packets, or a second without the peer, make it sooner: on slow links it costs little
	checkQuiet  = time.Second
	checkWait   = 250 * time.Millisecond
	checkTries  = 3 // without a pong, while others arrive, end a size. Specification
)

// A pathSize is what is known of the size of packets in compact form that pass to
// a peer's endpoint: a ping padded to a size has proven it. Probes go along with
// datagrams; without any none are sent. Guarded by Node.mu.
type pathSize struct {
	at     endpoint // whom all this is about
	size   int      // proven: at least smallCompact
	most   int      // more is refused, or is not to be tried
	narrow bool     // more was refused
	told   int      // the largest ever proven, at any endpoint
	since  time.Time
	probe  int // under way; 0: none
	token  [session.TokenSize]byte
	sent   time.Time
	tries  int
	nextAt time.Time
	larger int // packets than small ones that were sent since the last probe, about
}

// reset begins anew, for an endpoint.
func (s *pathSize) reset(at endpoint, most int, now time.Time) {
	*s = pathSize{at: at, size: smallCompact, most: most, since: now, told: s.told}
}

// notice notes datagrams that are about to be sent: only packets larger than small
// ones are a reason to see whether such still pass.
func (s *pathSize) notice(batch []Datagram) {
	bytes := 0
	for i := range batch {
		bytes += len(batch[i].Data)
	}
	if bytes > MaxData {
		s.larger += 1 + bytes/max(s.size, smallCompact)
	}
}

// checks reports whether the size proven is to be tried again.
func (s *pathSize) checks(now, heard time.Time) bool {
	return s.larger > 0 &&
		(s.larger >= checkAmong || now.Sub(heard) >= checkQuiet || now.Sub(s.sent) >= checkMost)
}

// next gives the size to probe next; 0 if there is none.
func (s *pathSize) next() int {
	switch {
	case s.most <= s.size, s.narrow && s.most-s.size < probeStep:
		return 0
	case s.most == session.MaxCompact: // it never leaves the host
		return s.most
	case s.size < firstProbe && s.most >= firstProbe:
		return firstProbe
	case !s.narrow:
		return s.most
	}
	return (s.size + s.most + 1) / 2
}

// due gives the size of a probe that is to be sent now; 0 for none. heard is when
// the peer was heard last.
func (s *pathSize) due(now, heard time.Time, rtt time.Duration) int {
	if s.probe != 0 {
		wait := probeWait
		if s.probe == s.size {
			wait = checkWait
		}
		if now.Sub(s.sent) < max(wait, 3*rtt) {
			return 0
		}
		s.unanswered(now, heard)
	}
	if now.Before(s.nextAt) {
		return 0
	}
	probe := s.probe
	if probe == 0 {
		if probe = s.next(); probe == 0 {
			if probe = s.size; probe == smallCompact || !s.checks(now, heard) {
				return 0
			}
		}
	}
	s.probe, s.sent = probe, now
	s.nextAt, s.larger = time.Time{}, 0
	rand.Read(s.token[:])
	return probe
}

// unanswered notes that a probe has had no pong.
func (s *pathSize) unanswered(now, heard time.Time) {
	s.tries++
	switch {
	case s.probe == s.size && s.tries < checkTries, s.probe != s.size && s.tries < probeTries:
	case s.probe != s.size, heard.After(s.sent): // smaller ones arrive
		s.tooLarge(now)
	default:
		s.probe, s.tries = 0, 0 // nothing arrives: that is not for the size to mend
		s.nextAt = now.Add(checkEvery)
	}
}

// tooLarge notes that the size of the probe under way does not pass.
func (s *pathSize) tooLarge(now time.Time) {
	if s.probe == s.size { // it did before
		s.reset(s.at, s.size-1, now)
		s.narrow = true
		return
	}
	s.most, s.narrow, s.probe, s.tries = s.probe-1, true, 0, 0
}

// refused notes that the link did not take a probe for its size. Nothing else
// needs to be tried to know that it does not pass.
func (s *pathSize) refused(token [session.TokenSize]byte, now time.Time) {
	if s.probe != 0 && token == s.token {
		s.tooLarge(now)
	}
}

// answered notes a pong, and reports whether it belongs to a probe.
func (s *pathSize) answered(from endpoint, token [session.TokenSize]byte, now time.Time) bool {
	if s.probe == 0 || from != s.at || token != s.token {
		return false
	}
	s.size = s.probe
	s.told = max(s.told, s.size)
	s.probe, s.tries = 0, 0
	if s.next() == 0 {
		s.nextAt = now.Add(checkEvery)
	}
	return true
}

// sizeLocked tells how large packets to a peer's endpoint may be now, and the size
// of a probe that is to go there; 0 for none. Caller holds mu.
func (n *Node) sizeLocked(p *peer, compact int, now time.Time) (size, probe int) {
	s, e := &p.size, p.path.current.endpoint
	most := min(compact, n.config.maxPacket(), e.link.takesTo(e.addr.Addr()))
	if s.at != e || most > s.most && now.Sub(s.since) >= refusedFor {
		s.reset(e, most, now)
	}
	s.most = min(s.most, most)
	probe = s.due(now, p.path.current.heard, p.path.rtt)
	return min(s.size, max(most, smallCompact)), probe
}

// sendProbe sends a ping padded to a size to a peer's endpoint. A link that
// refuses it for its size answers the question.
func (n *Node) sendProbe(p *peer, to endpoint, size int, token [session.TokenSize]byte, now time.Time) {
	c := n.compactor(p.pair, size)
	defer c.free()
	c.begin()
	c.item(session.AppendPing(nil, token))
	end := c.starts[0] + size - (session.Overhead - session.HeadSize)
	clear(c.room[c.ends[0]:end]) // zeros are padding
	c.ends[0] = end
	c.probe = true
	c.flush([]target{{endpoint: to}}, now)
	if errors.Is(c.err, errTooLarge) {
		n.mu.Lock()
		defer n.mu.Unlock()
		p.size.refused(token, now)
	}
}

// ponged handles a pong.
func (r *receiver) ponged(p *peer, token [session.TokenSize]byte) {
	n := r.node
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.size.answered(r.from, token, r.now) || p.ecn.answered(r.from, token, r.now) {
		n.count.sessions.pongs.Add(1)
	}
}

// MaxDatagram tells the most data, in bytes, that a datagram from an address of this
// node, its SID perhaps Primary, to another can carry now: MaxData, or more while there are
// session keys and larger packets were found to pass. It may become less at any
// time; larger datagrams are then dropped and counted (SessionStats.TooLarge).
func (n *Node) MaxDatagram(local, remote Addr) int {
	if n.sessions == nil {
		return MaxData
	}
	own := n.own.Load().find(local.SID)
	if own == nil {
		return MaxData
	}
	now := time.Now()
	pair := pair{own.sid, remote.SID}
	st := n.sessions.standing(pair, now)
	if !st.keyed {
		return MaxData
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.peers.all[pair]
	if p == nil || p.path.searching() || p.size.at != p.path.current.endpoint || p.size.size == smallCompact {
		return MaxData
	}
	return max(MaxData, min(p.size.size, st.compact)-compactHead(local.Port, remote.Port))
}

// compactHead is what a packet in compact form has besides the data of the one datagram
// that fills it.
func compactHead(local, remote Port) int { return session.Overhead + 1 + ports(local, remote).Len() }

// takes reports whether a datagram of more than MaxData bytes may be sent: larger
// packets passed once.
func (n *Node) takes(own *ownIdentity, d *Datagram) bool {
	if n.sessions == nil {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.peers.all[pair{own.sid, d.Remote.SID}]
	return p != nil && len(d.Data) <= p.size.told-compactHead(d.Local.Port, d.Remote.Port)
}

// A sizedLink is a link that knows the size of packets that it takes, in bytes. Of
// others it is taken to be that of Ethernet.
type sizedLink interface{ MaxPacket() int }

// mostOf gives the size of packets that a link takes.
func mostOf(l Link) int {
	if s, ok := l.(sizedLink); ok {
		return s.MaxPacket()
	}
	return defaultMost
}

// takesTo gives the size of packets that a link takes to an address.
func (l *nodeLink) takesTo(to netip.Addr) int {
	if l.udp != nil && to.IsLoopback() {
		return session.MaxCompact
	}
	return l.most
}

// MaxPacket gives the largest packet that one of this host's networks, other than
// loopback, takes at once.
func (u *udpLink) MaxPacket() int {
	const headers4, headers6 = 20 + 8, 40 + 8
	most := 1280                      // what every IPv6 network takes
	interfaces, _ := net.Interfaces() // without them it is that
	for _, i := range interfaces {
		if i.Flags&net.FlagUp != 0 && i.Flags&net.FlagLoopback == 0 {
			most = max(most, i.MTU)
		}
	}
	if u.local.Addr().Is4() {
		return min(most-headers4, session.MaxCompact)
	}
	return min(most-headers6, session.MaxCompact)
}
