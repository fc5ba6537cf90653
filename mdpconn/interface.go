package mdpconn

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	pathpkg "path"
	"strconv"
	"strings"
	"time"
)

// InterfaceType says what a network interface is, for how often and how fast to
// send there.
type InterfaceType int

const (
	// WiFi: a tick every 500 ms, packets 800 µs apart.
	WiFi InterfaceType = iota

	// Ethernet: a tick every 500 ms, packets 100 µs apart.
	Ethernet

	// Radio is packet radio: a tick every 15 s, packets 1 ms apart.
	Radio
)

var interfaceTypes = [...]string{"wifi", "ethernet", "radio"}

func (t InterfaceType) String() string {
	if t < 0 || int(t) >= len(interfaceTypes) {
		return fmt.Sprintf("InterfaceType(%d)", int(t))
	}
	return interfaceTypes[t]
}

// maxInterfaces is how many interfaces a node has at most, as their index has to
// be below. Specification (docs/overlay.md §2).
const maxInterfaces = 16

// Interface chooses network interfaces of this host that a node is to use, as a
// stock node does. Each IPv4 address of a chosen interface has a socket of its own
// there; broadcasts come in at one more, which other programs may share.
type Interface struct {
	// Match is a pattern of names, as of path.Match, such as "eth*"; or an IPv4
	// address, or a network such as "192.0.2.0/24", in which the address is.
	Match string

	// Type is what the interface is. If zero, WiFi, as with stock.
	Type InterfaceType

	// Port is the UDP port. If zero, 4110.
	Port uint16

	// Tick is the time between signs of life. A neighbour that is not heard for
	// five ticks is gone. If zero, that of Type.
	Tick time.Duration

	// PacketInterval is the time between packets, on average. If zero, that of
	// Type.
	PacketInterval time.Duration
}

// ParseInterface reads an Interface as MATCH[:TYPE[:PORT]], such as "eth*",
// "wlan0:wifi" or "192.0.2.7:radio:4111". TYPE is wifi, ethernet or radio;
// without one it is wifi.
func ParseInterface(s string) (Interface, error) {
	i, err := parseInterface(s)
	if err != nil {
		return Interface{}, fmt.Errorf("interface %s: %w", clip(s), err)
	}
	return i, nil
}

func parseInterface(s string) (i Interface, err error) {
	words := strings.Split(s, ":")
	if len(words) > 3 {
		return i, errors.New("expected MATCH[:TYPE[:PORT]], such as eth*:ethernet or 192.0.2.0/24")
	}
	i.Match = words[0]
	if len(words) > 1 {
		var ok bool
		if i.Type, ok = parseInterfaceType(words[1]); !ok {
			return i, fmt.Errorf("type %s: expected wifi, ethernet or radio", clip(words[1]))
		}
	}
	if len(words) > 2 {
		port, err := strconv.ParseUint(words[2], 10, 16)
		if err != nil || port == 0 {
			return i, fmt.Errorf("UDP port %s: expected a number from 1 to 65535", clip(words[2]))
		}
		i.Port = uint16(port)
	}
	return i, i.check()
}

func parseInterfaceType(s string) (InterfaceType, bool) {
	for t, name := range interfaceTypes {
		if s == name {
			return InterfaceType(t), true
		}
	}
	return 0, false
}

// String gives it as ParseInterface reads it.
func (i Interface) String() string {
	s := i.Match + ":" + i.Type.String()
	if i.Port != 0 {
		s += ":" + strconv.Itoa(int(i.Port))
	}
	return s
}

func (i *Interface) check() error {
	switch {
	case i.Match == "":
		return errors.New("no name: expected one, a pattern such as eth*, or an IPv4 address or network")
	case i.Type < 0 || int(i.Type) >= len(interfaceTypes):
		return fmt.Errorf("type %d: expected WiFi, Ethernet or Radio", int(i.Type))
	case i.Tick < 0 || i.PacketInterval < 0:
		return fmt.Errorf("tick %v, packet interval %v: expected 0 or more", i.Tick, i.PacketInterval)
	}
	if strings.Contains(i.Match, "/") {
		if p, err := netip.ParsePrefix(i.Match); err != nil || !p.Addr().Is4() {
			return fmt.Errorf("network %s: expected one of IPv4 such as 192.0.2.0/24", clip(i.Match))
		}
	} else if _, err := pathpkg.Match(i.Match, ""); err != nil {
		return fmt.Errorf("pattern %s: expected one such as eth*, wlan[01]", clip(i.Match))
	}
	return nil
}

// matches reports whether an address of the host is chosen.
func (i *Interface) matches(a hostAddr) bool {
	if p, err := netip.ParsePrefix(i.Match); err == nil {
		return p.Masked().Contains(a.network.Addr())
	}
	if addr, err := netip.ParseAddr(i.Match); err == nil {
		return addr == a.network.Addr()
	}
	ok, _ := pathpkg.Match(i.Match, a.name)
	return ok
}

func (i *Interface) port() uint16 {
	if i.Port == 0 {
		return overlayUDPPort
	}
	return i.Port
}

// A hostAddr is an IPv4 address of this host.
type hostAddr struct {
	name       string       // of the interface
	network    netip.Prefix // the address, with the length of its network's prefix
	broadcasts bool         // there are broadcasts on it
}

// hostAddrs gives the IPv4 addresses of interfaces that are up.
func hostAddrs() (addrs []hostAddr, err error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		networks, err := i.Addrs()
		if err != nil {
			continue // it has just gone
		}
		for _, a := range networks {
			p, err := netip.ParsePrefix(a.String())
			if err == nil && p.Addr().Is4() {
				can := i.Flags&(net.FlagBroadcast|net.FlagLoopback) != 0 && p.Bits() < 31
				addrs = append(addrs, hostAddr{i.Name, p, can})
			}
		}
	}
	return addrs, nil
}

// A chosenAddr is an address that an Interface chose.
type chosenAddr struct {
	hostAddr
	spec Interface
}

func (c *chosenAddr) local() netip.AddrPort {
	return netip.AddrPortFrom(c.network.Addr(), c.spec.port())
}

// chooseAddrs gives those addresses that are chosen, each by the first that
// matches it.
func chooseAddrs(specs []Interface, addrs []hostAddr) (chosen []chosenAddr) {
	for _, a := range addrs {
		for i := range specs {
			if specs[i].matches(a) {
				chosen = append(chosen, chosenAddr{a, specs[i]})
				break
			}
		}
	}
	return chosen
}
