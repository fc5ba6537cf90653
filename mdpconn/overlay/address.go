package overlay

import (
	"bytes"
	"errors"
	"fmt"
)

// A Code is the first byte of an address (docs/overlay.md §4). Codes 1…31 say
// that as many leading bytes of a SID follow.
type Code byte

// Codes of addresses. All others, 0 among them, are illegal on the wire.
const (
	CodeSID      Code = 32   // a complete SID follows
	CodeSignKey  Code = 0xfb // the sign key of a combined identity follows, 32 bytes
	CodeP2PMe    Code = 0xfc // the transmitter, on a point-to-point link
	CodeP2PYou   Code = 0xfd // the receiver, on a point-to-point link
	CodePrevious Code = 0xfe // the address resolved last in this context
	CodeSelf     Code = 0xff // the sender of the packet, or the source of the link-state message
)

// size gives how many bytes follow the code, or -1 for an illegal code.
func (c Code) size() int {
	switch {
	case c >= 1 && c <= CodeSID:
		return int(c)
	case c == CodeSignKey:
		return 32
	case c >= CodeP2PMe:
		return 0
	}
	return -1
}

// abbreviated tells if the code is one of 1…31.
func (c Code) abbreviated() bool { return c >= 1 && c < CodeSID }

// String gives the name used in docs/overlay.md §4.
func (c Code) String() string {
	switch {
	case c.abbreviated():
		return fmt.Sprintf("ABBREV(%d)", byte(c))
	case c == CodeSID:
		return "FULL"
	case c == CodeSignKey:
		return "SIGNKEY"
	case c == CodeP2PMe:
		return "P2P_ME"
	case c == CodeP2PYou:
		return "P2P_YOU"
	case c == CodePrevious:
		return "PREVIOUS"
	case c == CodeSelf:
		return "SELF"
	}
	return fmt.Sprintf("ILLEGAL(%#02x)", byte(c))
}

// A Resolution says what became of an address while parsing.
type Resolution uint8

// Resolutions. Only with Resolved does the SID of an address mean anything.
const (
	Unknown   Resolution = iota // no known SID starts so
	Resolved                    // the SID is known
	Ambiguous                   // several known SIDs start so
	Refused                     // the SID or sign key fails SID.Check or SIDFromSignKey
	NoContext                   // a reference to nothing: P2P codes elsewhere, SELF without sender, PREVIOUS without previous
)

// String gives the resolution as one word.
func (r Resolution) String() string {
	switch r {
	case Unknown:
		return "unknown"
	case Resolved:
		return "resolved"
	case Ambiguous:
		return "ambiguous"
	case Refused:
		return "refused"
	case NoContext:
		return "no-context"
	}
	return fmt.Sprintf("resolution(%d)", uint8(r))
}

// A Resolver finds the SID behind an abbreviation among all that the receiver
// has ever heard of (docs/overlay.md §4.1). It answers Resolved with the SID,
// Unknown or Ambiguous. The prefix is 1 to 31 bytes, valid during the call only.
type Resolver interface {
	Resolve(prefix []byte) (SID, Resolution)
}

// A KeyResolver is a Resolver that sign keys are left to as well: it may remember
// what [SIDFromSignKey] gave, and refuse to work out more than so many. It answers
// Resolved with the SID, Refused, or Unknown if it did not try.
type KeyResolver interface {
	Resolver
	ResolveSignKey(key [32]byte) (SID, Resolution)
}

// resolveSignKey finds the SID of a sign key, which is 32 bytes.
func resolveSignKey(key []byte, r Resolver) (SID, Resolution) {
	if k, ok := r.(KeyResolver); ok {
		return k.ResolveSignKey([32]byte(key))
	}
	sid, err := SIDFromSignKey(key)
	if err != nil {
		return SID{}, Refused
	}
	return sid, Resolved
}

// SIDs is a Resolver over a few SIDs, which it tries one by one.
type SIDs []SID

// Resolve implements [Resolver].
func (s SIDs) Resolve(prefix []byte) (SID, Resolution) {
	found := -1
	for i := range s {
		if !bytes.HasPrefix(s[i][:], prefix) {
			continue
		}
		if found >= 0 && s[i] != s[found] {
			return SID{}, Ambiguous
		}
		found = i
	}
	if found < 0 {
		return SID{}, Unknown
	}
	return s[found], Resolved
}

// A Context is what addresses refer to (docs/overlay.md §4.1). There is one per
// packet, begun by [Packet.Parse] or [AppendEnvelope]; link-state, trace and
// STUN bodies have fresh ones. The zero Context is one without a resolver on an
// ordinary link. It may be copied to return to a point.
type Context struct {
	// Resolver finds abbreviated SIDs. If nil, all of them are Unknown. Sign
	// keys are left to it if it is a KeyResolver. Not used for appending.
	Resolver Resolver

	// Transmitter and Receiver are the primary SIDs of the two ends of a
	// point-to-point link, as of this packet; zero on all other links
	// (docs/overlay.md §4.4). With one of them zero its code is neither
	// understood nor written; version 0 packets never have them.
	Transmitter, Receiver SID

	sender        SID // zero if none
	previous      SID // zero if none
	version       byte
	encapsulation Encapsulation
	full          bool // a SINGLE packet has its payload
}

// BodyContext gives the context for a link-state message of source: SELF is
// source, PREVIOUS is nothing.
func BodyContext(source SID, r Resolver) Context {
	return Context{Resolver: r, sender: source}
}

// transmitter and receiver hold what P2P codes may stand for.
func (c *Context) p2p() (transmitter, receiver SID) {
	if c.version == 0 {
		return SID{}, SID{}
	}
	return c.Transmitter, c.Receiver
}

