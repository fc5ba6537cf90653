package msp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Flags is the first byte of every packet (§2). Bits 0x20 to 0x80 are sent as
// zero and ignored on receipt.
type Flags byte

const (
	FlagShutdown Flags = 1 << iota // the sender's last message; only in a message packet
	FlagAck                        // the ack field is valid
	FlagFirst                      // the sender has received nothing of this connection
	FlagStop                       // abort
	FlagExtended                   // in an opening: the sender reads the extended format (docs/extension.md §1)

	knownFlags = FlagShutdown | FlagAck | FlagFirst | FlagStop | FlagExtended
)

// String gives the set flags' names, joined by "|", or "0".
func (f Flags) String() string {
	var names []string
	for i, name := range [...]string{"SHUTDOWN", "ACK", "FIRST", "STOP", "EXT"} {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if rest := f &^ knownFlags; rest != 0 {
		names = append(names, fmt.Sprintf("%#x", byte(rest)))
	}
	if names == nil {
		return "0"
	}
	return strings.Join(names, "|")
}

// Kind tells which fields a packet has; its length alone decides (§2).
type Kind byte

const (
	KindFlags   Kind = iota // 1 or 2 bytes: flags only
	KindAck                 // 3 or 4 bytes: flags and ack
	KindMessage             // 5 bytes or more: flags, ack, seq and a message
)

const (
	// HeaderLen is the number of bytes in front of a message.
	HeaderLen = 5
	// ackLen is the length of an acknowledgement without a message.
	ackLen = 3
	// noAck is written in the ack field before anything was received.
	noAck Seq = 0xffff
)

// Packet is one decoded MSP packet.
type Packet struct {
	Kind    Kind
	Flags   Flags
	Ack     Seq    // KindAck and KindMessage
	Seq     Seq    // KindMessage
	Payload []byte // KindMessage; empty in a bare SHUTDOWN
}

var errEmptyPacket = errors.New("msp: packet of 0 bytes, want at least 1")

// ParsePacket decodes b. The payload aliases b. The only malformed packet is
// the empty one (§2).
func ParsePacket(b []byte) (Packet, error) {
	switch {
	case len(b) == 0:
		return Packet{}, errEmptyPacket
	case len(b) < ackLen:
		return Packet{Kind: KindFlags, Flags: Flags(b[0])}, nil
	case len(b) < HeaderLen:
		return Packet{
			Kind:  KindAck,
			Flags: Flags(b[0]),
			Ack:   Seq(binary.LittleEndian.Uint16(b[1:])),
		}, nil
	}
	return Packet{
		Kind:    KindMessage,
		Flags:   Flags(b[0]),
		Ack:     Seq(binary.LittleEndian.Uint16(b[1:])),
		Seq:     Seq(binary.LittleEndian.Uint16(b[3:])),
		Payload: b[HeaderLen:],
	}, nil
}

// AppendPacket appends p's encoding to dst.
func AppendPacket(dst []byte, p Packet) []byte {
	dst = append(dst, byte(p.Flags))
	if p.Kind == KindFlags {
		return dst
	}
	dst = binary.LittleEndian.AppendUint16(dst, uint16(p.Ack))
	if p.Kind == KindAck {
		return dst
	}
	dst = binary.LittleEndian.AppendUint16(dst, uint16(p.Seq))
	return append(dst, p.Payload...)
}

// isFreshFirst reports whether p can only be the opening of a connection: FIRST
// without ACK and STOP, nothing acknowledged, and more than flags (§10).
func (p Packet) isFreshFirst() bool {
	return p.Kind != KindFlags && p.Flags&(FlagFirst|FlagAck|FlagStop) == FlagFirst && p.Ack == noAck
}

// String decodes p on one line, for logs and tests.
func (p Packet) String() string {
	switch p.Kind {
	case KindFlags:
		return p.Flags.String()
	case KindAck:
		return fmt.Sprintf("%v ack=%d", p.Flags, p.Ack)
	}
	return fmt.Sprintf("%v ack=%d seq=%d len=%d", p.Flags, p.Ack, p.Seq, len(p.Payload))
}
