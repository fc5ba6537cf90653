package msp

// A receiver holds messages until they are in order and the application takes
// them (§5.2, §5.4).
type receiver struct {
	next  Seq // the message that the application gets next; all before it are consumed
	ready int // messages from next on that are here without a gap
	held  int // messages here, ready or not

	slots    *[holdMessages]slot // by number modulo its length; nil while held is 0
	offset   int                 // bytes of the next message that are consumed already
	consumed bool                // a message has been consumed: the ack field is valid

	shutdown    bool // the peer's SHUTDOWN was consumed
	shutdownSeq Seq  // its number, once seen
	sawShutdown bool
}

type slot struct {
	buf      []byte
	here     bool
	shutdown bool
}

// arrival is what became of a message packet.
type arrival byte

const (
	arrivedInOrder    arrival = iota // new, and nothing is missing before it
	arrivedOutOfOrder                // new, and something is missing before it
	arrivedDuplicate                 // known
	arrivedBeyond                    // further ahead than is held, or behind the SHUTDOWN: dropped
)

// insert takes a message. It keeps a copy of the payload in a buffer of alloc.
// What it holds behind a SHUTDOWN it gives to free: "a message numbered after
// the one with SHUTDOWN MUST be ignored" (§5.2).
func (r *receiver) insert(p Packet, alloc func(int) []byte, free func([]byte)) arrival {
	ahead := p.Seq.sub(r.next)
	switch {
	case ahead < 0:
		return arrivedDuplicate
	case ahead >= holdMessages, r.sawShutdown && p.Seq.sub(r.shutdownSeq) > 0:
		return arrivedBeyond
	}
	if r.slots == nil {
		r.slots = new([holdMessages]slot)
	}
	s := &r.slots[p.Seq%holdMessages]
	if s.here {
		return arrivedDuplicate
	}
	*s = slot{here: true, shutdown: p.Flags&FlagShutdown != 0}
	if len(p.Payload) > 0 {
		s.buf = alloc(len(p.Payload))
		copy(s.buf, p.Payload)
	}
	if s.shutdown {
		r.sawShutdown, r.shutdownSeq = true, p.Seq
		r.dropFrom(ahead+1, free)
	}
	r.held++
	if ahead != r.ready {
		return arrivedOutOfOrder
	}
	for r.ready < holdMessages && r.slots[r.next.add(r.ready)%holdMessages].here {
		r.ready++
	}
	return arrivedInOrder
}

// hasNext reports whether the next message is here. Nothing follows a SHUTDOWN.
func (r *receiver) hasNext() bool { return r.ready > 0 && !r.shutdown }

// peek returns what is left of the next message; nil if there is none.
func (r *receiver) peek() []byte {
	if !r.hasNext() {
		return nil
	}
	return r.slots[r.next%holdMessages].buf[r.offset:]
}

// take consumes the next message, which must be there, and returns its buffer.
// Bytes consumed before are moved out of it.
func (r *receiver) take() []byte {
	s := &r.slots[r.next%holdMessages]
	buf := s.buf
	if r.offset > 0 {
		buf = buf[:copy(buf, buf[r.offset:])]
	}
	r.shutdown = s.shutdown
	*s = slot{}
	r.offset = 0
	r.next++
	r.ready--
	r.held--
	r.consumed = true
	return buf
}

// nextIsEmpty reports whether the next message has no bytes for the
// application: a bare SHUTDOWN, or what no peer should send.
func (r *receiver) nextIsEmpty() bool {
	return r.hasNext() && len(r.slots[r.next%holdMessages].buf) == 0
}

// drop forgets everything held.
func (r *receiver) drop(free func([]byte)) {
	if r.slots != nil {
		for i := range r.slots {
			free(r.slots[i].buf)
		}
	}
	r.slots, r.held, r.ready, r.offset = nil, 0, 0, 0
}

// dropGaps forgets what is held behind a gap that will not be filled.
func (r *receiver) dropGaps(free func([]byte)) { r.dropFrom(r.ready, free) }

// dropFrom forgets what is held i numbers after the next and behind.
func (r *receiver) dropFrom(i int, free func([]byte)) {
	if r.held == r.ready {
		return
	}
	for ; i < holdMessages; i++ {
		if s := &r.slots[r.next.add(i)%holdMessages]; s.here {
			free(s.buf)
			*s = slot{}
			r.held--
		}
	}
}

// shrink gives back the slots of an idle connection.
func (r *receiver) shrink() {
	if r.held == 0 {
		r.slots = nil
	}
}

// ack returns the ack field and its flag (§2, §5.3).
func (r *receiver) ack() (Seq, Flags) {
	if !r.consumed {
		return noAck, 0
	}
	return r.next.add(-1), FlagAck
}
