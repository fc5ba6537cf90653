package overlay

import (
	"errors"
	"fmt"
	"strings"
)

// An Encapsulation says how payloads lie in a packet (docs/overlay.md §3).
type Encapsulation byte

// Encapsulations.
const (
	Overlay Encapsulation = 1 // payloads with a length each, any number
	Single  Encapsulation = 2 // one payload without length, to the end of the packet; none in a tick
)

// String gives the name used in docs/overlay.md §3.
func (e Encapsulation) String() string {
	switch e {
	case Overlay:
		return "OVERLAY"
	case Single:
		return "SINGLE"
	}
	return fmt.Sprintf("encapsulation(%d)", byte(e))
}

// PacketFlags are the flags of an envelope (docs/overlay.md §3).
type PacketFlags byte

// Packet flags. The other bits are sent as zero, and ignored.
const (
	PacketUnicast   PacketFlags = 0x01 // sent to a unicast address
	PacketInterface PacketFlags = 0x02 // the interface index is present: it is not 0
	PacketSeq       PacketFlags = 0x04 // the packet number is present
)

// String gives the names, joined by |.
func (f PacketFlags) String() string {
	return flagString(byte(f), "UNICAST", "INTERFACE", "SEQ")
}

// flagString joins names[i] for each bit i that is set in f; bits without a
// name are shown as a number.
func flagString(f byte, names ...string) string {
	var b strings.Builder
	for i, name := range names {
		if f&(1<<i) == 0 || name == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('|')
		}
		b.WriteString(name)
		f &^= 1 << i
	}
	if f != 0 || b.Len() == 0 {
		if b.Len() > 0 {
			b.WriteByte('|')
		}
		fmt.Fprintf(&b, "%#x", f)
	}
	return b.String()
}

// Limits of the envelope.
const (
	// MaxVersion is the highest envelope version. Version 1 adds a sequence
	// byte to each payload; ticks are sent as version 0 (docs/overlay.md §3).
	MaxVersion = 1
	// MaxInterface is the highest interface index (docs/overlay.md §2).
	MaxInterface = 15
	// MaxPacket is the length in bytes of the largest UDP payload that stock
	// sends (docs/overlay.md §10).
	MaxPacket = 1200
)

// An Envelope is the head of a packet (docs/overlay.md §3).
type Envelope struct {
	Version       byte          // 0 or 1
	Encapsulation Encapsulation // for appending, 0 means Overlay
	Sender        Address
	Flags         PacketFlags // for appending, PacketInterface follows from Interface
	Interface     byte        // of the sender; 0 if absent
	Seq           byte        // with PacketSeq: the packet number
}

// String gives the envelope on one line.
func (e Envelope) String() string {
	s := fmt.Sprintf("v%d %v from %v %v if %d", e.Version, e.Encapsulation, e.Sender, e.Flags, e.Interface)
	if e.Flags&PacketSeq != 0 {
		s += fmt.Sprintf(" seq %d", e.Seq)
	}
	return s
}

var errShortEnvelope = errors.New("overlay: packet ends within its envelope")

// ParseEnvelope parses the head of a packet and returns the bytes behind it.
// ctx is begun afresh, but for its exported fields, with the sender as sender
// and previous.
// A sender that does not resolve is no error. See [Packet] for a packet whole.
func ParseEnvelope(b []byte, ctx *Context) (e Envelope, rest []byte, err error) {
	if len(b) < 2 {
		return Envelope{}, nil, errShortEnvelope
	}
	e.Version, e.Encapsulation = b[0], Encapsulation(b[1])
	if e.Version > MaxVersion {
		return Envelope{}, nil, fmt.Errorf("overlay: envelope version %d: want 0 or 1", e.Version)
	}
	if e.Encapsulation != Overlay && e.Encapsulation != Single {
		return Envelope{}, nil, fmt.Errorf("overlay: encapsulation %d: want 1 or 2", b[1])
	}
	ctx.begin(e.Version, e.Encapsulation)
	if e.Sender, b, err = ParseAddress(b[2:], ctx); err != nil {
		return Envelope{}, nil, err
	}
	ctx.sender = e.Sender.SID
	if len(b) == 0 {
		return Envelope{}, nil, errShortEnvelope
	}
	e.Flags, b = PacketFlags(b[0]), b[1:]
	if e.Flags&PacketInterface != 0 {
		if len(b) == 0 {
			return Envelope{}, nil, errShortEnvelope
		}
		e.Interface, b = b[0], b[1:]
	}
	if e.Flags&PacketSeq != 0 {
		if len(b) == 0 {
			return Envelope{}, nil, errShortEnvelope
		}
		e.Seq, b = b[0], b[1:]
	}
	return e, b, nil
}

// begin empties the context for a new packet.
func (c *Context) begin(version byte, e Encapsulation) {
	*c = Context{
		Resolver: c.Resolver, Transmitter: c.Transmitter, Receiver: c.Receiver,
		version: version, encapsulation: e,
	}
}

// AppendEnvelope appends the head of a packet and begins ctx afresh, but for
// its exported fields. The sender is written in a form of its own SID, even on
// a point-to-point link, unless its Code is CodeP2PMe (docs/overlay.md §4.4).
func AppendEnvelope(dst []byte, e *Envelope, ctx *Context) ([]byte, error) {
	encapsulation := e.Encapsulation
	if encapsulation == 0 {
		encapsulation = Overlay
	}
	switch {
	case e.Version > MaxVersion:
		return dst, fmt.Errorf("overlay: envelope version %d: want 0 or 1", e.Version)
	case encapsulation != Overlay && encapsulation != Single:
		return dst, fmt.Errorf("overlay: encapsulation %d: want 1 or 2", encapsulation)
	case e.Interface > MaxInterface:
		return dst, fmt.Errorf("overlay: interface %d: want 0…%d", e.Interface, MaxInterface)
	case e.Flags&^(PacketUnicast|PacketInterface|PacketSeq) != 0:
		return dst, fmt.Errorf("overlay: packet flags %v: unknown bits", e.Flags)
	}
	c := *ctx
	c.begin(e.Version, encapsulation)
	b := append(dst, e.Version, byte(encapsulation))
	var err error
	if transmitter, receiver := c.p2p(); e.Sender.Code == CodeP2PMe && e.Sender.SID == transmitter && transmitter != receiver {
		b, err = AppendAddress(b, e.Sender, &c)
	} else {
		b, err = appendSID(b, e.Sender, &c)
	}
	if err != nil {
		return dst, err
	}
	c.sender = e.Sender.SID
	flags := e.Flags &^ PacketInterface
	if e.Interface != 0 {
		flags |= PacketInterface
	}
	b = append(b, byte(flags))
	if e.Interface != 0 {
		b = append(b, e.Interface)
	}
	if flags&PacketSeq != 0 {
		b = append(b, e.Seq)
	}
	*ctx = c
	return b, nil
}

// EnvelopeFlags gives the position of the flags in a packet that AppendEnvelope
// began.
func EnvelopeFlags(packet []byte) int {
	switch code := packet[2]; {
	case code <= 32:
		return 3 + int(code)
	case code == byte(CodeSignKey):
		return 3 + 32
	}
	return 3
}
