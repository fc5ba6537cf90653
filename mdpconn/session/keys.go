package session

import (
	"encoding/binary"
	"fmt"

	"mesh.example/msp/mdpconn/overlay"
)

// A Form says what carries a sealed packet. Both forms have the same head and
// the same overhead; a packet of one never opens as the other.
type Form byte

// Forms, which are the first bytes of their packets.
const (
	Compact Form = 0x4d                // a UDP payload by itself (§11)
	Relayed Form = overlay.SessionBody // the body of an overlay payload (§12)
)

// String gives the form's name.
func (f Form) String() string {
	switch f {
	case Compact:
		return "compact"
	case Relayed:
		return "relayed"
	}
	return fmt.Sprintf("form(%#x)", byte(f))
}

// max is the largest packet of the form, in bytes.
func (f Form) max() int {
	if f == Relayed {
		return MaxRelayed
	}
	return MaxCompact
}

// Sizes in bytes.
const (
	HeadSize = 8                  // of what stands in front of the ciphertext
	Overhead = HeadSize + tagSize // of a sealed packet above its plaintext
)

// A Head is what stands in clear in front of a sealed packet.
type Head struct {
	Form Form
	ID   uint32 // at which the receiver receives
	Low  uint32 // the low 24 bits of the counter
}

// ParseHead reads the head of a sealed packet. ok is false for what is none.
func ParseHead(packet []byte) (h Head, ok bool) {
	if len(packet) < Overhead {
		return Head{}, false
	}
	h = Head{Form(packet[0]), binary.BigEndian.Uint32(packet[1:]), binary.BigEndian.Uint32(packet[4:]) & lowCounter}
	return h, (h.Form == Compact || h.Form == Relayed) && len(packet) <= h.Form.max()
}

// String gives the head on one line.
func (h Head) String() string { return fmt.Sprintf("%v to %08x #%d", h.Form, h.ID, h.Low) }

// Describe gives a sealed packet or a notice on one line, for logs.
func Describe(packet []byte) string {
	if h, ok := ParseHead(packet); ok {
		return fmt.Sprintf("%v, %d bytes", h, len(packet))
	}
	if id, ok := ParseUnknown(packet); ok {
		return fmt.Sprintf("unknown session %08x", id)
	}
	return fmt.Sprintf("no packet of a session, %d bytes", len(packet))
}

// A Scratch is working room for Keys, so that no packet costs an allocation.
// The zero value is ready. Each goroutine needs one of its own.
type Scratch struct{ nonce [12]byte }

func (s *Scratch) set(counter uint64) []byte {
	binary.BigEndian.PutUint64(s.nonce[4:], counter)
	return s.nonce[:]
}

// Keys are the two keys of a session, one for each direction. They never change
// and may be used concurrently.
type Keys struct {
	send, recv aead
	sendID     uint32 // where the peer receives
}

// newKeys makes keys and overwrites the arrays.
func newKeys(c Cipher, send, recv *[32]byte, sendID uint32) (*Keys, error) {
	defer clear(send[:])
	defer clear(recv[:])
	k := &Keys{sendID: sendID}
	var err error
	if k.send, err = c.new(send); err != nil {
		return nil, err
	}
	if k.recv, err = c.new(recv); err != nil {
		return nil, err
	}
	return k, nil
}

// Seal seals a packet where it lies: HeadSize bytes of any content, which become
// the head, then the plaintext. The result is that slice with the tag behind it;
// with less than 16 bytes of capacity left it is a copy. (Of packets that lie side
// by side in one buffer, cap the slices.) counter is one of
// [Session.Reserve], each for one packet only. A packet too large for its form
// is an error, and is as it was.
func (k *Keys) Seal(form Form, packet []byte, counter uint64, scratch *Scratch) ([]byte, error) {
	if len(packet) < HeadSize {
		panic("BUG: session: no room for the head of a packet")
	}
	if len(packet)+tagSize > form.max() {
		return packet, fmt.Errorf("session: %v packet of %d bytes, expected %d at most",
			form, len(packet)+tagSize, form.max())
	}
	binary.BigEndian.PutUint32(packet[4:], uint32(counter)) // the first of its bytes is the id's
	binary.BigEndian.PutUint32(packet[1:], k.sendID)
	packet[0] = byte(form)
	head, text := packet[:HeadSize], packet[HeadSize:]
	sealed := k.send.Seal(text[:0], scratch.set(counter), text, head)
	if len(sealed) <= cap(packet)-HeadSize {
		return packet[:HeadSize+len(sealed)], nil
	}
	return append(head[:HeadSize:HeadSize], sealed...), nil
}

// Open opens a packet where it lies and gives the plaintext, part of packet. It
// does not look at whether the counter was used before: see [Table.Accept].
// After an error, which is ErrOpen, packet is of no more use.
func (k *Keys) Open(packet []byte, counter uint64, scratch *Scratch) ([]byte, error) {
	if _, ok := ParseHead(packet); !ok {
		return nil, ErrOpen
	}
	sealed := packet[HeadSize:]
	text, err := k.recv.Open(sealed[:0], scratch.set(counter), sealed, packet[:HeadSize])
	if err != nil {
		return nil, ErrOpen
	}
	return text, nil
}
