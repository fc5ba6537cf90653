package mdpconn

import (
	"fmt"
	"strconv"
	"strings"
)

// A Port is an MDP port, 1 … MaxPort. When binding, 0 stands for any free
// port.
type Port uint32

// MaxPort is the highest port: destination ports have 31 bits on the wire
// (docs/overlay.md §1.3).
const MaxPort Port = 1<<31 - 1

// An Addr is an MDP address: an identity and a port of it. Addrs are
// comparable and may be map keys. Addr implements net.Addr.
type Addr struct {
	SID  SID
	Port Port
}

// Network gives "mdp".
func (a Addr) Network() string { return "mdp" }

// String gives "SID:port", with the SID as 64 upper-case hexadecimal digits and
// the port in decimal digits; ":port" if the SID is Primary, and "*:port" if it
// is All. ParseAddr reads all three back.
func (a Addr) String() string {
	b := make([]byte, 0, 2*len(a.SID)+len(":2147483647"))
	switch a.SID {
	case Primary:
	case All:
		b = append(b, '*')
	default:
		b = a.SID.appendText(b)
	}
	b = append(b, ':')
	return string(strconv.AppendUint(b, uint64(a.Port), 10))
}

// ParseAddr reads an address of one of the forms that String gives: "SID:port",
// where the SID must pass Check, ":port" and "*:port". The port is 0 … MaxPort
// in decimal digits; 0 is only fit for binding, where it stands for any free
// port.
func ParseAddr(s string) (Addr, error) {
	const want = "SID:port, :port or *:port"
	sid, port, ok := strings.Cut(s, ":")
	if !ok {
		return Addr{}, fmt.Errorf("mdpconn: address %s has no port, expected %s", clip(s), want)
	}
	var a Addr
	switch sid {
	case "":
		a.SID = Primary
	case "*":
		a.SID = All
	default:
		if err := a.SID.parse(sid); err != nil {
			return Addr{}, err
		}
	}
	n, err := strconv.ParseUint(port, 10, 32)
	if err != nil || Port(n) > MaxPort {
		return Addr{}, fmt.Errorf("mdpconn: address %s has a bad port, expected %s with a port of 0 … %d",
			clip(s), want, MaxPort)
	}
	a.Port = Port(n)
	return a, nil
}
