package overlay

import "fmt"

// CheckData refuses application data that may not be sent to a port: none at
// all, and what one of the services inside a stock servald would end of, or
// misread: link state, trace and STUN (docs/overlay.md §8, §9, §11), and an echo
// request whose answer is too long to be queued. It does not check the ports.
//
// It is called for every plaintext that is sealed, signed or sent plain, so that
// no caller can get past it; for ports of applications it costs nothing.
func CheckData(p Ports, data []byte) error {
	if len(data) == 0 {
		return errNoData
	}
	var err error
	switch p.Destination {
	case PortLinkState:
		err = checkLinkState(data)
	case PortTrace:
		_, err = ParseTrace(data, nil)
	case PortSTUNRequest, PortSTUN:
		_, err = ParseSTUN(data, nil)
	case PortEcho:
		answer := Ports{Destination: p.Source, Source: p.Destination}
		if n := answer.Len() + len(data); n > MaxSealed && p.Source != PortEcho {
			err = fmt.Errorf("answer of %d bytes, want at most %d", n, MaxSealed)
		}
	}
	if err != nil {
		return fmt.Errorf("overlay: data for port %d, which is a service of stock nodes: %w", p.Destination, err)
	}
	return nil
}

// checkLinkState refuses records that stock would not read as they are meant.
func checkLinkState(data []byte) error {
	l := NewLinkState(data, Context{})
	for r := (LinkRecord{}); l.Next(&r); {
		if err := r.checkValues(); err != nil {
			return err
		}
	}
	return l.Err()
}

// checkExplain refuses the body of a please-explain with an item that does not
// exist: an address code of 0 would end a stock node.
func checkExplain(body []byte) error {
	for len(body) > 0 {
		code := Code(body[0])
		n := code.explainSize()
		switch {
		case n < 0:
			return fmt.Errorf("overlay: please-explain item %#02x: want 1…32, 0xfb or 0xfd", body[0])
		case len(body) < 1+n:
			return errShortExplain
		}
		body = body[1+n:]
	}
	return nil
}
