package mdpconn

import (
	"errors"
	"fmt"
	"net"
	"time"

	"mesh.example/msp/mdpconn/overlay"
	"mesh.example/msp/mdpconn/session"
)

// Datagrams that wait for an address of their peer. Implementation.
const (
	waitingPerPeer = 16
	waitingLimit   = 1024 // of all peers
	waitingAge     = time.Second
)

// A waitingDatagram is a datagram for a peer without an address.
type waitingDatagram struct {
	Datagram           // with a buffer of its own
	until    time.Time // when it is dropped
}

// Send sends datagrams. It keeps neither the slice nor the data. Consecutive
// ones between the same two SIDs share packets where they fit.
//
// The local SID is an identity of the node, or Primary; the local port need not
// be bound. A datagram to an identity of this node is handed to its handler
// before Send returns, without being enciphered.
//
// An error is one of the arguments, and names what is wrong: no data, or more
// than MaxData bytes, or for an enciphered one than MaxDatagram has ever told
// for the two addresses; ports outside 1 … MaxPort; a remote SID that does not pass
// SID.Check (All passes for a broadcast), a local one that is not the node's; an
// enciphered broadcast, or a mode that is none; a queue or a TTL out of range;
// data for a service of stock nodes that would end them (overlay.CheckData).
// n is then the index of the datagram at fault: those before it were sent, it
// and those behind it were not. After Close the error is net.ErrClosed. That a
// datagram does not arrive is no error. Send may block for a short time, as a
// UDP socket does.
//
// In a node at a daemon the local port has to be bound, datagrams to its own
// identities go through the daemon too, and the error is a *DaemonError while
// the daemon is gone.
func (n *Node) Send(batch []Datagram) (int, error) { return n.carrier.send(batch) }

func (n *Node) sendOverlay(batch []Datagram) (int, error) {
	set := n.own.Load()
	for i := 0; i < len(batch); {
		d := &batch[i]
		own, err := n.checkDatagram(set, d)
		if err != nil {
			return i, err
		}
		if d.Mode != Enciphered {
			if err := n.sendReadable(set, own, d); err != nil {
				return i, err
			}
			i++
			continue
		}
		end := i + 1
		for end < len(batch) && batch[end].Mode == Enciphered && batch[end].Local.SID == d.Local.SID && batch[end].Remote.SID == d.Remote.SID &&
			n.checkContent(own, &batch[end]) == nil {
			end++
		}
		if to := set.bySID[d.Remote.SID]; to != nil {
			err = n.sendLocal(own, to, batch[i:end])
		} else {
			err = n.sendRemote(own, d.Remote.SID, batch[i:end])
		}
		if err != nil {
			return i, err
		}
		i = end
	}
	return len(batch), nil
}

// checkDatagram refuses a datagram that cannot be sent, and gives the identity
// that sends it.
func (n *Node) checkDatagram(set *identitySet, d *Datagram) (*ownIdentity, error) {
	own := set.find(d.Local.SID)
	if err := n.checkContent(own, d); err != nil {
		return nil, err
	}
	if d.Remote.SID != All {
		if err := d.Remote.SID.Check(); err != nil {
			return nil, err
		}
	}
	if own == nil {
		return nil, fmt.Errorf("mdpconn: SID %v is no identity of this node", d.Local.SID)
	}
	return own, nil
}

// checkContent refuses what is wrong with a datagram of own, which may be nil,
// other than its SIDs. Larger ones than MaxData are right if they could be sent
// once.
func (n *Node) checkContent(own *ownIdentity, d *Datagram) error {
	if len(d.Data) <= MaxData || own == nil || d.Mode != Enciphered || !n.takes(own, d) {
		return checkContent(d)
	}
	short := *d
	short.Data = d.Data[:MaxData]
	return checkContent(&short)
}

var errNoData = errors.New("mdpconn: datagram without data, expected 1 byte or more")

