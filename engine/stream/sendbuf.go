package stream

import "slices"

// A sendBuffer is the stream of one direction as far as the peer has not
// acknowledged it: messages, each behind its length, and what of them is due
// (§3).
type sendBuffer struct {
	chunks fifo[chunk] // in order; the first holds una
	una    uint64      // all before is acknowledged
	next   uint64      // all before was sent at least once
	end    uint64      // all before is queued

	acked rangeSet // beyond una
	lost  rangeSet // sent, taken for lost, not acknowledged: due again

	fin finState

	delivered uint64 // bytes of messages that are acknowledged whole

	cursor int // index of the chunk that was read from last
	free   func([]byte)
}

// A finState is what has become of the end of a stream.
type finState byte

const (
	finNone   finState = iota // the stream goes on
	finUnsent                 // it ends at end, which is to be told, or told again
	finSent                   // that was told, and is not known to be lost
	finAcked
)

// A chunk is one message in the buffer: its length and its bytes.
type chunk struct {
	start uint64
	data  []byte // in buf
	buf   []byte // for free; nil once it is done
}

// push queues a message that lies in buf behind room bytes, in which its length
// is written.
func (s *sendBuffer) push(buf []byte, room int) {
	n := uint64(len(buf) - room)
	from := room - varintLen(n)
	appendVarint(buf[:from], n)
	data := buf[from:]
	s.chunks.push(chunk{s.end, data, buf})
	s.end += uint64(len(data))
}

// queued is how many bytes are in the buffer.
func (s *sendBuffer) queued() uint64 { return s.end - s.una }

// pending reports whether there is something to send below limit, be it again.
func (s *sendBuffer) pending(limit uint64) bool {
	return len(s.lost) > 0 || s.next < min(s.end, limit) || s.finDue()
}

// shutdown ends the stream behind what is queued.
func (s *sendBuffer) shutdown() {
	if s.fin == finNone {
		s.fin = finUnsent
	}
}

// finDue reports whether the end is to be told, and nothing stands before it.
func (s *sendBuffer) finDue() bool { return s.fin == finUnsent && s.next == s.end }

// take gives the next span to send, of at most n bytes: lost ones first, then
// new data below limit. fin tells that the direction ends behind it.
func (s *sendBuffer) take(n int, limit uint64) (r span, fin, ok bool) {
	switch {
	case len(s.lost) > 0:
		r = s.lost[0]
		r.end = min(r.end, r.start+uint64(n))
		s.lost.remove(r.start, r.end)
	case s.next < min(s.end, limit) && n > 0:
		r = span{s.next, min(s.end, limit, s.next+uint64(n))}
		s.next = r.end
	case s.finDue():
		r = span{s.end, s.end}
	default:
		return span{}, false, false
	}
	if fin = r.end == s.end && (s.fin == finUnsent || s.fin == finSent); fin {
		s.fin = finSent
	}
	return r, fin, true
}

// oldest gives the first span from an offset on that is not acknowledged, of at
// most n bytes: what a probe carries.
func (s *sendBuffer) oldest(from uint64, n int) (r span, fin, ok bool) {
	from = max(from, s.una)
	for _, a := range s.acked {
		if a.start <= from && from < a.end {
			from = a.end
		}
	}
	from = min(from, s.next) // a probe may have read up to a bare end
	r = span{from, min(s.next, from+uint64(n))}
	if i := s.acked.find(from); i < len(s.acked) {
		r.end = min(r.end, s.acked[i].start)
	}
	fin = s.fin == finSent && r.end == s.end
	if r.size() == 0 && !fin {
		return span{}, false, false
	}
	s.lost.remove(r.start, r.end)
	return r, fin, true
}

// read appends the bytes of a span that was taken.
func (s *sendBuffer) read(b []byte, r span) []byte {
	if r.size() == 0 {
		return b
	}
	chunks := s.chunks.all()
	i := s.cursor
	if i >= len(chunks) || chunks[i].start > r.start || chunks[i].end() <= r.start {
		i = s.find(r.start)
	}
	for at := r.start; at < r.end; {
		c := &chunks[i]
		part := c.data[at-c.start:]
		if left := r.end - at; uint64(len(part)) > left {
			part = part[:left]
		}
		b = append(b, part...)
		at += uint64(len(part))
		s.cursor = i
		i++
	}
	return b
}

func (c *chunk) end() uint64 { return c.start + uint64(len(c.data)) }

func (s *sendBuffer) find(offset uint64) int {
	i, _ := slices.BinarySearchFunc(s.chunks.all(), offset, func(c chunk, offset uint64) int {
		if c.end() <= offset {
			return -1
		}
		return 1
	})
	return i
}

// finReceived notes that the end arrived.
func (s *sendBuffer) finReceived() { s.fin = finAcked }

// finLost notes that the end was in a lost packet.
func (s *sendBuffer) finLost() {
	if s.fin == finSent {
		s.fin = finUnsent
	}
}

// ackReceived notes that a span arrived.
func (s *sendBuffer) ackReceived(r span) {
	r.start = max(r.start, s.una)
	if r.start >= r.end {
		return
	}
	if len(s.lost) > 0 {
		s.lost.remove(r.start, r.end)
	}
	if r.start == s.una && len(s.acked) == 0 {
		s.una = r.end
	} else {
		s.acked.add(r.start, r.end)
		if s.acked[0].start == s.una {
			s.una = s.acked[0].end
			s.acked = slices.Delete(s.acked, 0, 1)
		}
	}
	s.release()
}

// release frees the messages that are acknowledged whole.
func (s *sendBuffer) release() {
	k := 0
	for _, c := range s.chunks.all() {
		if c.end() > s.una {
			break
		}
		size, _ := parseVarint(c.data)
		s.delivered += size
		s.free(c.buf)
		k++
	}
	s.chunks.drop(k)
	s.cursor = max(s.cursor-k, 0)
}

// spanLost notes that a span was in a lost packet: what is not acknowledged is
// due again (MSX-4.7).
func (s *sendBuffer) spanLost(r span) {
	r.start = max(r.start, s.una)
	s.acked.missing(r.start, r.end, s.lost.add)
}

// done reports whether the end was queued and everything is acknowledged.
func (s *sendBuffer) done() bool { return s.fin == finAcked && s.una == s.end }

// drop frees everything.
func (s *sendBuffer) drop() {
	for _, c := range s.chunks.all() {
		s.free(c.buf)
	}
	s.chunks, s.acked, s.lost = fifo[chunk]{}, nil, nil
	s.una, s.next = s.end, s.end
}
