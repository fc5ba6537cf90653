package mdpconn

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
)

// A listenError is that no UDP socket can be opened at an address. It unwraps to
// what the system says.
type listenError struct {
	bind string // the address as it was asked for
	err  error
	say  string // in place of err, if that is known to mean something
}

func (e *listenError) Error() string {
	if e.say != "" {
		return "mdpconn: no UDP socket on " + clip(e.bind) + e.say
	}
	return "mdpconn: no UDP socket on " + clip(e.bind) + ": " + e.err.Error()
}

func (e *listenError) Unwrap() error { return e.err }

// newListenError makes the error of a socket that was to be bound to addr.
func newListenError(bind string, addr netip.Addr, err error) error {
	e := &listenError{bind: bind, err: err}
	var op *net.OpError
	if errors.As(err, &op) {
		e.err = op.Err // which leaves out the address
	}
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		e.say = ", which is not an address of this host: expected " + allOf(addr) + " for all"
		if own := ownAddrs(addr.Is4()); len(own) > 0 {
			e.say += ", or one of " + strings.Join(own, ", ")
		}
	case errors.Is(err, syscall.EADDRINUSE):
		e.say = ", which another program has, or another node: take another port, or port 0 for any free one"
	}
	return e
}

// allOf gives how all addresses of a family are written.
func allOf(a netip.Addr) string {
	if a.Is4() {
		return "0.0.0.0"
	}
	return "[::]"
}

// ownAddrs gives some addresses of this host, of one family.
func ownAddrs(v4 bool) (own []string) {
	const most = 8
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().Is4() == v4 && !p.Addr().IsLinkLocalUnicast() && len(own) < most {
			own = append(own, p.Addr().String())
		}
	}
	return own
}
