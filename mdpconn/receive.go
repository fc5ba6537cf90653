package mdpconn

import (
	"net/netip"
	"sync/atomic"
	"time"

	"mesh.example/msp/mdpconn/overlay"
	"mesh.example/msp/mdpconn/session"
)

// How many packets are read from a link at once. Implementation.
const (
	readPackets  = 64
	largePackets = 16 // once larger ones than of bufferSize come
)

// A receiver reads the packets of a link and takes them apart. It belongs to
// one goroutine.
type receiver struct {
	// Constant.
	node   *Node
	source Link      // where packets are read from
	link   *nodeLink // source as a link of the node; nil if it only receives

	packets   []Packet
	buffers   [readPackets]*buffer
	scratch   session.Scratch
	out       dispatcher
	forwarder forwarder

	// Of the packet at hand.
	buf       *buffer // in which it lies
	now       time.Time
	set       *identitySet
	from      endpoint
	sender    SID
	neighbour *neighbour     // the sender, at its proven address; nil otherwise
	class     candidateClass // of the sender's address, if nothing in the packet is authentic
	packet    overlay.Packet
	payload   overlay.Payload
	tag       [16]byte
	nonce     boxNonce
	item      session.Item
	larger    bool  // packets are too large for the buffers
	keyed     bool  // the datagram at hand came under session keys
	ecn       ECN   // of the packet at hand
	boot      int64 // when the peer was started that has them
}

func newReceiver(n *Node, source Link, l *nodeLink) *receiver {
	r := &receiver{node: n, source: source, link: l, packets: make([]Packet, readPackets)}
	for i := range r.buffers {
		r.buffers[i] = getBuffer()
	}
	r.ready(len(r.packets))
	return r
}

// ready makes the first k packets ready to be read into.
func (r *receiver) ready(k int) {
	for i := range r.packets[:k] {
		r.packets[i] = Packet{Data: r.buffers[i].data[:]}
	}
}

func (r *receiver) free() {
	for _, b := range r.buffers {
		if b != nil {
			b.release()
		}
	}
}

// read waits for packets and gives how many there are.
func (r *receiver) read() (int, error) { return r.source.ReadPackets(r.packets) }

// enlarge has larger packets read from now on, and fewer at once.
func (r *receiver) enlarge() {
	r.larger = false
	for i, b := range r.buffers {
		if b != nil {
			b.release()
		}
		if r.buffers[i] = nil; i < largePackets {
			r.buffers[i] = getLarge()
		}
	}
	r.packets = r.packets[:largePackets]
	r.ready(largePackets)
}

// handle takes k packets apart and hands what is in them to handlers.
func (r *receiver) handle(k int) {
	r.now = time.Now()
	for i := range r.packets[:k] {
		r.buf, r.ecn = r.buffers[i], r.packets[i].ECN
		r.handlePacket(r.packets[i].Addr, r.packets[i].Data)
		if r.buffers[i].shares.Load() > 1 { // datagrams have it now
			r.buffers[i] = r.buffers[i].replace()
		}
	}
	r.ready(k)
	if r.larger {
		r.enlarge()
	}
	r.forwarder.flush(r.now)
	r.out.deliver()
}

// handlePacket takes one packet apart (docs/overlay.md §3).
func (r *receiver) handlePacket(addr netip.AddrPort, data []byte) {
	n := r.node
	n.count.received.packets.Add(1)
	n.count.received.bytes.Add(uint64(len(data)))
	r.from = endpoint{r.link, unmap(addr)}
	if r.link == nil {
		if r.from.link = n.linkTo(r.from.addr, r.source.LocalAddr().Port()); r.from.link == nil {
			n.count.dropped.noLink.Add(1)
			return
		}
	}
	if n.debugging() {
		n.logPacket("mdp received", r.from.link, &Packet{Addr: r.from.addr, Data: data})
	}
	if r.handleSession(data) {
		return
	}
	if err := r.packet.Parse(data, overlay.Context{Resolver: resolver{n}}); err != nil {
		n.count.dropped.malformed.Add(1)
		return
	}
	r.set = n.own.Load()
	r.sender = SID(r.packet.Sender.SID)
	if !r.packet.Sender.Resolved() {
		r.unresolvedSender()
		return
	}
	if r.set.bySID[r.sender] != nil {
		n.count.dropped.ownPacket.Add(1)
		return
	}
	var duplicate bool
	if r.neighbour, duplicate = n.heardNeighbour(r.sender, r.from, &r.packet.Envelope, r.now); duplicate {
		n.count.dropped.repeated.Add(1)
		return
	}
	r.class = announced
	payloads, authentic := 0, false
	for r.packet.Next(&r.payload) {
		payloads++
		n.count.received.payloads.Add(1)
		if r.handlePayload() {
			authentic = true
		}
	}
	if r.packet.Err() != nil {
		n.count.dropped.malformed.Add(1)
	} else if payloads == 0 {
		n.count.received.ticks.Add(1)
	}
	if !authentic {
		n.noticed(r.sender, r.from, r.class, r.now)
	}
}

