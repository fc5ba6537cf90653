package msp

import "fmt"

// Addr is one end of a connection: an identity and an MDP port.
type Addr struct {
	SID  [32]byte
	Port uint32
}

// AllSIDs, as the SID of a listener's address, stands for every identity of the
// node (§6.2).
var AllSIDs = [32]byte{
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
}

// String gives the first bytes of the SID and the port, enough for a log line.
func (a Addr) String() string { return fmt.Sprintf("%X…:%d", a.SID[:4], a.Port) }

// tuple names a connection (§1).
type tuple struct{ local, remote Addr }
