package overlay

import "strings"

// A Trace is the body of a trace message, port [PortTrace]: origin, target, then
// the nodes visited (docs/overlay.md §9).
type Trace []Address

// ParseTrace parses the application data of a trace message. It allocates the
// list; addresses alias data.
func ParseTrace(data []byte, r Resolver) (Trace, error) {
	ctx := Context{Resolver: r}
	var t Trace
	for len(data) > 0 {
		a, rest, err := ParseAddress(data, &ctx)
		if err != nil {
			return nil, err
		}
		t, data = append(t, a), rest
	}
	return t, nil
}

// AppendTrace appends SIDs to a trace body, each in full as stock does: origin
// and target to begin one, a node's own SID to continue it.
func AppendTrace(dst []byte, sids ...SID) ([]byte, error) {
	b := dst
	for _, sid := range sids {
		if err := sid.Check(); err != nil {
			return dst, err
		}
		b = append(b, byte(CodeSID))
		b = append(b, sid[:]...)
	}
	return b, nil
}

// String gives the list on one line.
func (t Trace) String() string {
	var b strings.Builder
	b.WriteString("trace")
	for _, a := range t {
		b.WriteByte(' ')
		b.WriteString(a.String())
	}
	return b.String()
}