// unresolvedSender handles a packet whose sender is not known: none of its
// payloads is used (docs/overlay.md §3).
func (r *receiver) unresolvedSender() {
	n := r.node
	if r.packet.Sender.State == overlay.Refused {
		n.count.dropped.badSID.Add(1)
		return
	}
	n.count.dropped.unknownSender.Add(1)
	if q, ok := r.packet.Sender.Question(); ok {
		n.askSender(q, r.from, r.now)
	}
}

// handlePayload handles the payload at hand, and reports whether it was
// authenticated.
func (r *receiver) handlePayload() (authentic bool) {
	n, p := r.node, &r.payload
	repeated := r.numbered()
	if p.Check() != nil {
		r.unusable()
		return false
	}
	if repeated {
		n.count.dropped.repeated.Add(1)
		return false
	}
	source := SID(p.Source.SID)
	if r.set.bySID[source] != nil {
		n.count.dropped.ownPacket.Add(1)
		return false
	}
	var own *ownIdentity
	if p.Flags&overlay.ToBroadcast == 0 {
		if own = r.set.bySID[SID(p.Destination.SID)]; own == nil {
			r.forward(source)
			return false
		}
	} else if p.Flooded() {
		if r.floodRepeated() {
			n.count.dropped.repeated.Add(1)
			return false
		}
		r.flood(source)
	}
	mode, _ := p.Flags.Mode() // Check looked for an error
	switch {
	case p.Type == overlay.TypeExplain && mode == overlay.ModePlain && source == r.sender:
		if own != nil {
			r.class = answered
		}
		n.explain(r.sender, r.from, r.neighbour, p.Body, r.now)
	case p.Type == overlay.TypeExplain:
		n.count.dropped.ignored.Add(1)
	case p.Type != overlay.TypeData:
		n.count.dropped.unknownType.Add(1)
	case mode == overlay.ModeCiphered:
		return r.open(own, source)
	default:
		r.plain(mode, own, source)
	}
	return false
}

// numbered notes the payload's number, and reports whether a neighbour that
// repeats it until it is acknowledged has sent it before (docs/overlay.md §8.7).
// Others repeat nothing.
func (r *receiver) numbered() (repeated bool) {
	nb := r.neighbour
	if nb == nil || r.packet.Version == 0 {
		return false
	}
	r.node.mu.Lock()
	defer r.node.mu.Unlock()
	_, repeated = nb.payloads.receive(r.payload.Seq, payloadRun, r.now)
	if p := &r.payload; p.Flags&overlay.OneHop == 0 || p.Flags&overlay.SenderSame == 0 {
		nb.relays = r.now
	}
	if r.payload.Flags&overlay.AckSoon == 0 {
		return false
	}
	nb.acks = true
	r.node.recordSoonLocked(nb, r.now.Add(ackSoon))
	return repeated
}

// unusable counts a payload with an address that does not resolve, or with
// impossible flags, and asks the neighbour about the address.
func (r *receiver) unusable() {
	unresolved, refused := false, false
	var questions []overlay.ExplainItem
	for a := range r.payload.Addresses() {
		unresolved = unresolved || !a.Resolved()
		refused = refused || a.State == overlay.Refused
		if q, ok := a.Question(); ok && r.neighbour != nil {
			questions = append(questions, q)
		}
	}
	r.node.askNeighbour(r.neighbour, questions, r.now)
	switch d := &r.node.count.dropped; {
	case refused:
		d.badSID.Add(1)
	case unresolved:
		d.unknownSID.Add(1)
	default:
		d.malformed.Add(1)
	}
}

// plain handles a data payload that is not enciphered: link state, questions and
// answers about services, and what sockets accept. own is whom it is for; nil: all.
func (r *receiver) plain(mode overlay.Mode, own *ownIdentity, source SID) {
	ports, data, err := overlay.ParsePorts(r.payload.Body)
	switch d := &r.node.count.dropped; {
	case err != nil:
		d.malformed.Add(1)
	case r.service(mode, own, source, ports, data):
	case mode != overlay.ModePlain || Port(ports.Destination) != portLinkState || r.payload.Flooded():
		r.readable(mode, own, source, ports)
	case r.neighbour == nil || source != r.sender:
		d.ignored.Add(1)
	default:
		r.linkState(data)
	}
}

