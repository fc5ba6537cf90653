package session

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// Sizes of hellos in bytes. A hello is padded to the least.
const (
	MinHello = 100
	MaxHello = 1024

	helloVersion  = 1
	helloHead     = 10 // version to session ids: what is mixed into the hash as it is
	helloOverhead = helloHead + keySize + tagSize
)

// HelloPort is the MDP port from which and to which hellos go (§9.1).
const HelloPort = 0x6d737031

// A HelloKind tells offers from answers.
type HelloKind byte

// Kinds of hellos.
const (
	OfferHello  HelloKind = 1
	AnswerHello HelloKind = 2
)

// String gives the kind's name.
func (k HelloKind) String() string {
	switch k {
	case OfferHello:
		return "offer"
	case AnswerHello:
		return "answer"
	}
	return fmt.Sprintf("hello(%d)", byte(k))
}

// A Hello is one message of the key agreement (§9.2).
type Hello struct {
	Kind      HelloKind
	ID        uint32 // at which its sender receives
	OfferID   uint32 // answer: the offer's ID
	Ephemeral [32]byte
	Sealed    []byte // the payload, enciphered; parsed: aliases the input
}

// ParseHello parses a hello. It checks nothing that needs a key.
func ParseHello(b []byte) (Hello, error) {
	if len(b) < MinHello || len(b) > MaxHello {
		return Hello{}, fmt.Errorf("session: hello of %d bytes, expected %d to %d", len(b), MinHello, MaxHello)
	}
	h := Hello{
		Kind:    HelloKind(b[1]),
		ID:      binary.BigEndian.Uint32(b[2:]),
		OfferID: binary.BigEndian.Uint32(b[6:]),
		Sealed:  b[helloHead+keySize:],
	}
	copy(h.Ephemeral[:], b[helloHead:])
	switch {
	case b[0] != helloVersion:
		return Hello{}, fmt.Errorf("session: hello of version %d, expected %d", b[0], helloVersion)
	case h.Kind != OfferHello && h.Kind != AnswerHello:
		return Hello{}, fmt.Errorf("session: hello of kind %d, expected 1 or 2", b[1])
	case h.ID == 0:
		return Hello{}, fmt.Errorf("session: %v with session id 0", h.Kind)
	case h.Kind == OfferHello && h.OfferID != 0:
		return Hello{}, fmt.Errorf("session: offer that answers %08x, expected 0", h.OfferID)
	case h.Kind == AnswerHello && h.OfferID == 0:
		return Hello{}, fmt.Errorf("session: answer to offer 0")
	}
	return h, nil
}

// AppendHello appends h, the inverse of ParseHello.
func AppendHello(dst []byte, h *Hello) []byte {
	dst = appendHelloHead(dst, h.Kind, h.ID, h.OfferID)
	dst = append(dst, h.Ephemeral[:]...)
	return append(dst, h.Sealed...)
}

func appendHelloHead(dst []byte, kind HelloKind, id, offerID uint32) []byte {
	dst = append(dst, helloVersion, byte(kind))
	dst = binary.BigEndian.AppendUint32(dst, id)
	return binary.BigEndian.AppendUint32(dst, offerID)
}

// String gives the hello on one line, without what is enciphered.
func (h Hello) String() string {
	s := fmt.Sprintf("%v id %08x", h.Kind, h.ID)
	if h.Kind == AnswerHello {
		s += fmt.Sprintf(" to %08x", h.OfferID)
	}
	return s + fmt.Sprintf(" e %x… %d bytes", h.Ephemeral[:4], helloHead+keySize+len(h.Sealed))
}

// A Payload is what a hello tells under encryption (§9.3).
type Payload struct {
	Boot int64 // when the node started, Unix time in µs
	Time int64 // when the offer or answer was made, Unix time in µs
	Capabilities
}

// Capabilities are what a node can do (§9.3). Zero values stand for what it
// cannot.
type Capabilities struct {
	AES      bool          // AES-256-GCM is quick here; see QuickAES
	ChaCha   bool          // ChaCha20-Poly1305, which everybody should have
	Compact  int           // largest UDP payload read in compact form, MinCompact…MaxCompact
	Large    int           // largest body in overlay packets to a neighbour, at most MaxLarge
	Liveness time.Duration // interval, MinLiveness…MaxLiveness, in whole ms
	ECN      bool          // marks of packets in compact form are read, and heeded
}

// Ranges of capabilities. Values beyond are taken as the nearest.
const (
	MinCompact  = 1200
	MaxCompact  = 65507 // the most that UDP carries over IPv4
	MaxLarge    = 65535
	MinLiveness = time.Second
	MaxLiveness = 10 * time.Minute
)

// Capability ids. 0 is padding.
const (
	capPadding  = 0
	capAES      = 1
	capChaCha   = 2
	capCompact  = 3
	capLarge    = 4
	capLiveness = 5
	capECN      = 6
)

