package stocktest

import (
	"mesh.example/msp/engine/msp"
)

// A Stream is what was heard of one direction of a connection.
type Stream struct {
	Messages map[msp.Seq]string
	Ack      int // the highest; -1: none
	Shutdown int // the number of the last message; -1: not heard
	Stop     bool
	Packets  int
}

// NewStream makes one of which nothing was heard.
func NewStream() *Stream {
	return &Stream{Messages: map[msp.Seq]string{}, Ack: -1, Shutdown: -1}
}

// Hear notes a packet.
func (s *Stream) Hear(p msp.Packet) {
	s.Packets++
	s.Stop = s.Stop || p.Flags&msp.FlagStop != 0
	if p.Flags&msp.FlagAck != 0 && p.Kind != msp.KindFlags {
		s.Ack = max(s.Ack, int(p.Ack))
	}
	if p.Kind == msp.KindMessage {
		s.Messages[p.Seq] = string(p.Payload)
		if p.Flags&msp.FlagShutdown != 0 {
			s.Shutdown = int(p.Seq)
		}
	}
}

// Has reports whether all has been heard that a recorded packet says: the same
// messages, and acknowledgements that go as far. A SHUTDOWN may be a message of its
// own where the recorded one rode on bytes, and the other way round. A nil Stream
// has nothing.
func (s *Stream) Has(p msp.Packet) bool {
	switch {
	case s == nil:
		return false
	case p.Flags&msp.FlagStop != 0:
		return s.Stop
	case p.Flags&msp.FlagAck != 0 && s.Ack < int(p.Ack):
		return false
	case p.Kind != msp.KindMessage:
		return true
	}
	_, ok := s.Messages[p.Seq]
	shutdown := p.Flags&msp.FlagShutdown != 0
	return (ok || shutdown) && (!shutdown || s.Shutdown >= 0)
}

// Adapt makes a recorded acknowledgement of the last message that the recorded peer
// sent one of the last that was heard, which may have another number.
func (s *Stream) Adapt(p *msp.Packet, last int) {
	if s != nil && s.Shutdown >= 0 && p.Kind != msp.KindFlags && p.Flags&msp.FlagAck != 0 && int(p.Ack) == last {
		p.Ack = msp.Seq(s.Shutdown)
	}
}

// Bytes gives what the messages say, in order, up to the first that is missing.
func (s *Stream) Bytes() (all []byte) {
	if s == nil {
		return nil
	}
	for seq := msp.Seq(0); ; seq++ {
		m, ok := s.Messages[seq]
		if !ok {
			return all
		}
		all = append(all, m...)
	}
}
