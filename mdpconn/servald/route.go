package servald

import (
	"bytes"
	"errors"
	"fmt"
)

// Reach says how the daemon reaches a SID (§7.1).
type Reach byte

const (
	Unreachable Reach = 0
	Self        Reach = 1
	ByBroadcast Reach = 2 // a neighbour
	ByUnicast   Reach = 4 // a neighbour
	Indirect    Reach = 8
)

// String gives the reach in a word.
func (r Reach) String() string {
	switch r {
	case Unreachable:
		return "unreachable"
	case Self:
		return "self"
	case ByBroadcast:
		return "broadcast"
	case ByUnicast:
		return "unicast"
	case Indirect:
		return "indirect"
	}
	return fmt.Sprintf("%#x", byte(r))
}

// A Route is one record of the daemon's route table, or one change of it (§7.1).
type Route struct {
	SID       SID
	Combined  bool      // SID and signing key are of one seed
	SignKey   *[32]byte // nil if it is not known
	Reach     Reach
	Hops      int        // 0 for an own identity
	NextHop   SID        // if Hops > 1
	LastHop   SID        // the SID before the last hop, if Hops > 2
	Interface *Interface // nil if there is none to tell
}

// An Interface is one of the daemon's.
type Interface struct {
	Index byte
	Up    bool
	Name  string
}

const (
	idSignKey  = 1
	idCombined = 2
)

var errShortRoute = errors.New("servald: route record cut short")

// fields takes a record apart. After the end of it everything is zero.
type fields struct {
	rest  []byte
	short bool
}

func (f *fields) byte() byte {
	if len(f.rest) == 0 {
		f.short = true
		return 0
	}
	b := f.rest[0]
	f.rest = f.rest[1:]
	return b
}

func (f *fields) key() (k [32]byte) {
	if len(f.rest) < len(k) {
		f.rest, f.short = nil, true
		return k
	}
	f.rest = f.rest[copy(k[:], f.rest):]
	return k
}

// text takes what ends with a NUL.
func (f *fields) text() string {
	text, rest, ended := bytes.Cut(f.rest, []byte{0})
	f.rest = rest
	f.short = f.short || !ended
	return string(text)
}

// ParseRoute decodes the payload of a route message. What is behind the record
// is ignored.
func ParseRoute(b []byte) (Route, error) {
	f := fields{rest: b}
	r := Route{SID: f.key()}
	flags := f.byte()
	r.Combined = flags&idCombined != 0
	if flags&idSignKey != 0 {
		key := f.key()
		r.SignKey = &key
	}
	r.Reach = Reach(f.byte())
	if len(f.rest) > 0 || r.Reach != Unreachable && r.Reach != Self {
		r.parseWay(&f)
	}
	if f.short {
		return Route{}, errShortRoute
	}
	return r, nil
}

// parseWay decodes how the SID is reached.
func (r *Route) parseWay(f *fields) {
	r.Hops = int(f.byte())
	if r.Hops > 1 {
		r.NextHop = f.key()
	}
	if r.Hops > 2 {
		r.LastHop = f.key()
	}
	if r.Hops <= 1 {
		r.Interface = &Interface{Index: f.byte(), Up: f.byte() != 0, Name: f.text()}
	}
}

// Append appends the encoding of r, for what plays the daemon in a test. Hops
// has to fit into a byte, and the name has no NUL.
func (r *Route) Append(dst []byte) []byte {
	dst = append(dst, r.SID[:]...)
	var flags byte
	if r.SignKey != nil {
		flags |= idSignKey
	}
	if r.Combined {
		flags |= idCombined
	}
	dst = append(dst, flags)
	if r.SignKey != nil {
		dst = append(dst, r.SignKey[:]...)
	}
	dst = append(dst, byte(r.Reach))
	if r.Hops == 0 && r.Interface == nil {
		return dst
	}
	dst = append(dst, byte(r.Hops))
	if r.Hops > 1 {
		dst = append(dst, r.NextHop[:]...)
	}
	if r.Hops > 2 {
		dst = append(dst, r.LastHop[:]...)
	}
	if r.Hops <= 1 {
		i := r.Interface
		if i == nil {
			i = new(Interface)
		}
		up := byte(0)
		if i.Up {
			up = 1
		}
		dst = append(dst, i.Index, up)
		dst = append(dst, i.Name...)
		dst = append(dst, 0)
	}
	return dst
}

// String decodes r on one line.
func (r *Route) String() string {
	s := fmt.Sprintf("%X… %v hops=%d", r.SID[:4], r.Reach, r.Hops)
	switch {
	case r.Hops > 1:
		s += fmt.Sprintf(" via %X…", r.NextHop[:4])
	case r.Interface != nil:
		s += fmt.Sprintf(" on %q", r.Interface.Name)
	}
	return s
}
