package overlay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// A STUNEntry says where an identity is reached by UDP (docs/overlay.md §9).
type STUNEntry struct {
	Address  Address
	Endpoint netip.AddrPort // IPv4
}

// A STUN is the body of a message of port [PortSTUN].
type STUN []STUNEntry

var errShortSTUN = errors.New("overlay: STUN entry is cut off")

// ParseSTUN parses the application data of a STUN message. It allocates the
// list; addresses alias data.
func ParseSTUN(data []byte, r Resolver) (STUN, error) {
	ctx := Context{Resolver: r}
	var s STUN
	for len(data) > 0 {
		a, rest, err := ParseAddress(data, &ctx)
		if err != nil {
			return nil, err
		}
		if len(rest) < 6 {
			return nil, errShortSTUN
		}
		ip := netip.AddrFrom4([4]byte(rest))
		port := binary.BigEndian.Uint16(rest[4:])
		s = append(s, STUNEntry{Address: a, Endpoint: netip.AddrPortFrom(ip, port)})
		data = rest[6:]
	}
	return s, nil
}

// AppendSTUN appends the application data of a STUN message. Errors: an
// address that cannot be written, an endpoint that is not IPv4.
func AppendSTUN(dst []byte, s STUN) ([]byte, error) {
	b, ctx := dst, Context{}
	for _, e := range s {
		ip := e.Endpoint.Addr().Unmap()
		if !ip.Is4() {
			return dst, fmt.Errorf("overlay: STUN endpoint %v: want IPv4", e.Endpoint)
		}
		var err error
		if b, err = AppendAddress(b, e.Address, &ctx); err != nil {
			return dst, err
		}
		ip4 := ip.As4()
		b = append(b, ip4[:]...)
		b = binary.BigEndian.AppendUint16(b, e.Endpoint.Port())
	}
	return b, nil
}

// String gives the list on one line.
func (s STUN) String() string {
	var b strings.Builder
	b.WriteString("stun")
	for _, e := range s {
		fmt.Fprintf(&b, " %v@%v", e.Address, e.Endpoint)
	}
	return b.String()
}
