package mdptest

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Lengths of payloads that end the daemon of a client (docs/servald.md §5).
const (
	messageHeader = 75
	endSealed     = 1157
	endPlain      = 1197
)

// CheckMessage reads a datagram of a client as a stock daemon does, and gives an
// error if that would end it, or another one to which the daemon passes it on
// (docs/servald.md §5).
func CheckMessage(b []byte) error {
	if len(b) < messageHeader {
		return nil // dropped
	}
	remote, port := b[36:68], binary.NativeEndian.Uint32(b[68:])
	flags, payload := b[72], b[messageHeader:]
	plain := flags&0x01 != 0
	switch {
	case b[73] >= 5:
		return fmt.Errorf("queue %d: it ends a daemon", b[73])
	case allOf(remote, 0):
		if port == 4 {
			return errors.New("command 4: through an interface come packets of any content")
		}
		return nil
	case len(payload) >= endPlain, !plain && len(payload) >= endSealed:
		return fmt.Errorf("payload of %d bytes: it ends a daemon", len(payload))
	}
	return checkService(port, binary.NativeEndian.Uint32(b[32:]), payload)
}
