package overlay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// LinkFlags are the flags of a link-state record (docs/overlay.md §8.1).
type LinkFlags byte

// Link flags. The other bits are sent as zero, and ignored.
const (
	LinkInterface LinkFlags = 0x01 // HAS_INTERFACE
	LinkNoPath    LinkFlags = 0x02 // NO_PATH: no transmitter
	LinkBroadcast LinkFlags = 0x04 // heard by broadcast
	LinkUnicast   LinkFlags = 0x08 // heard by unicast
	LinkAck       LinkFlags = 0x10 // HAS_ACK
	LinkDropRate  LinkFlags = 0x20 // HAS_DROP_RATE

	knownLinkFlags = LinkInterface | LinkNoPath | LinkBroadcast | LinkUnicast | LinkAck | LinkDropRate
)

// String gives the names, joined by |.
func (f LinkFlags) String() string {
	return flagString(byte(f), "HAS_INTERFACE", "NO_PATH", "BROADCAST", "UNICAST", "HAS_ACK", "HAS_DROP_RATE")
}

const (
	// MaxLinkVersion is the highest version of a record that may be sent: stock
	// compares larger ones as signed. It sends 255 itself, with NO_PATH.
	MaxLinkVersion  = 127
	linkVersionNone = 255

	// NoPathDropRate is the drop rate that stock gives with NO_PATH.
	NoPathDropRate = 32

	// MaxLinkState is the length in bytes at which stock ends a link-state
	// message and begins another.
	MaxLinkState = 400
)

// A LinkRecord says that Receiver is heard from Transmitter. It is a link
// record if Receiver is the source of the message, otherwise an advertisement
// (docs/overlay.md §8).
type LinkRecord struct {
	Flags       LinkFlags
	Receiver    Address
	Version     byte
	Transmitter Address // absent with LinkNoPath
	Interface   byte    // with LinkInterface: of the transmitter
	Ack         Ack     // with LinkAck
	DropRate    byte    // with LinkDropRate
}

// Check tells why a parsed record cannot be used: an address that does not
// resolve.
func (r *LinkRecord) Check() error {
	if !r.Receiver.Resolved() {
		return fmt.Errorf("overlay: receiver %v", r.Receiver)
	}
	if r.Flags&LinkNoPath == 0 && !r.Transmitter.Resolved() {
		return fmt.Errorf("overlay: transmitter %v", r.Transmitter)
	}
	return nil
}

// String gives the record on one line.
func (r LinkRecord) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v v%d", r.Receiver, r.Version)
	if r.Flags&LinkNoPath == 0 {
		fmt.Fprintf(&b, " from %v", r.Transmitter)
	}
	fmt.Fprintf(&b, " %v", r.Flags)
	if r.Flags&LinkInterface != 0 {
		fmt.Fprintf(&b, " if %d", r.Interface)
	}
	if r.Flags&LinkAck != 0 {
		fmt.Fprintf(&b, " %v", r.Ack)
	}
	if r.Flags&LinkDropRate != 0 {
		fmt.Fprintf(&b, " drop %d", r.DropRate)
	}
	return b.String()
}

// A LinkState reads the application data of a link-state message, port
// [PortLinkState], record by record.
type LinkState struct {
	data  []byte
	rest  []byte
	first Context
	ctx   Context
	err   error
}

// NewLinkState gives a reader over data. ctx is that of [BodyContext], with the
// source of the message.
func NewLinkState(data []byte, ctx Context) LinkState {
	return LinkState{data: data, rest: data, first: ctx, ctx: ctx}
}

var (
	errShortRecord = errors.New("overlay: link-state record is shorter than its fields")
	errLongRecord  = errors.New("overlay: link-state record is longer than the body")
)

// Next parses the next record and returns true, or returns false at the end
// and after an error. Bytes behind the known fields of a record are passed
// over; a length of 0 ends the list (docs/overlay.md §8.1). An address that
// does not resolve does not end the list: see [LinkRecord.Check].
func (l *LinkState) Next(r *LinkRecord) bool {
	if l.err != nil || len(l.rest) == 0 || l.rest[0] == 0 {
		return false
	}
	n := int(l.rest[0])
	if n > len(l.rest) {
		l.err = errLongRecord
		return false
	}
	l.err = r.parse(l.rest[1:n], &l.ctx)
	l.rest = l.rest[n:]
	return l.err == nil
}

