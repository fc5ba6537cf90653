package mdpconn

import (
	"sync"
	"time"

	"mesh.example/msp/mdpconn/overlay"
	"mesh.example/msp/mdpconn/session"
)

// Sizes of an outbox. Implementation.
const (
	outboxPackets = 64 // that are written with one call of a link
	maxTargets    = maxCandidates + 1
)

// headerRoom is what a further payload of a packet takes besides its ciphered
// body: flags, destination PREVIOUS, number, length (docs/overlay.md §5).
const headerRoom = 1 + 1 + 1 + 2

// An outbox builds the packets of one pair of SIDs. Outboxes are pooled, as one
// is large, and used by one goroutine at a time.
type outbox struct {
	node  *Node
	own   *ownIdentity
	peer  *peer // nil: no payload is enciphered
	hop   *hop  // what the packets are to relay; nil: they are for the peer itself
	mark  mark  // of what is added next, if there is a hop
	form  form  // of the packet that is begun, if there is a hop
	n     int   // packets begun
	boxes [outboxPackets]outPacket

	targets []target
	number  *numbering // of packets to the one target; nil: they have no numbers
	packets []Packet   // what is given to the link
	copies  [maxTargets]outPacket

	plain   []byte // ports and data
	scratch session.Scratch
	nonce   boxNonce
	tag     [16]byte
}

// An outPacket is a packet in the making.
type outPacket struct {
	room [overlay.MaxPacket]byte
	data []byte // in room
	ctx  overlay.Context

	number   uint32 // the packet's
	numbered bool
	seqAt    int // where the number stands in data
}

var outboxPool = sync.Pool{New: func() any {
	return &outbox{
		targets: make([]target, 0, maxTargets),
		packets: make([]Packet, 0, outboxPackets+1),
		plain:   make([]byte, 0, overlay.MaxPacket),
	}
}}

// outbox gives an empty outbox for packets of own to one peer. The caller frees
// it.
func (n *Node) outbox(own *ownIdentity, p *peer) *outbox {
	o := outboxPool.Get().(*outbox)
	o.node, o.own, o.peer, o.n = n, own, p, 0
	o.hop, o.number, o.form = nil, nil, 0
	o.targets = o.targets[:0]
	return o
}

func (o *outbox) free() {
	o.node, o.own, o.peer, o.hop, o.number = nil, nil, nil, nil, nil
	clear(o.targets[:cap(o.targets)])
	outboxPool.Put(o) // what o.packets hold lies in o
}

// begin begins a packet in b: the envelope, with the full SID unless o.form says
// otherwise.
func (o *outbox) begin(b *outPacket, flags overlay.PacketFlags) {
	if o.form == 0 {
		b.number, b.numbered = o.number.next()
	}
	b.ctx = overlay.Context{}
	e := overlay.Envelope{Version: 1, Sender: o.form.sender(o.own.sid), Flags: flags}
	if b.numbered {
		e.Flags |= overlay.PacketSeq
		e.Seq = byte(b.number)
	}
	var err error
	if b.data, err = overlay.AppendEnvelope(b.room[:0], &e, &b.ctx); err != nil {
		panic("BUG: mdpconn: " + err.Error()) // an own SID passes every check
	}
	b.seqAt = len(b.data) - 1
}

// add adds a datagram to the last packet, or to a new one if it has no room.
// When all packets are full they go to the targets first.
func (o *outbox) add(from, to Port, data []byte, now time.Time) {
	o.put(now, func(b *outPacket) bool { return o.seal(b, from, to, data, now) })
}

// put has a payload appended to the last packet, or to a new one if it has no
// room.
func (o *outbox) put(now time.Time, payload func(*outPacket) bool) {
	if o.n > 0 && payload(&o.boxes[o.n-1]) {
		return
	}
	if o.n == outboxPackets {
		o.flush(now)
	}
	b := &o.boxes[o.n]
	o.n++
	for o.form = 0; ; o.form++ {
		o.begin(b, overlay.PacketUnicast)
		if payload(b) {
			return
		}
		if o.hop == nil || o.form == shortestForm {
			panic("BUG: mdpconn: a datagram does not fit a packet")
		}
	}
}

