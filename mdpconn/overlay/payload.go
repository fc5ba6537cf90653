package overlay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"strings"
)

// PayloadFlags are the flags of a payload header (docs/overlay.md §5).
type PayloadFlags byte

// Payload flags. 0x08 is sent as zero, and ignored.
const (
	SenderSame  PayloadFlags = 0x01 // the source is the sender of the packet
	ToBroadcast PayloadFlags = 0x02 // there is no destination
	OneHop      PayloadFlags = 0x04 // not to be forwarded; no next hop and no TTL
	Ciphered    PayloadFlags = 0x10 // only together with Signed: authenticated encryption
	Signed      PayloadFlags = 0x20
	AckSoon     PayloadFlags = 0x40 // will be sent again unless acknowledged soon
	LegacyType  PayloadFlags = 0x80 // the type is present: it is not TypeData

	knownPayloadFlags = SenderSame | ToBroadcast | OneHop | Ciphered | Signed | AckSoon | LegacyType
)

// String gives the names, joined by |.
func (f PayloadFlags) String() string {
	return flagString(byte(f), "SENDER_SAME", "TO_BROADCAST", "ONE_HOP", "", "CIPHERED", "SIGNED", "ACK_SOON", "LEGACY_TYPE")
}

// Mode gives the protection of the body. Two combinations do not exist: CIPHERED
// alone, and CIPHERED with TO_BROADCAST, which ends a stock servald when sent
// with SIGNED (docs/overlay.md §6.2, §6.5, §11).
func (f PayloadFlags) Mode() (Mode, error) {
	switch f & (Ciphered | Signed | ToBroadcast) {
	case 0, ToBroadcast:
		return ModePlain, nil
	case Signed, Signed | ToBroadcast:
		return ModeSigned, nil
	case Ciphered | Signed:
		return ModeCiphered, nil
	}
	return 0, fmt.Errorf("overlay: payload flags %v: CIPHERED goes with SIGNED, and without TO_BROADCAST", f)
}

// A Type is the type of a payload (docs/overlay.md §5).
type Type byte

// Types of payloads. Others are to be ignored.
const (
	TypeData    Type = 0x30 // everything with ports
	TypeExplain Type = 0x60 // please-explain
	TypeRhizome Type = 0x50 // Rhizome advertisement
)

// String gives a name, or the number.
func (t Type) String() string {
	switch t {
	case TypeData:
		return "data"
	case TypeExplain:
		return "explain"
	case TypeRhizome:
		return "rhizome"
	}
	return fmt.Sprintf("type(%#02x)", byte(t))
}

// Queues, as they stand in two bits of a header (docs/overlay.md §10).
const (
	QueueVoice      = 0 // isochronous voice
	QueueManagement = 1 // link state, explain, key map
	QueueVideo      = 2 // isochronous video
	QueueOrdinary   = 3
)

// MaxTTL is the highest TTL of a payload, in hops; the lowest is 1.
const MaxTTL = 31

// A Payload is one MDP frame of a packet (docs/overlay.md §5).
//
// For appending, SENDER_SAME and LEGACY_TYPE need not be given: they follow
// from Source and Type.
type Payload struct {
	Flags       PayloadFlags
	Source      Address // for appending, the zero Address is the sender of the packet
	Destination Address // absent with ToBroadcast
	NextHop     Address // absent with ToBroadcast or OneHop
	BroadcastID [8]byte // with ToBroadcast, without OneHop
	TTL         uint8   // hops, this one included; parsed: 1 with OneHop. Appended without OneHop: 1…31
	Queue       uint8   // 0…3; absent with OneHop
	Type        Type
	Seq         byte   // payload number; absent in version 0
	Body        []byte // parsed: aliases the packet
}

// Flooded tells if the payload is a broadcast with an id, to be relayed.
func (p *Payload) Flooded() bool { return p.Flags&(ToBroadcast|OneHop) == ToBroadcast }

// Remaining gives the TTL that is left for a relay and for the application:
// that on the wire less this hop. With 0 the payload is not forwarded.
func (p *Payload) Remaining() uint8 { return max(p.TTL, 1) - 1 }

// Addresses gives the addresses of the header that are on the wire.
func (p *Payload) Addresses() iter.Seq[Address] {
	return func(yield func(Address) bool) {
		for _, a := range [...]*Address{&p.Source, &p.Destination, &p.NextHop} {
			if a.Wire != nil && !yield(*a) {
				return
			}
		}
	}
}

// Check tells why a parsed payload cannot be used: an address in its header
// that does not resolve, or flags that do not exist together.
// It uses up its payload number all the same (docs/overlay.md §4.3).
func (p *Payload) Check() error {
	if !p.Source.Resolved() {
		return fmt.Errorf("overlay: source %v", p.Source)
	}
	if p.Flags&ToBroadcast == 0 {
		if !p.Destination.Resolved() {
			return fmt.Errorf("overlay: destination %v", p.Destination)
		}
		if p.Flags&OneHop == 0 && !p.NextHop.Resolved() {
			return fmt.Errorf("overlay: next hop %v", p.NextHop)
		}
	}
	_, err := p.Flags.Mode()
	return err
}

