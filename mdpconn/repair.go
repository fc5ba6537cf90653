package mdpconn

import (
	"sync"
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

// Repair of losses between relays. End to end, a few lossy hops lose most of what
// is sent. So a packet that a neighbour is to pass on, or that is passed on to it,
// is kept until a link record of the neighbour tells what became of it. It is sent
// again if later ones arrived and it did not (docs/overlay.md §8.3), never just
// because time went by. Implementation.
const (
	maxKept    = 64                    // packets for one neighbour; a record tells about 33
	keptFor    = time.Second           // as long as stock repeats payloads
	maxRepairs = 5                     // of one packet
	tailAfter  = 20 * time.Millisecond // of silence, a tick tells the neighbour the number of the last packet
	tailAgain  = 60 * time.Millisecond // and another one
	lossyFrom  = 0.01                  // loss from which on that is done
	gapRecord  = 2 * time.Millisecond  // from a gap in the numbers to the record that tells of it
	gapAgain   = 40 * time.Millisecond // to one more, as that may be lost
)

// A keptPacket is one that the neighbour may lack.
type keptPacket struct {
	buf    *buffer // nil: none
	len    int
	number uint32 // the low byte of which is in the packet
	seqAt  int    // where
	sent   time.Time
	tries  int
}

// kept are the packets for one neighbour.
type kept struct {
	mu      sync.Mutex // a leaf; guards what follows
	closed  bool
	packets []keptPacket // maxKept, once there are any
	next    int          // which makes room
	last    time.Time    // when the last one was sent
	armed   bool         // the neighbour's tailAt is set
}

// add keeps copies of packets that are sent now. It reports whether the end of
// them is to be looked after.
func (k *kept) add(boxes []outPacket, now time.Time) (arm bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	for i := range boxes {
		b := &boxes[i]
		if !b.numbered {
			continue
		}
		buf := getBuffer()
		k.putLocked(keptPacket{buf: buf, len: copy(buf.data[:], b.data), number: b.number, seqAt: b.seqAt, sent: now})
		k.last = now
		arm = !k.armed
	}
	k.armed = k.armed || arm
	return arm
}

// putLocked keeps a packet. Caller holds k.mu.
func (k *kept) putLocked(p keptPacket) {
	if k.packets == nil {
		k.packets = make([]keptPacket, maxKept)
	}
	k.packets[k.next].release()
	k.packets[k.next] = p
	k.next = (k.next + 1) % maxKept
}

func (p *keptPacket) release() {
	if p.buf != nil {
		p.buf.release()
		p.buf = nil
	}
}

// take gives the packets that the neighbour lacks, and forgets those that it has.
func (k *kept) take(a overlay.Ack, last uint32, now time.Time) (lost []keptPacket) {
	k.mu.Lock()
	defer k.mu.Unlock()
	newest := last - uint32(byte(last)-a.Seq)
	for i := range k.packets {
		p := &k.packets[i]
		behind := int32(newest - p.number)
		switch {
		case p.buf == nil:
		case now.Sub(p.sent) >= keptFor || behind > 32 || behind >= 0 && a.Acked(byte(p.number)):
			p.release()
		case behind > 0:
			if p.tries < maxRepairs {
				lost = append(lost, *p)
				*p = keptPacket{}
			} else {
				p.release()
			}
		}
	}
	return lost
}

// len is how many packets are kept.
func (k *kept) len() (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.packets {
		if k.packets[i].buf != nil {
			n++
		}
	}
	return n
}

// unsettled reports whether a packet is kept, and when the last one was sent.
func (k *kept) unsettled(now time.Time) (last time.Time, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.packets {
		if p := &k.packets[i]; p.buf != nil {
			if now.Sub(p.sent) >= keptFor {
				p.release()
				continue
			}
			ok = true
		}
	}
	if !ok {
		k.armed = false
	}
	return k.last, ok
}

func (k *kept) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	for i := range k.packets {
		k.packets[i].release()
	}
	k.packets = nil
}

// keep keeps what was just sent to a neighbour, so that it can be sent again.
func (n *Node) keep(nb *neighbour, boxes []outPacket, now time.Time) {
	if len(boxes) == 0 || !nb.kept.add(boxes, now) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	nb.tails = 0
	nb.tailAt = now.Add(tailAfter)
	n.wakeLocked(nb.tailAt)
}

// repair sends again what a neighbour's link record shows to be lost.
func (n *Node) repair(nb *neighbour, a overlay.Ack, to endpoint, now time.Time) {
	lost := nb.kept.take(a, nb.number.last.Load(), now)
	if len(lost) == 0 {
		return
	}
	packets := make([]Packet, len(lost))
	for i := range lost {
		p := &lost[i]
		p.number, _ = nb.number.next()
		p.tries++
		p.buf.data[p.seqAt] = byte(p.number)
		packets[i] = Packet{Addr: to.addr, Data: p.buf.data[:p.len]}
	}
	n.count.mesh.repaired.Add(uint64(len(lost)))
	n.write(to.link, packets)
	nb.kept.mu.Lock()
	for i := range lost {
		if nb.kept.closed {
			lost[i].release()
			continue
		}
		nb.kept.putLocked(lost[i])
	}
	nb.kept.last = now
	nb.kept.mu.Unlock()
}

// collectTailLocked has a tick sent to a neighbour after the last of what it is to
// pass on, so that it notices if that is missing. Caller holds mu.
func (n *Node) collectTailLocked(nb *neighbour, now time.Time, w *work) {
	if nb.tailAt.IsZero() || now.Before(nb.tailAt) {
		return
	}
	nb.tailAt = time.Time{}
	last, ok := nb.kept.unsettled(now)
	if !ok || !nb.proven() {
		return
	}
	if nb.loss < lossyFrom { // the next records will do
		nb.tailAt = now.Add(keptFor)
		return
	}
	quiet := now.Sub(last)
	switch {
	case quiet < tailAfter:
		nb.tails = 0
		nb.tailAt = last.Add(tailAfter)
		return
	case nb.tails == 0:
		nb.tailAt = now.Add(tailAgain)
	default:
		nb.tailAt = now.Add(keptFor) // by then a record has come, or nothing will help
	}
	if nb.tails++; nb.tails > 2 {
		return
	}
	own := n.own.Load().order[0]
	e := overlay.Envelope{Version: 0, Sender: fullSID(own.sid), Flags: overlay.PacketUnicast}
	if seq, ok := nb.number.take(); ok {
		e.Flags |= overlay.PacketSeq
		e.Seq = seq
	}
	b, err := overlay.AppendEnvelope(nil, &e, new(overlay.Context))
	if err != nil {
		panic("BUG: mdpconn: " + err.Error())
	}
	n.count.discovery.ticksSent.Add(1)
	w.records = append(w.records, meshPacket{nb.peer.path.current.endpoint, b, true})
}
