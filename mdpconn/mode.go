package mdpconn

import "fmt"

// A Mode is how a datagram is protected on its way (docs/overlay.md §6.2).
type Mode uint8

// The modes.
const (
	// Enciphered datagrams can be read by the other side only, which knows that
	// they are from whom they say.
	Enciphered Mode = iota
	// Signed datagrams can be read by everybody, and are from whom they say. They
	// may be recordings, and meant for others: nothing protects from replays.
	Signed
	// Plain datagrams can be read, changed and made up by everybody.
	Plain
)

// String gives the mode as one word.
func (m Mode) String() string {
	switch m {
	case Enciphered:
		return "enciphered"
	case Signed:
		return "signed"
	case Plain:
		return "plain"
	}
	return fmt.Sprintf("mode(%d)", uint8(m))
}

// Accept says what a socket takes besides datagrams that are enciphered, which
// it always does.
type Accept uint8

// What a socket may accept.
const (
	AcceptSigned     Accept = 1 << iota // signed datagrams
	AcceptPlain                         // plain ones
	AcceptBroadcasts                    // those to All too, in the modes accepted
)

// admits reports whether a datagram of a mode is taken.
func (a Accept) admits(m Mode, broadcast bool) bool {
	switch {
	case broadcast && a&AcceptBroadcasts == 0:
		return false
	case m == Signed:
		return a&AcceptSigned != 0
	case m == Plain:
		return a&AcceptPlain != 0
	}
	return !broadcast
}

// maxSigned is the longest data of a signed datagram: the signature is longer
// than what an enciphered one has.
const maxSigned = MaxData - 24

// checkMode refuses a mode that a datagram cannot have.
func checkMode(d *Datagram) error {
	switch {
	case d.Mode > Plain:
		return fmt.Errorf("mdpconn: %v, expected Enciphered, Signed or Plain", d.Mode)
	case d.Mode == Enciphered && d.Remote.SID == All:
		return fmt.Errorf("mdpconn: enciphered broadcast to port %d: only signed and plain datagrams can go to all", d.Remote.Port)
	case d.Mode == Signed && len(d.Data) > maxSigned:
		return fmt.Errorf("mdpconn: signed datagram of %d bytes, expected at most %d", len(d.Data), maxSigned)
	}
	return nil
}
