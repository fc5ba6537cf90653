package overlay

import (
	"errors"
	"fmt"
	"math/bits"
)

// MaxPort is the highest MDP port: the destination is shifted left by one bit
// on the wire, so that 31 bits remain (docs/overlay.md §1.3).
const MaxPort = 1<<31 - 1

// MaxPortsLen is the most bytes that AppendPorts writes.
const MaxPortsLen = 10

// Well-known ports (docs/overlay.md §1.3).
const (
	PortKeyMap           = 1
	PortLinkState        = 2
	PortSTUNRequest      = 4
	PortSTUN             = 5
	PortProbe            = 6
	PortEcho             = 7
	PortTrace            = 8
	PortDNALookup        = 10
	PortServiceDiscovery = 11
	PortNoReply          = 0x3f
)

// Ports begin the plaintext of a data payload (docs/overlay.md §6.1).
type Ports struct {
	Destination uint32 // at most MaxPort
	Source      uint32
}

// Check refuses ports outside 1…MaxPort. Stock can be made to send them as
// source, and an answer to them goes elsewhere (docs/overlay.md §1.3).
func (p Ports) Check() error {
	if p.Destination < 1 || p.Destination > MaxPort {
		return fmt.Errorf("overlay: destination port %d: want 1…%d", p.Destination, MaxPort)
	}
	if p.Source < 1 || p.Source > MaxPort {
		return fmt.Errorf("overlay: source port %d: want 1…%d", p.Source, MaxPort)
	}
	return nil
}

// Len gives how many bytes AppendPorts writes.
func (p Ports) Len() int {
	if p.Destination == p.Source {
		return varintLen(p.Destination<<1 | 1)
	}
	return varintLen(p.Destination<<1) + varintLen(p.Source)
}

// String gives source and destination.
func (p Ports) String() string { return fmt.Sprintf(":%d→:%d", p.Source, p.Destination) }

// ParsePorts splits a plaintext into ports and application data, which may be
// empty. It does not refuse the values that [Ports.Check] does.
func ParsePorts(plaintext []byte) (p Ports, data []byte, err error) {
	v, b, err := parseVarint(plaintext)
	if err != nil {
		return Ports{}, nil, err
	}
	p.Destination, p.Source = v>>1, v>>1
	if v&1 == 0 {
		if p.Source, b, err = parseVarint(b); err != nil {
			return Ports{}, nil, err
		}
	}
	return p, b, nil
}

// AppendPorts appends ports. Errors: those of [Ports.Check].
func AppendPorts(dst []byte, p Ports) ([]byte, error) {
	if err := p.Check(); err != nil {
		return dst, err
	}
	if p.Destination == p.Source {
		return appendVarint(dst, p.Destination<<1|1), nil
	}
	return appendVarint(appendVarint(dst, p.Destination<<1), p.Source), nil
}

var (
	errShortPorts = errors.New("overlay: ports are cut off")
	errLongPort   = errors.New("overlay: port varint has more than 32 bits")
)

func parseVarint(b []byte) (v uint32, rest []byte, err error) {
	for i, c := range b {
		if i == 4 && c > 0x0f {
			return 0, nil, errLongPort
		}
		v |= uint32(c&0x7f) << (7 * i)
		if c < 0x80 {
			return v, b[i+1:], nil
		}
	}
	return 0, nil, errShortPorts
}

func varintLen(v uint32) int { return max(1, (bits.Len32(v)+6)/7) }

func appendVarint(dst []byte, v uint32) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}