// ParsePayload parses a payload. It skips capabilities it does not know; of one
// that is there twice the first counts, and what stands behind a value that it
// knows is ignored.
func ParsePayload(b []byte) (Payload, error) {
	if len(b) < 16 {
		return Payload{}, fmt.Errorf("session: hello payload of %d bytes, expected 16 at least", len(b))
	}
	p := Payload{Boot: int64(binary.BigEndian.Uint64(b)), Time: int64(binary.BigEndian.Uint64(b[8:]))}
	if p.Boot < 0 || p.Time < 0 {
		return Payload{}, fmt.Errorf("session: hello payload with boot %#x and time %#x, expected less than 2^63",
			uint64(p.Boot), uint64(p.Time))
	}
	var seen uint64
	for b = b[16:]; len(b) > 0; {
		id, rest, ok := parseVarint(b)
		if !ok {
			return Payload{}, errShortCapability
		}
		n, rest, ok := parseVarint(rest)
		if !ok || n > uint64(len(rest)) {
			return Payload{}, errShortCapability
		}
		value := rest[:n]
		b = rest[n:]
		if id < 64 && seen>>id&1 == 0 {
			seen |= 1 << id
			if err := p.set(id, value); err != nil {
				return Payload{}, err
			}
		}
	}
	return p, nil
}

var errShortCapability = fmt.Errorf("session: a hello's capability is cut off")

// set takes one capability.
func (c *Capabilities) set(id uint64, value []byte) error {
	switch id {
	case capAES:
		c.AES = true
		return nil
	case capChaCha:
		c.ChaCha = true
		return nil
	case capECN:
		c.ECN = true
		return nil
	case capCompact, capLarge, capLiveness:
	default:
		return nil
	}
	v, _, ok := parseVarint(value)
	if !ok {
		return fmt.Errorf("session: capability %d without its number", id)
	}
	switch id {
	case capCompact:
		c.Compact = int(min(max(v, MinCompact), MaxCompact))
	case capLarge:
		c.Large = int(min(v, MaxLarge))
	case capLiveness:
		ms := min(max(v, uint64(MinLiveness.Milliseconds())), uint64(MaxLiveness.Milliseconds()))
		c.Liveness = time.Duration(ms) * time.Millisecond
	}
	return nil
}

// AppendPayload appends p, its capabilities in the order of preference, and
// pads it so that the hello is not shorter than MinHello.
func AppendPayload(dst []byte, p *Payload) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.Boot))
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.Time))
	if p.AES {
		dst = append(dst, capAES, 0)
	}
	if p.ChaCha {
		dst = append(dst, capChaCha, 0)
	}
	if p.Compact > 0 {
		dst = appendNumber(dst, capCompact, uint64(min(max(p.Compact, MinCompact), MaxCompact)))
	}
	if p.Large > 0 {
		dst = appendNumber(dst, capLarge, uint64(min(p.Large, MaxLarge)))
	}
	if p.Liveness > 0 {
		interval := min(max(p.Liveness, MinLiveness), MaxLiveness)
		dst = appendNumber(dst, capLiveness, uint64(interval.Milliseconds()))
	}
	if p.ECN {
		dst = append(dst, capECN, 0)
	}
	if missing := MinHello - helloOverhead - (len(dst) - start); missing > 0 {
		n := max(missing-2, 0)
		dst = append(dst, capPadding, byte(n))
		dst = append(dst, make([]byte, n)...)
	}
	return dst
}

func appendNumber(dst []byte, id byte, v uint64) []byte {
	value := appendVarint(nil, v)
	return append(append(dst, id, byte(len(value))), value...)
}

// String gives the payload on one line.
func (p Payload) String() string {
	return fmt.Sprintf("boot %d time %d %v", p.Boot, p.Time, p.Capabilities)
}

// String gives the capabilities on one line.
func (c Capabilities) String() string {
	var parts []string
	if c.AES {
		parts = append(parts, "aes")
	}
	if c.ChaCha {
		parts = append(parts, "chacha")
	}
	if c.Compact > 0 {
		parts = append(parts, fmt.Sprintf("compact %d", c.Compact))
	}
	if c.Large > 0 {
		parts = append(parts, fmt.Sprintf("large %d", c.Large))
	}
	if c.Liveness > 0 {
		parts = append(parts, fmt.Sprintf("liveness %v", c.Liveness))
	}
	if c.ECN {
		parts = append(parts, "ecn")
	}
	if len(parts) == 0 {
		return "no capabilities"
	}
	return strings.Join(parts, " ")
}

// cipher gives the cipher that both have (§9.3).
func (c Capabilities) cipher(d Capabilities) (Cipher, error) {
	switch {
	case c.AES && d.AES:
		return AES256GCM, nil
	case c.ChaCha && d.ChaCha:
		return ChaCha20Poly1305, nil
	}
	return 0, fmt.Errorf("session: no cipher in common (%v; peer %v), expected ChaCha20-Poly1305 of everybody", c, d)
}