// checkContent refuses what is wrong with a datagram other than its SIDs.
func checkContent(d *Datagram) error {
	switch {
	case len(d.Data) == 0:
		return errNoData
	case len(d.Data) > MaxData:
		return fmt.Errorf("mdpconn: datagram of %d bytes, expected at most %d", len(d.Data), MaxData)
	case d.Remote.Port == 0 || d.Remote.Port > MaxPort:
		return fmt.Errorf("mdpconn: remote port %d, expected 1 … %d", d.Remote.Port, MaxPort)
	case d.Local.Port == 0 || d.Local.Port > MaxPort:
		return fmt.Errorf("mdpconn: local port %d, expected 1 … %d", d.Local.Port, MaxPort)
	case d.TTL > maxTTL:
		return fmt.Errorf("mdpconn: TTL %d, expected 1 … %d, or 0 for the socket's", d.TTL, maxTTL)
	}
	if err := checkMode(d); err != nil {
		return err
	}
	ports := overlay.Ports{Destination: uint32(d.Remote.Port), Source: uint32(d.Local.Port)}
	if err := overlay.CheckData(ports, d.Data); err != nil {
		return err
	}
	return d.Queue.Check()
}

// sendRemote sends datagrams of own to another node's SID. They were checked.
func (n *Node) sendRemote(own *ownIdentity, remote SID, batch []Datagram) error {
	now := time.Now()
	st := n.sessions.standing(pair{own.sid, remote}, now)
	p, err := n.peerForAndLock(own, remote)
	if err == nil && n.isClosedLocked() {
		err = net.ErrClosed
	}
	if err != nil {
		n.mu.Unlock()
		return err
	}
	p.path.sent += uint64(len(batch))
	o := n.outbox(own, p)
	defer o.free()
	left := n.routeLocked(p, now, len(batch), o)
	via := n.hopLocked(p, o, now)
	w := n.wayLocked(p, o, st, via, batch, now)
	if w.waits || len(o.targets) == 0 && left == 0 && via == nil {
		for i := range batch {
			n.waitLocked(p, &batch[i], now)
		}
		p.path.beginSearch(now, 0)
	}
	n.activateLocked(p)
	n.mu.Unlock()

	if w.waits {
		batch = nil
	}
	hello := n.helloOf(p, w, now)
	if via != nil {
		n.sendVia(p, via, w.relayed, batch, hello, now)
	} else if !w.waits {
		n.count.dropped.budget.Add(uint64(left))
	}
	if len(o.targets) == 0 {
		return nil
	}
	n.transmit(p, o, w, batch, hello, now)
	if via == nil {
		n.count.sent.datagrams.Add(uint64(len(batch)))
	}
	return nil
}

// helloOf gives the hello that goes along with datagrams; nil if there is none.
func (n *Node) helloOf(p *peer, w way, now time.Time) []byte {
	if !w.hello {
		return nil
	}
	return n.offer(p, now)
}

// A way is how datagrams go to the targets of an outbox, and through others.
type way struct {
	compact  int  // to the targets under session keys, in packets of at most so many bytes; 0: in the box
	relayed  bool // through others under session keys
	hello    bool // a hello goes along
	probe    int  // a ping of so many bytes goes along, with token; 0: none
	token    [session.TokenSize]byte
	ecnToken [session.TokenSize]byte
	to       endpoint // where the ping goes, and packets that may be marked
	ect      bool     // packets may be
	ping     bool     // a ping that may be marked goes along, with ecnToken
	waits    bool     // they wait until there are session keys
}

// wayLocked tells how datagrams to a peer go now. Caller holds mu.
func (n *Node) wayLocked(p *peer, o *outbox, st standing, via *hop, batch []Datagram, now time.Time) (w way) {
	p.keyed = st.keyed
	w.relayed = st.keyed && via != nil
	if st.keyed && (!p.path.searching() || n.config.RequireSessionKeys) {
		w.compact = min(st.compact, smallCompact)
		if !p.path.searching() {
			p.size.notice(batch)
			w.compact, w.probe = n.sizeLocked(p, st.compact, now)
			w.ect, w.ping = n.ecnLocked(p, st, batch, now)
			w.token, w.ecnToken, w.to = p.size.token, p.ecn.token, p.path.current.endpoint
		}
	}
	w.hello = (via != nil || len(o.targets) > 0) && n.greetsLocked(p, st, now)
	w.waits = n.config.RequireSessionKeys && w.compact == 0 && !w.relayed
	return w
}

// transmit sends datagrams to the targets of an outbox, and the challenges that
// are to go along, and the hello if there is one.
func (n *Node) transmit(p *peer, o *outbox, w way, batch []Datagram, hello []byte, now time.Time) {
	if w.compact > 0 {
		n.sendCompact(p, w, o, batch, hello, now)
		if w.ping {
			n.sendECNPing(p, w.to, w.ecnToken, now)
		}
		if w.probe > 0 {
			n.sendProbe(p, w.to, w.probe, w.token, now)
		}
		o.flush(now)
		return
	}
	if n.config.RequireSessionKeys {
		batch = nil // none of it goes in the box
	}
	for i := range batch {
		if len(batch[i].Data) > MaxData {
			n.count.sessions.tooLarge.Add(1)
			continue
		}
		o.add(batch[i].Local.Port, batch[i].Remote.Port, batch[i].Data, now)
	}
	if hello != nil {
		o.add(portHello, portHello, hello, now)
	}
	o.flush(now)
}