// parse parses a record without its length.
func (r *LinkRecord) parse(b []byte, ctx *Context) (err error) {
	if len(b) == 0 {
		return errShortRecord
	}
	*r = LinkRecord{Flags: LinkFlags(b[0])}
	if r.Receiver, b, err = ParseAddress(b[1:], ctx); err != nil {
		return err
	}
	if len(b) == 0 {
		return errShortRecord
	}
	r.Version, b = b[0], b[1:]
	if r.Flags&LinkNoPath == 0 {
		if r.Transmitter, b, err = ParseAddress(b, ctx); err != nil {
			return err
		}
	}
	if r.Flags&LinkInterface != 0 {
		if len(b) == 0 {
			return errShortRecord
		}
		r.Interface, b = b[0], b[1:]
	}
	if r.Flags&LinkAck != 0 {
		if len(b) < 5 {
			return errShortRecord
		}
		r.Ack, b = Ack{Seq: b[0], Mask: binary.BigEndian.Uint32(b[1:])}, b[5:]
	}
	if r.Flags&LinkDropRate != 0 {
		if len(b) == 0 {
			return errShortRecord
		}
		r.DropRate = b[0]
	}
	return nil
}

// Err tells why Next stopped before the end; nil if it did not.
func (l *LinkState) Err() error { return l.err }

// String gives all records on one line, wherever Next stands.
func (l *LinkState) String() string {
	var b strings.Builder
	b.WriteString("linkstate")
	q := NewLinkState(l.data, l.first)
	for r, sep := (LinkRecord{}), " "; q.Next(&r); sep = "; " {
		b.WriteString(sep)
		b.WriteString(r.String())
	}
	if q.err != nil {
		b.WriteString(": " + q.err.Error())
	}
	return b.String()
}

// checkValues refuses numbers that stock misreads.
func (r *LinkRecord) checkValues() error {
	switch {
	case r.Version > MaxLinkVersion && !(r.Version == linkVersionNone && r.Flags&LinkNoPath != 0):
		return fmt.Errorf("overlay: link version %d: want 0…%d", r.Version, MaxLinkVersion)
	case r.Flags&LinkInterface != 0 && r.Interface > MaxInterface:
		return fmt.Errorf("overlay: interface %d: want 0…%d", r.Interface, MaxInterface)
	}
	return nil
}

// AppendLinkRecord appends one record. ctx is that of [BodyContext], with the
// source of the message, the same for all records of one message. Errors:
// unknown flags or both UNICAST and BROADCAST, a version above
// [MaxLinkVersion], save 255 with NO_PATH, an interface above [MaxInterface],
// an address that cannot be written.
func AppendLinkRecord(dst []byte, r *LinkRecord, ctx *Context) ([]byte, error) {
	switch {
	case r.Flags&^knownLinkFlags != 0:
		return dst, fmt.Errorf("overlay: link flags %v: unknown bits", r.Flags)
	case r.Flags&LinkUnicast != 0 && r.Flags&LinkBroadcast != 0:
		return dst, fmt.Errorf("overlay: link flags %v: want one of UNICAST and BROADCAST", r.Flags)
	}
	if err := r.checkValues(); err != nil {
		return dst, err
	}
	c := *ctx
	b, err := AppendAddress(append(dst, 0, byte(r.Flags)), r.Receiver, &c)
	if err != nil {
		return dst, fmt.Errorf("%w (receiver)", err)
	}
	b = append(b, r.Version)
	if r.Flags&LinkNoPath == 0 {
		if b, err = AppendAddress(b, r.Transmitter, &c); err != nil {
			return dst, fmt.Errorf("%w (transmitter)", err)
		}
	}
	if r.Flags&LinkInterface != 0 {
		b = append(b, r.Interface)
	}
	if r.Flags&LinkAck != 0 {
		b = append(b, r.Ack.Seq)
		b = binary.BigEndian.AppendUint32(b, r.Ack.Mask)
	}
	if r.Flags&LinkDropRate != 0 {
		b = append(b, r.DropRate)
	}
	b[len(dst)] = byte(len(b) - len(dst)) // at most 76
	*ctx = c
	return b, nil
}