// String gives the payload on one line, without the content of its body.
func (p Payload) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v #%d %v→", p.Type, p.Seq, p.Source)
	if p.Flags&ToBroadcast != 0 {
		b.WriteByte('*')
	} else {
		b.WriteString(p.Destination.String())
	}
	switch {
	case p.Flags&OneHop != 0:
	case p.Flags&ToBroadcast != 0:
		fmt.Fprintf(&b, " id %x", p.BroadcastID)
	default:
		fmt.Fprintf(&b, " via %v", p.NextHop)
	}
	if p.Flags&OneHop == 0 {
		fmt.Fprintf(&b, " ttl %d queue %d", p.TTL, p.Queue)
	}
	fmt.Fprintf(&b, " %v %d bytes", p.Flags, len(p.Body))
	return b.String()
}

var errShortPayload = errors.New("overlay: payload header is cut off")

// parsePayload parses the payload at the start of b.
func parsePayload(b []byte, p *Payload, ctx *Context) (rest []byte, err error) {
	*p = Payload{Flags: PayloadFlags(b[0]), TTL: 1, Type: TypeData}
	if b, err = p.parseAddresses(b[1:], ctx); err != nil {
		return nil, err
	}
	if p.Flags&OneHop == 0 {
		if len(b) == 0 {
			return nil, errShortPayload
		}
		p.TTL, p.Queue, b = b[0]&0x1f, b[0]>>5&3, b[1:]
	}
	if p.Flags&LegacyType != 0 {
		if len(b) == 0 {
			return nil, errShortPayload
		}
		p.Type, b = Type(b[0]), b[1:]
	}
	if ctx.version >= 1 {
		if len(b) == 0 {
			return nil, errShortPayload
		}
		p.Seq, b = b[0], b[1:]
	}
	n := len(b)
	if ctx.encapsulation == Overlay {
		if len(b) < 2 {
			return nil, errShortPayload
		}
		n, b = int(binary.BigEndian.Uint16(b)), b[2:]
		if n > len(b) {
			return nil, fmt.Errorf("overlay: body of %d bytes, but %d are left in the packet", n, len(b))
		}
	}
	p.Body = b[:n:n]
	return b[n:], nil
}