// An Address names an identity in a packet.
//
// For appending, SID says who and Code how. The zero Code writes the shortest
// form that needs no knowledge of the receiver: P2P_YOU, P2P_ME, SELF or
// PREVIOUS, tested in this order, or else the complete SID. A Code of 1…31 does
// the same, but with as many bytes of the SID in the end. CodeSID always writes
// the complete SID, CodeSignKey the key in Wire[1:], which has to be that of
// SID. The other codes act as zero, so that a parsed address may be appended in
// a different context.
type Address struct {
	Code  Code
	Wire  []byte // as parsed, the code first; aliases the input; nil if not on the wire (SENDER_SAME)
	SID   SID    // zero if not resolved
	State Resolution
}

// To gives an Address that is appended in the shortest form safe with
// any receiver.
func To(sid SID) Address { return Address{SID: sid, State: Resolved} }

// Resolved tells if the SID is known.
func (a *Address) Resolved() bool { return a.State == Resolved }

// String gives the SID's first bytes, or the wire bytes and why they do not
// resolve.
func (a Address) String() string {
	if a.State == Resolved {
		return a.SID.short()
	}
	return fmt.Sprintf("?%x(%v)", a.Wire, a.State)
}

var errShortAddress = errors.New("overlay: address is cut off")

// ParseAddress parses one address at the start of b, resolves it in ctx, and
// returns the bytes behind it. An address that does not resolve is no error:
// its State tells why. Errors are an illegal code, and too few bytes; then ctx
// is as before.
//
// It differs from stock in one point: after an address that does not resolve,
// PREVIOUS has nothing to refer to. The one who wrote PREVIOUS meant that
// address, and not one before it.
func ParseAddress(b []byte, ctx *Context) (a Address, rest []byte, err error) {
	if len(b) == 0 {
		return Address{}, nil, errShortAddress
	}
	a.Code = Code(b[0])
	n := a.Code.size()
	if n < 0 {
		return Address{}, nil, fmt.Errorf("overlay: address code %#02x: want 1…32 or 0xfb…0xff", b[0])
	}
	if len(b) < 1+n {
		return Address{}, nil, errShortAddress
	}
	a.Wire = b[: 1+n : 1+n]
	a.SID, a.State = ctx.resolve(a.Code, a.Wire[1:])
	if a.State != Resolved {
		a.SID = SID{}
	}
	ctx.previous = a.SID
	return a, b[1+n:], nil
}

// resolve finds what a legal code and its bytes stand for.
func (c *Context) resolve(code Code, b []byte) (SID, Resolution) {
	transmitter, receiver := c.p2p()
	var ref SID
	switch {
	case code.abbreviated():
		if c.Resolver == nil {
			return SID{}, Unknown
		}
		return c.Resolver.Resolve(b)
	case code == CodeSID:
		if SID(b).Check() != nil {
			return SID{}, Refused
		}
		return SID(b), Resolved
	case code == CodeSignKey:
		return resolveSignKey(b, c.Resolver)
	case code == CodeP2PMe:
		ref = transmitter
	case code == CodeP2PYou:
		ref = receiver
	case code == CodePrevious:
		ref = c.previous
	case code == CodeSelf:
		ref = c.sender
	}
	if ref == (SID{}) {
		return SID{}, NoContext
	}
	return ref, Resolved
}

// AppendAddress appends a, in the form that a.Code and ctx ask for, and notes
// it in ctx. Errors: a SID that does not pass [SID.Check], an illegal code, a
// sign key that is not that of the SID. A code of 0 is never written: it ends a
// stock servald (docs/overlay.md §11).
func AppendAddress(dst []byte, a Address, ctx *Context) ([]byte, error) {
	if a.Code != 0 && a.Code.size() < 0 {
		return dst, fmt.Errorf("overlay: address code %#02x: want 0 (any), 1…32 or 0xfb…0xff", byte(a.Code))
	}
	if a.Code != CodeSID && a.Code != CodeSignKey && a.SID != (SID{}) {
		transmitter, receiver := ctx.p2p()
		code := Code(0)
		switch a.SID {
		case receiver:
			code = CodeP2PYou
		case transmitter:
			code = CodeP2PMe
		case ctx.sender:
			code = CodeSelf
		case ctx.previous:
			code = CodePrevious
		}
		if code != 0 {
			ctx.previous = a.SID
			return append(dst, byte(code)), nil
		}
	}
	return appendSID(dst, a, ctx)
}

// appendSID appends a without reference to the context, but notes it there.
func appendSID(dst []byte, a Address, ctx *Context) ([]byte, error) {
	if err := a.SID.Check(); err != nil {
		return dst, err
	}
	switch {
	case a.Code == CodeSignKey:
		if len(a.Wire) != 33 {
			return dst, fmt.Errorf("overlay: address SIGNKEY of %v: %d bytes, want the code and 32", a.SID, len(a.Wire))
		}
		if sid, err := SIDFromSignKey(a.Wire[1:]); err != nil {
			return dst, err
		} else if sid != a.SID {
			return dst, fmt.Errorf("overlay: sign key %x is that of %v, want %v", a.Wire[1:], sid, a.SID)
		}
		dst = append(dst, byte(CodeSignKey))
		dst = append(dst, a.Wire[1:]...)
	case a.Code.abbreviated():
		dst = append(dst, byte(a.Code))
		dst = append(dst, a.SID[:a.Code]...)
	default:
		dst = append(dst, byte(CodeSID))
		dst = append(dst, a.SID[:]...)
	}
	ctx.previous = a.SID
	return dst, nil
}
