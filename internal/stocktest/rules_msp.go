package stocktest

import (
	"errors"
	"fmt"

	"mesh.example/msp/engine/msp"
	"mesh.example/msp/mdpconn/overlay"
)

// A stream is one direction of a connection.
type stream struct {
	source, destination         overlay.SID
	sourcePort, destinationPort uint32
}

func (s stream) back() stream {
	return stream{s.destination, s.source, s.destinationPort, s.sourcePort}
}

// streamRules is what is remembered of a direction.
type streamRules struct {
	messages map[msp.Seq]string // flags that may not change, and bytes
	next     int
	shutdown int // the number of the last message; -1: not sent
}

func (r *Rules) stream(s stream) *streamRules {
	if r.streams[s] == nil {
		r.streams[s] = &streamRules{messages: map[msp.Seq]string{}, shutdown: -1}
	}
	return r.streams[s]
}

// msp judges an MSP packet by what may be sent to stock.
func (r *Rules) msp(h *Heard) error {
	s := h.stream()
	p, err := ParseMSP(h.Data)
	if err == nil && p.Flags&msp.FlagAck != 0 {
		if back := r.stream(s.back()); int(p.Ack) >= back.next {
			err = fmt.Errorf("acknowledges %d, the newest sent is %d", p.Ack, back.next-1)
		}
	}
	if err == nil && p.Kind == msp.KindMessage {
		err = r.stream(s).message(&p)
	}
	if err != nil {
		return fmt.Errorf("MSP packet %v: %w", p, err)
	}
	return nil
}

// Sent notes a payload that the node has sent itself, so that what it says may be
// acknowledged. Other than MSP packets are passed over.
func (r *Rules) Sent(h *Heard) {
	p, ok := h.MSP()
	if ok && p.Kind == msp.KindMessage {
		back := r.stream(h.stream())
		back.next = max(back.next, int(p.Seq)+1)
	}
}

// MSP gives the MSP packet in a payload, if there is one.
func (h *Heard) MSP() (msp.Packet, bool) {
	const ports = 0x40 // those below are services'
	if h.Type != overlay.TypeData || h.Mode != overlay.ModeCiphered || h.Ports.Source < ports || h.Ports.Destination < ports {
		return msp.Packet{}, false
	}
	p, err := msp.ParsePacket(h.Data)
	return p, err == nil
}

func (h *Heard) stream() stream {
	return stream{h.Source.SID, h.Destination.SID, h.Ports.Source, h.Ports.Destination}
}

// ParseMSP parses an MSP packet and judges what can be said of one alone: flags and
// lengths.
func ParseMSP(b []byte) (msp.Packet, error) {
	p, err := msp.ParsePacket(b)
	if err == nil {
		err = legal(&p, len(b))
	}
	return p, err
}

func legal(p *msp.Packet, n int) error {
	flags := msp.FlagShutdown | msp.FlagAck | msp.FlagFirst | msp.FlagStop
	if p.Flags&msp.FlagFirst != 0 {
		flags |= msp.FlagExtended // ignored (docs/extension.md §1.1)
	}
	switch {
	case p.Flags&^flags != 0:
		return errors.New("flags that stock does not know")
	case (p.Kind == msp.KindFlags) != (p.Flags&msp.FlagStop != 0), p.Kind == msp.KindFlags && (n != 1 || p.Flags != msp.FlagStop):
		return fmt.Errorf("a STOP is 1 byte and nothing else; these are %d", n)
	case p.Kind == msp.KindFlags:
		return nil
	case p.Kind == msp.KindAck && (n != 3 || p.Flags&msp.FlagShutdown != 0):
		return fmt.Errorf("an acknowledgement of %d bytes", n)
	case p.Flags&msp.FlagAck == 0 && p.Ack != 0xffff:
		return errors.New("an ack field without ACK is 0xFFFF")
	case p.Flags&msp.FlagAck != 0 && p.Flags&msp.FlagFirst != 0:
		return errors.New("FIRST from one that has received something")
	case p.Kind == msp.KindMessage && len(p.Payload) == 0 && p.Flags&msp.FlagShutdown == 0:
		return errors.New("a message without bytes")
	case len(p.Payload) > msp.MaxMessage:
		return fmt.Errorf("a message of %d bytes", len(p.Payload))
	}
	return nil
}

// message judges the number of a message: the next one, or one again as it was.
func (s *streamRules) message(p *msp.Packet) error {
	text := fmt.Sprint(p.Flags&msp.FlagShutdown, string(p.Payload))
	last, again := s.messages[p.Seq]
	switch {
	case again && last != text:
		return errors.New("the same number for two messages")
	case !again && int(p.Seq) != s.next:
		return fmt.Errorf("message %d is the next", s.next)
	case !again && s.shutdown >= 0:
		return fmt.Errorf("message %d was the last", s.shutdown)
	case again:
		return nil
	}
	s.messages[p.Seq] = text
	s.next++
	if p.Flags&msp.FlagShutdown != 0 {
		s.shutdown = int(p.Seq)
	}
	return nil
}
