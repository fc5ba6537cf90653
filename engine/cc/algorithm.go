package cc

import (
	"fmt"
	"time"
)

// An Algorithm is a way of congestion control. The zero value is BBR.
type Algorithm int

const (
	BBR   Algorithm = iota // by a model of the path: keeps its rate under random loss, and the queue short
	CUBIC                  // the conventional one: RFC 9438 with HyStart++; slow where packets are lost at random
)

// New makes a controller for full packets of packetSize bytes. rtt is the round trip of
// the handshake; 0 if none was measured. Controllers with different seeds do not probe in
// step.
func (a Algorithm) New(packetSize int, rtt time.Duration, seed uint64) Controller {
	if a == CUBIC {
		return NewCubic(packetSize)
	}
	return NewBBR(packetSize, rtt, seed)
}

// String returns the name in lower case, as ParseAlgorithm takes it.
func (a Algorithm) String() string {
	switch a {
	case BBR:
		return "bbr"
	case CUBIC:
		return "cubic"
	}
	return fmt.Sprintf("Algorithm(%d)", int(a))
}

// ParseAlgorithm gives the algorithm of a name, "bbr" or "cubic".
func ParseAlgorithm(name string) (Algorithm, error) {
	for _, a := range []Algorithm{BBR, CUBIC} {
		if a.String() == name {
			return a, nil
		}
	}
	return 0, fmt.Errorf("congestion control %q: expected bbr or cubic", name)
}
