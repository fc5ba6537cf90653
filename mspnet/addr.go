package mspnet

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"mesh.example/msp/mdpconn"
)

// network is the name of the network that this package dials and listens on.
const network = "msp"

// An Addr is one end of a connection, or a listener's address: an identity, an
// MDP port, and where known the UDP address at which the node is reached. It is
// comparable.
type Addr struct {
	mdpconn.Addr
	UDP netip.AddrPort // zero if there is none to tell
}

// Network returns "msp".
func (a Addr) Network() string { return network }

// String returns "SID:port" or "SID:port@host:port", fit for Dial.
func (a Addr) String() string {
	if !a.UDP.IsValid() {
		return a.Addr.String()
	}
	return a.Addr.String() + "@" + a.UDP.String()
}

// PeerSID returns the SID in an address of this package as text, which is what
// an http.Request has as its RemoteAddr. The peer has proven it: every
// packet is authenticated.
func PeerSID(remoteAddr string) (sid mdpconn.SID, ok bool) {
	text, _, _ := strings.Cut(remoteAddr, "@")
	a, err := mdpconn.ParseAddr(text)
	if err != nil || a.SID == mdpconn.Primary || a.SID == mdpconn.All {
		return mdpconn.SID{}, false
	}
	return a.SID, true
}

// target is the text of an address, taken apart.
type target struct {
	addr mdpconn.Addr
	udp  string // host:port, "" if not given
}

// parseDial takes "SID:port", with "@host:port" as a hint; ":port" is the node
// itself.
func parseDial(s string) (target, error) {
	text, udp, hinted := strings.Cut(s, "@")
	a, err := mdpconn.ParseAddr(text)
	if err != nil {
		return target{}, &net.AddrError{Err: err.Error(), Addr: s}
	}
	if a.Port == 0 || a.SID == mdpconn.All {
		return target{}, &net.AddrError{Err: "want SID:port with a port of 1 to 2147483647", Addr: s}
	}
	if hinted {
		if err := checkHostPort(udp); err != nil {
			return target{}, &net.AddrError{Err: err.Error(), Addr: s}
		}
	}
	return target{a, udp}, nil
}

// parseListen takes "SID:port", ":port" for the primary identity and "*:port"
// for all, each with "@host:port" as the UDP address to bind; "host:port" alone
// for any free MDP port there; and "" for any free port.
func parseListen(s string) (target, error) {
	if s == "" {
		return target{}, nil
	}
	text, udp, bound := strings.Cut(s, "@")
	a, err := mdpconn.ParseAddr(text)
	if err != nil && !bound && checkHostPort(s) == nil && !strings.HasPrefix(s, ":") && !looksLikeSID(s) {
		return target{udp: s}, nil
	}
	if err != nil {
		return target{}, &net.AddrError{Err: err.Error() + "; or host:port to bind UDP there", Addr: s}
	}
	if bound {
		if err := checkHostPort(udp); err != nil {
			return target{}, &net.AddrError{Err: err.Error(), Addr: s}
		}
	}
	return target{a, udp}, nil
}

// looksLikeSID reports whether the host of a host:port can only be meant as a
// SID: so many hex digits.
func looksLikeSID(s string) bool {
	host, _, _ := strings.Cut(s, ":")
	return len(host) >= 32 && strings.Trim(host, "0123456789abcdefABCDEF") == ""
}

func checkHostPort(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil || port == "" {
		return fmt.Errorf("UDP address %q: want host:port", s)
	}
	return nil
}

// reachable returns an address at which others find a socket that is bound to
// every address of the host: one of its own of the same family, the loopback one
// if there is no other.
func reachable(a netip.AddrPort) netip.AddrPort {
	if !a.Addr().IsUnspecified() {
		return a
	}
	best := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if a.Addr().Is6() {
		best = netip.IPv6Loopback()
	}
	addrs, _ := net.InterfaceAddrs()
	for _, ia := range addrs {
		p, err := netip.ParsePrefix(ia.String())
		if err == nil && p.Addr().Is4() == a.Addr().Is4() && p.Addr().IsGlobalUnicast() {
			best = p.Addr()
			break
		}
	}
	return netip.AddrPortFrom(best, a.Port())
}