// open opens the enciphered payload at hand, which is for own, and hands it on.
// It reports whether it is authentic.
func (r *receiver) open(own *ownIdentity, source SID) bool {
	n := r.node
	body := r.payload.Body
	if session.IsRelayed(body) {
		return r.openKeyed(own, source)
	}
	nonce, err := overlay.Nonce(body)
	if err != nil {
		n.count.dropped.crypto.Add(1)
		return false
	}
	if len(body) > bufferSize {
		n.count.dropped.tooLong.Add(1)
		return false
	}
	p := n.strangerAndLock(own, source, r.now)
	n.mu.Unlock()
	if p == nil {
		return false
	}
	r.nonce = nonce
	if p.mine.made(&r.nonce, &r.tag) {
		n.count.dropped.reflected.Add(1)
		return false
	}
	buf := getBuffer()
	plain, err := overlay.OpenBody(buf.data[:0], p.key, body)
	if err != nil {
		buf.release()
		n.count.dropped.crypto.Add(1)
		return false
	}
	made := int64(0)
	if p.theirs.made(&r.nonce, &r.tag) {
		made = r.nonce.time()
	}
	r.authenticated(p, plain, buf, made)
	return true
}

// authenticated handles the plaintext of a payload from a peer, in buf, which
// it hands on or releases. made is the time in the nonce, 0 if that means
// nothing.
func (r *receiver) authenticated(p *peer, plain []byte, buf *buffer, made int64) {
	n := r.node
	ports, data, err := overlay.ParsePorts(plain)
	if err != nil || ports.Check() != nil {
		buf.release()
		n.count.dropped.malformed.Add(1)
		return
	}
	direct := r.payload.Flags&overlay.OneHop != 0 && p.remote == r.sender
	to, from := Port(ports.Destination), Port(ports.Source)
	if to == n.challengePort {
		if from == portEcho && direct {
			n.challengeAnswered(p, r.from, data, made)
		}
		buf.release()
		return
	}
	d := Datagram{
		Local: Addr{p.local, to}, Remote: Addr{p.remote, from},
		Data: data, Queue: Queue(r.payload.Queue), TTL: r.payload.Remaining(), Made: made, buf: buf,
	}
	s, builtin, refused := r.heardAuthentic(p, direct, made, to)
	hello := n.sessions != nil && to == portHello && from == portHello
	unknown, notice := session.ParseUnknown(data)
	switch {
	case hello && !notice:
		r.hello(p, data, direct)
		d.Release()
	case hello && refused == nil:
		r.noticeVia(p, unknown)
		d.Release()
	case refused != nil:
		refused.Add(1)
		d.Release()
	case builtin:
		r.serve(p, &d, direct)
		d.Release()
	case len(data) == 0:
		n.count.dropped.empty.Add(1)
		d.Release()
	default:
		if d.Early = n.sessions != nil; d.Early {
			if refused := r.early(p, made); refused != nil {
				refused.Add(1)
				d.Release()
				return
			}
		}
		n.dispatch(&r.out, s, &d)
	}
}

// heardAuthentic notes an authenticated payload of a peer, and finds out who gets it:
// the node itself, or a socket, nil if there is none.
//
// refused, if it is not nil, counts why it is dropped: it was made so long ago
// that it can only be a recording, or the peer would have sent it under session
// keys.
func (r *receiver) heardAuthentic(p *peer, direct bool, made int64, to Port) (s *Socket, builtin bool, refused *atomic.Uint64) {
	n, now := r.node, r.now
	n.mu.Lock()
	defer n.mu.Unlock()
	p = n.authenticLocked(p, now)
	path := &p.path
	late := path.lateness(now, made) > n.mostLate(made)
	recorded := p.able && n.sessions != nil && (made == 0 || path.newest-made > boxSlack.Microseconds())
	fresh := !late && !recorded && (made == 0 || made > path.newest)
	if fresh {
		path.lastHeard = now
		path.noteClock(now, made)
		if direct || r.neighbour != nil {
			p.relay.heard(r.sender, p.remote, now)
		}
	}
	switch {
	case recorded:
		refused = &n.count.sessions.downgrades
	case late:
		path.doubtClock(now)
		refused = &n.count.dropped.late
	}
	if direct && sendable(r.from.addr) {
		path.heardFrom(now, r.from, fresh)
		n.activateLocked(p)
	}
	return n.ports.find(Addr{p.local, to}), n.isBuiltinLocked(to), refused
}

// authenticLocked notes that a peer is what it says, and gives the peer as the
// table has it: while the payload was opened without mu, another may have taken
// the place of one that had to make room. Caller holds mu.
func (n *Node) authenticLocked(p *peer, now time.Time) *peer {
	n.neighbourLocked(now)
	if now := n.peers.all[p.pair]; now != nil {
		p = now
	}
	p.path.received++
	if !p.proven {
		p.proven = true
		n.touchLocked(p)
	}
	return p
}