// routeLocked puts where k datagrams go into o.targets, and gives how many
// copies are left out. Caller holds mu.
func (n *Node) routeLocked(p *peer, now time.Time, k int, o *outbox) (left int) {
	o.targets, left = p.path.route(now, k, o.targets)
	for i := range o.targets {
		if t := &o.targets[i]; t.challenge != 0 {
			t.challenge = n.stampLocked(now)
		}
	}
	if p.path.searching() {
		p.path.beginSearch(now, 0)
	}
	return left
}

// waitLocked keeps a copy of a datagram until its peer has an address, for a
// second. Of too many the oldest goes. Caller holds mu.
func (n *Node) waitLocked(p *peer, d *Datagram, now time.Time) {
	if len(d.Data) > MaxData {
		n.count.sessions.tooLarge.Add(1)
		return
	}
	if len(p.path.waiting) == waitingPerPeer {
		n.dropOldestLocked(p)
	}
	if n.waiting == waitingLimit {
		n.count.dropped.noRoute.Add(1)
		return
	}
	w := waitingDatagram{Datagram: *d, until: now.Add(waitingAge)}
	w.buf = getBuffer()
	w.Data = w.buf.data[:copy(w.buf.data[:], d.Data)]
	p.path.waiting = append(p.path.waiting, w)
	n.waiting++
}

// dropOldestLocked drops the datagram of a peer that waits longest. Caller
// holds mu.
func (n *Node) dropOldestLocked(p *peer) {
	w := p.path.waiting
	w[0].Release()
	copy(w, w[1:])
	w[len(w)-1] = waitingDatagram{}
	p.path.waiting = w[:len(w)-1]
	n.waiting--
	n.count.dropped.noRoute.Add(1)
}

// dropWaitingLocked drops all of them. Caller holds mu.
func (n *Node) dropWaitingLocked(p *peer) {
	for len(p.path.waiting) > 0 {
		n.dropOldestLocked(p)
	}
	p.path.waiting = nil
}

// write gives packets to a link. Those it refuses are counted and dropped; it
// gives their number.
func (n *Node) write(l *nodeLink, ps []Packet) (refused int) {
	if n.debugging() {
		for i := range ps {
			n.logPacket("mdp sent", l, &ps[i])
		}
	}
	if l.index != 0 {
		ps = withInterface(ps, l.index)
	}
	for len(ps) > 0 {
		k, err := l.link.WritePackets(ps)
		bytes := 0
		for i := range ps[:k] {
			bytes += len(ps[i].Data)
		}
		n.count.sent.packets.Add(uint64(k))
		n.count.sent.bytes.Add(uint64(bytes))
		if err == nil || errors.Is(err, net.ErrClosed) || k >= len(ps) {
			return refused
		}
		refused++
		n.count.sent.errors.Add(1)
		if !l.failing.Swap(true) {
			n.log.Warn("mdp link refuses packets", "link", l.link.LocalAddr(), "to", ps[k].Addr, "err", err)
		}
		ps = ps[k+1:]
	}
	return refused
}

// withInterface gives copies of packets that name the sender's interface in
// their envelope (docs/overlay.md §3), if they have one: compact form and notices
// have not. Packets are built before it is known where they go to, and may go to
// several places.
func withInterface(ps []Packet, index byte) []Packet {
	named := make([]Packet, len(ps))
	for i := range ps {
		data := ps[i].Data
		if data[0] > overlay.MaxVersion {
			named[i] = ps[i]
			continue
		}
		at := overlay.EnvelopeFlags(data)
		b := make([]byte, 0, len(data)+1)
		b = append(b, data[:at]...)
		b = append(b, data[at]|byte(overlay.PacketInterface), index)
		named[i] = Packet{Addr: ps[i].Addr, Data: append(b, data[at+1:]...)}
	}
	return named
}

// unsendable counts a packet that may not be sent (docs/overlay.md §11).
func (n *Node) unsendable(err error) {
	n.count.sent.errors.Add(1)
	n.log.Error("mdp packet not sent: it would harm who gets it", "err", err)
}
