package mdpconn

import "fmt"

// An ECN is the codepoint of explicit congestion notification in the header of an
// IP packet (RFC 3168): by it routers mark packets where they else would drop them.
type ECN uint8

// The codepoints. Their numbers are those of the specification.
const (
	NotECT ECN = 0 // not to be marked: the sender takes no notice of marks, or nothing is known
	ECT1   ECN = 1 // an experiment's; never sent
	ECT0   ECN = 2 // may be marked
	CE     ECN = 3 // was marked: there was congestion on the way
)

// String gives the codepoint's name.
func (e ECN) String() string {
	switch e {
	case NotECT:
		return "Not-ECT"
	case ECT1:
		return "ECT(1)"
	case ECT0:
		return "ECT(0)"
	case CE:
		return "CE"
	}
	return fmt.Sprintf("ECN(%d)", uint8(e))
}

// An ecnLink is a link that may know of codepoints. Of others it is taken that they
// do not.
type ecnLink interface {
	// ECN reports whether packets are written with their codepoint, and read with
	// it.
	ECN() bool
}

// ecn reports whether a link knows of codepoints now.
func (l *nodeLink) ecn() bool {
	e, ok := l.link.(ecnLink)
	return ok && e.ECN()
}