// parseAddresses parses what stands between the flags and the TTL.
func (p *Payload) parseAddresses(b []byte, ctx *Context) (rest []byte, err error) {
	if p.Flags&SenderSame != 0 {
		p.Source = Address{SID: ctx.sender, State: Resolved}
		if ctx.sender == (SID{}) {
			p.Source.State = NoContext
		}
	} else if p.Source, b, err = ParseAddress(b, ctx); err != nil {
		return nil, err
	}
	if p.Flags&ToBroadcast != 0 {
		if p.Flags&OneHop != 0 {
			return b, nil
		}
		if len(b) < len(p.BroadcastID) {
			return nil, errShortPayload
		}
		return b[copy(p.BroadcastID[:], b):], nil
	}
	if p.Destination, b, err = ParseAddress(b, ctx); err != nil {
		return nil, err
	}
	if p.Flags&OneHop == 0 {
		if p.NextHop, b, err = ParseAddress(b, ctx); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// AppendPayload appends a payload with its body, which for data is complete:
// see [SealBody], [SignBody], [AppendPorts]. ctx is the one that
// [AppendEnvelope] began. Errors: illegal flags or values, an address that
// cannot be written, a data body that may not be sent, one of more than
// [MaxBody] bytes, a second payload in a SINGLE packet.
func AppendPayload(dst []byte, p *Payload, ctx *Context) ([]byte, error) {
	mode, err := p.check()
	if err != nil {
		return dst, err
	}
	switch p.Type {
	case TypeData:
		err = checkDataBody(mode, p.Body)
	case TypeExplain:
		err = checkExplain(p.Body)
	}
	if err != nil {
		return dst, err
	}
	b, err := p.appendHeader(dst, len(p.Body), ctx)
	if err != nil {
		return dst, err
	}
	return append(b, p.Body...), nil
}

// AppendSealedPayload is AppendPayload for a ciphered data payload whose body
// is sealed in place, as by [SealBody]. p.Body does not count; CIPHERED and
// SIGNED need not be given.
func AppendSealedPayload(dst []byte, p *Payload, ctx *Context, key *[32]byte, nonce *[NonceLen]byte, plaintext []byte) ([]byte, error) {
	q := *p
	q.Flags |= Ciphered | Signed
	if _, err := q.check(); err != nil {
		return dst, err
	}
	if q.Type != TypeData {
		return dst, fmt.Errorf("overlay: payload of type %v: only data is ciphered", q.Type)
	}
	before := *ctx
	b, err := q.appendHeader(dst, SealOverhead+len(plaintext), ctx)
	if err != nil {
		return dst, err
	}
	if b, err = SealBody(b, key, nonce, plaintext); err != nil {
		*ctx = before
		return dst, err
	}
	return b, nil
}

// check refuses what may not be appended, addresses and body left aside.
func (p *Payload) check() (Mode, error) {
	if p.Flags&^knownPayloadFlags != 0 {
		return 0, fmt.Errorf("overlay: payload flags %v: unknown bits", p.Flags)
	}
	mode, err := p.Flags.Mode()
	if err != nil {
		return 0, err
	}
	switch {
	case p.Type == 0:
		return 0, errors.New("overlay: payload of type 0: want TypeData or another")
	case p.Type == TypeExplain && mode != ModePlain:
		return 0, fmt.Errorf("overlay: please-explain with flags %v: want it plain", p.Flags)
	case p.Flags&OneHop == 0 && (p.TTL < 1 || p.TTL > MaxTTL):
		return 0, fmt.Errorf("overlay: TTL %d: want 1…%d", p.TTL, MaxTTL)
	case p.Flags&OneHop == 0 && p.Queue > 3:
		return 0, fmt.Errorf("overlay: queue %d: want 0…3", p.Queue)
	}
	return mode, nil
}

// checkDataBody refuses a complete body that may not be sent.
func checkDataBody(mode Mode, body []byte) error {
	switch mode {
	case ModeCiphered:
		if len(body) >= MinSessionBody && body[0] == SessionBody {
			return nil
		}
		if _, err := Nonce(body); err != nil {
			return err
		}
		if len(body) < SealOverhead+2 { // the shortest ports, and one byte
			return errNoData
		}
		return nil
	case ModeSigned:
		plaintext, _, err := SplitSigned(body)
		if err != nil {
			return err
		}
		return checkPlaintext(plaintext, MaxSigned)
	}
	return checkPlaintext(body, MaxBody)
}

// appendHeader appends the header of a payload that was checked, for a body of
// n bytes. On error ctx is as it was.
func (p *Payload) appendHeader(dst []byte, n int, ctx *Context) ([]byte, error) {
	if n > MaxBody {
		return dst, fmt.Errorf("overlay: body of %d bytes: want at most %d", n, MaxBody)
	}
	if ctx.full || ctx.encapsulation == 0 {
		return dst, errors.New("overlay: payload without envelope, or a second one in a SINGLE packet")
	}
	c := *ctx
	b := append(dst, byte(p.wireFlags(&c)))
	b, err := p.appendAddresses(b, &c)
	if err != nil {
		return dst, err
	}
	if p.Flags&OneHop == 0 {
		b = append(b, p.TTL|p.Queue<<5)
	}
	if p.Type != TypeData {
		b = append(b, byte(p.Type))
	}
	if c.version >= 1 {
		b = append(b, p.Seq)
	}
	if c.encapsulation == Overlay {
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	c.full = c.encapsulation == Single
	*ctx = c
	return b, nil
}

// wireFlags gives the flags with those that follow from other fields.
func (p *Payload) wireFlags(ctx *Context) PayloadFlags {
	f := p.Flags &^ (SenderSame | LegacyType)
	if p.Source.SID == (SID{}) || p.Source.SID == ctx.sender {
		f |= SenderSame
	}
	if p.Type != TypeData {
		f |= LegacyType
	}
	return f
}

// appendAddresses appends what stands between the flags and the TTL.
func (p *Payload) appendAddresses(b []byte, ctx *Context) ([]byte, error) {
	var err error
	if p.wireFlags(ctx)&SenderSame == 0 {
		if b, err = AppendAddress(b, p.Source, ctx); err != nil {
			return nil, fmt.Errorf("%w (source)", err)
		}
	} else if !p.Source.Resolved() && (p.Source.Wire != nil || p.Source.State != Unknown) {
		// A relay must not take the place of a source that it does not know.
		return nil, fmt.Errorf("overlay: source %v: want it resolved", p.Source)
	}
	if p.Flags&ToBroadcast != 0 {
		if p.Flags&OneHop == 0 {
			b = append(b, p.BroadcastID[:]...)
		}
		return b, nil
	}
	if b, err = AppendAddress(b, p.Destination, ctx); err != nil {
		return nil, fmt.Errorf("%w (destination)", err)
	}
	if p.Flags&OneHop == 0 {
		if b, err = AppendAddress(b, p.NextHop, ctx); err != nil {
			return nil, fmt.Errorf("%w (next hop)", err)
		}
	}
	return b, nil
}
