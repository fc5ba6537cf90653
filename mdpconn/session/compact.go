package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"mesh.example/msp/mdpconn/overlay"
)

// An ItemKind is what an item in a compact packet is.
type ItemKind byte

// Kinds of items (§11).
const (
	Padding       ItemKind = 0
	Datagram      ItemKind = 1
	DatagramToEnd ItemKind = 2
	Ping          ItemKind = 3
	Pong          ItemKind = 4
	Close         ItemKind = 5
)

// TokenSize is the length of what a ping carries and a pong gives back.
const TokenSize = 8

// String gives the kind's name.
func (k ItemKind) String() string {
	switch k {
	case Padding:
		return "padding"
	case Datagram, DatagramToEnd:
		return "datagram"
	case Ping:
		return "ping"
	case Pong:
		return "pong"
	case Close:
		return "close"
	}
	return fmt.Sprintf("item(%d)", byte(k))
}

// An Item is one piece of the plaintext of a compact packet.
type Item struct {
	Kind  ItemKind
	Ports overlay.Ports // of datagrams; they pass Ports.Check
	Data  []byte        // of datagrams, and the token of ping and pong; aliases the packet
}

// String gives the item on one line.
func (i Item) String() string {
	switch i.Kind {
	case Datagram, DatagramToEnd:
		return fmt.Sprintf("datagram %v %d bytes", i.Ports, len(i.Data))
	case Ping, Pong:
		return fmt.Sprintf("%v %x", i.Kind, i.Data)
	case Padding:
		return fmt.Sprintf("padding %d bytes", len(i.Data))
	}
	return i.Kind.String()
}

// Items reads the plaintext of a compact packet item by item. A plaintext
// without items is allowed.
type Items struct {
	rest []byte
	err  error
}

// NewItems gives a reader over plaintext.
func NewItems(plaintext []byte) Items { return Items{rest: plaintext} }

var (
	errShortItem = errors.New("session: item is cut off")
	errPadding   = errors.New("session: padding is not zero")
)

// Next reads an item into *item and reports whether there was one. It does not
// allocate, save for errors.
func (r *Items) Next(item *Item) bool {
	if r.err != nil || len(r.rest) == 0 {
		return false
	}
	b := r.rest[1:]
	*item = Item{Kind: ItemKind(r.rest[0])}
	switch item.Kind {
	case Padding:
		item.Data, b = b, nil
		for _, c := range item.Data {
			if c != 0 {
				return r.fail(errPadding)
			}
		}
	case Datagram, DatagramToEnd:
		var err error
		if b, err = item.parseDatagram(b); err != nil {
			return r.fail(err)
		}
	case Ping, Pong:
		if len(b) < TokenSize {
			return r.fail(errShortItem)
		}
		item.Data, b = b[:TokenSize], b[TokenSize:]
	case Close:
	default:
		return r.fail(fmt.Errorf("session: item of type %d, expected 0 to 5", byte(item.Kind)))
	}
	r.rest = b
	return true
}

func (i *Item) parseDatagram(b []byte) (rest []byte, err error) {
	if i.Ports, b, err = overlay.ParsePorts(b); err != nil {
		return nil, err
	}
	if err := i.Ports.Check(); err != nil {
		return nil, err
	}
	if i.Kind == DatagramToEnd {
		i.Data = b
		return nil, nil
	}
	n, b, ok := parseVarint(b)
	if !ok || n > uint64(len(b)) {
		return nil, errShortItem
	}
	i.Data = b[:n]
	return b[n:], nil
}

func (r *Items) fail(err error) bool {
	r.err, r.rest = err, nil
	return false
}

// Err tells why Next ended, nil at the end of the packet. What was read before
// counts (MSX-11.1).
func (r *Items) Err() error { return r.err }

// String gives the items that are left, on one line.
func (r Items) String() string {
	var parts []string
	for item := (Item{}); r.Next(&item); {
		parts = append(parts, item.String())
	}
	if r.err != nil {
		parts = append(parts, r.err.Error())
	}
	if len(parts) == 0 {
		return "empty"
	}
	return strings.Join(parts, ", ")
}

// AppendDatagram appends a datagram behind which others may follow. Errors are
// those of [overlay.Ports.Check]; dst is then as it was.
func AppendDatagram(dst []byte, p overlay.Ports, data []byte) ([]byte, error) {
	b, err := overlay.AppendPorts(append(dst, byte(Datagram)), p)
	if err != nil {
		return dst, err
	}
	return append(appendVarint(b, uint64(len(data))), data...), nil
}

// AppendDatagramToEnd appends a datagram behind which nothing may follow.
// Errors as in AppendDatagram.
func AppendDatagramToEnd(dst []byte, p overlay.Ports, data []byte) ([]byte, error) {
	b, err := overlay.AppendPorts(append(dst, byte(DatagramToEnd)), p)
	if err != nil {
		return dst, err
	}
	return append(b, data...), nil
}

// AppendPing appends a ping.
func AppendPing(dst []byte, token [TokenSize]byte) []byte {
	return append(append(dst, byte(Ping)), token[:]...)
}

// AppendPong appends the answer to a ping.
func AppendPong(dst []byte, token [TokenSize]byte) []byte {
	return append(append(dst, byte(Pong)), token[:]...)
}

// AppendClose appends a close.
func AppendClose(dst []byte) []byte { return append(dst, byte(Close)) }

// AppendPadding appends n zero bytes, behind which nothing may follow. They are
// an item of padding.
func AppendPadding(dst []byte, n int) []byte {
	for ; n > 0; n-- {
		dst = append(dst, byte(Padding))
	}
	return dst
}

// The notice that a session id is unknown (MSX-11.3).
const (
	unknownByte = 0x4e
	UnknownSize = 5
)

// AppendUnknown appends the notice about id.
func AppendUnknown(dst []byte, id uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, unknownByte), id)
}

// ParseUnknown reads a notice. ok is false for what is none.
func ParseUnknown(packet []byte) (id uint32, ok bool) {
	if len(packet) != UnknownSize || packet[0] != unknownByte {
		return 0, false
	}
	return binary.BigEndian.Uint32(packet[1:]), true
}