// seal appends an enciphered payload for the peer to a packet, and reports
// whether there was room.
func (o *outbox) seal(b *outPacket, from, to Port, data []byte, now time.Time) bool {
	var err error
	o.plain, err = overlay.AppendPorts(o.plain[:0], overlay.Ports{Destination: uint32(to), Source: uint32(from)})
	if err != nil {
		panic("BUG: mdpconn: " + err.Error()) // the caller checked the ports
	}
	o.plain = append(o.plain, data...)
	if len(b.data)+headerRoom+overlay.SealOverhead+len(o.plain) > overlay.MaxPacket {
		return false
	}
	if o.hop != nil {
		return o.sealVia(b, now)
	}
	o.peer.mine.fill(&o.nonce, &o.tag, now)
	p := overlay.Payload{
		Flags:       overlay.OneHop,
		Destination: overlay.To(overlay.SID(o.peer.remote)),
		Type:        overlay.TypeData,
		Seq:         byte(o.own.sequence.Add(1)),
	}
	b.data, err = overlay.AppendSealedPayload(b.data, &p, &b.ctx, o.peer.key, (*[nonceSize]byte)(&o.nonce), o.plain)
	if err != nil {
		panic("BUG: mdpconn: " + err.Error())
	}
	return true
}

// flush sends the packets to all targets, together with the challenges that
// are to go along, and empties the outbox but for the targets.
func (o *outbox) flush(now time.Time) {
	for i := range o.targets {
		t := &o.targets[i]
		o.packets = o.packets[:0]
		for j := range o.n {
			o.packets = append(o.packets, Packet{Addr: t.addr, Data: o.boxes[j].data})
		}
		if t.challenge != 0 {
			o.addChallenge(&o.copies[i], *t, now)
			t.challenge = 0
		}
		o.node.write(t.link, o.packets)
		if o.hop != nil {
			o.node.keep(o.hop.nb, o.boxes[:o.n], now)
		}
		if i > 0 {
			o.node.count.sent.copies.Add(uint64(o.n))
		}
	}
	o.n = 0
}

// addChallenge adds a challenge to o.packets: to a copy of the first packet that
// has room, or else as one more packet.
func (o *outbox) addChallenge(c *outPacket, t target, now time.Time) {
	token := o.node.token(o.peer.pair, t.endpoint, t.challenge)
	from := o.node.challengePort
	o.node.count.discovery.challengesSent.Add(1)
	if o.node.debugging() {
		o.node.log.Debug("mdp challenge", "local", o.own.sid, "peer", o.peer.remote, "addr", t.addr)
	}
	for j := range o.n {
		const room = headerRoom + overlay.SealOverhead + overlay.MaxPortsLen + tokenSize
		if len(o.boxes[j].data)+room > overlay.MaxPacket {
			continue
		}
		c.data = append(c.room[:0], o.boxes[j].data...)
		c.ctx = o.boxes[j].ctx
		if o.seal(c, from, portEcho, token[:], now) {
			o.packets[j].Data = c.data
			return
		}
	}
	o.begin(c, overlay.PacketUnicast)
	o.seal(c, from, portEcho, token[:], now)
	o.packets = append(o.packets, Packet{Addr: t.addr, Data: c.data})
}

// plainTo sends a packet with one plain payload, or with none if p is nil, to
// the addresses in packets. It gives how many of them the link refused. What may
// not be sent is not: a peer's question may have had a hand in it.
func (o *outbox) plainTo(l *nodeLink, packets []Packet, version byte, flags overlay.PacketFlags, p *overlay.Payload) (refused int) {
	b := &o.boxes[0]
	b.ctx = overlay.Context{}
	e := overlay.Envelope{Version: version, Sender: overlay.To(overlay.SID(o.own.sid)), Flags: flags}
	e.Sender.Code = overlay.CodeSID
	var err error
	if b.data, err = overlay.AppendEnvelope(b.room[:0], &e, &b.ctx); err == nil && p != nil {
		b.data, err = overlay.AppendPayload(b.data, p, &b.ctx)
	}
	if err != nil {
		o.node.unsendable(err)
		return 0
	}
	for i := range packets {
		packets[i].Data = b.data
	}
	return o.node.write(l, packets)
}
