package servald

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"mesh.example/msp/mdpconn/overlay"
)

// SID is an MDP address. The special ones stand for a set of them (§3).
type SID [32]byte

var (
	// Any is the daemon's primary identity as a local SID, and the daemon
	// itself as a remote one.
	Any = SID{}
	// Internal is the source of the daemon's events.
	Internal = SID{31: 1}
	// Broadcast is all local identities when binding, and everybody when
	// sending.
	Broadcast = SID{
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	}
)

// Flags are the flag byte of a message (§3).
type Flags byte

const (
	NoCrypt Flags = 1 << iota // not enciphered
	NoSign                    // not signed
	Bind                      // make the binding; the binding is granted
	Close                     // release; the end of a command's answers
	Error                     // refused
	Reuse                     // share the port; has no effect

	knownFlags = NoCrypt | NoSign | Bind | Close | Error | Reuse
)

// String gives the names of the set flags, joined by "|", or "0".
func (f Flags) String() string {
	var names []string
	for i, name := range [...]string{"NO_CRYPT", "NO_SIGN", "BIND", "CLOSE", "ERROR", "REUSE"} {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if rest := f &^ knownFlags; rest != 0 {
		names = append(names, fmt.Sprintf("%#x", byte(rest)))
	}
	if names == nil {
		return "0"
	}
	return strings.Join(names, "|")
}

// Commands to the daemon: remote ports of messages to Any (§7).
const (
	CommandNone    = 0 // to bind and to close
	CommandLock    = 1 // lock and unlock identities
	CommandSearch  = 2 // the own identities
	CommandReload  = 3 // the configuration
	CommandPackets = 4 // be an interface of the daemon; never sent
	CommandRoutes  = 5 // the route table
	CommandBundles = 6 // look for new Rhizome bundles
)

const (
	// HeaderLen is the length of a message without payload, in bytes (§3).
	HeaderLen = 75
	// MaxPayload is the longest payload that is sent: it passes every stock
	// node (§5).
	MaxPayload = 1060

	maxQueue = 4
	maxTTL   = 31
	maxPort  = 1<<31 - 1 // higher ones do not survive the wire (docs/overlay.md §1.3)
)

// A Message is one datagram between client and daemon. Local is the client's
// side in both directions.
type Message struct {
	LocalSID   SID
	LocalPort  uint32
	RemoteSID  SID
	RemotePort uint32
	Flags      Flags
	Queue      byte
	TTL        byte
	Payload    []byte // at most MaxPayload bytes, and at least 1 in a data message
}

// Parse decodes a datagram. The payload aliases b.
func Parse(b []byte) (Message, error) {
	if len(b) < HeaderLen {
		return Message{}, fmt.Errorf("servald: datagram of %d bytes, expected %d or more", len(b), HeaderLen)
	}
	return Message{
		LocalSID:   SID(b[0:32]),
		LocalPort:  binary.NativeEndian.Uint32(b[32:]),
		RemoteSID:  SID(b[36:68]),
		RemotePort: binary.NativeEndian.Uint32(b[68:]),
		Flags:      Flags(b[72]),
		Queue:      b[73],
		TTL:        b[74],
		Payload:    b[HeaderLen:],
	}, nil
}

// IsCommand reports whether m is a command to the daemon, or an answer to one,
// rather than data.
func (m *Message) IsCommand() bool { return m.RemoteSID == Any }

// Append appends a message that a client sends to the daemon. It refuses one
// that would end a stock daemon, whatever is asked, and one that the daemon
// would refuse for what is in it (§3, §5). After an error dst is unchanged.
func (m *Message) Append(dst []byte) ([]byte, error) {
	if err := m.check(); err != nil {
		return dst, err
	}
	return m.AppendAny(dst), nil
}

// AppendAny appends any message: for what plays the daemon in a test. Nothing
// that it makes may be sent to a daemon.
func (m *Message) AppendAny(dst []byte) []byte {
	dst = append(dst, m.LocalSID[:]...)
	dst = binary.NativeEndian.AppendUint32(dst, m.LocalPort)
	dst = append(dst, m.RemoteSID[:]...)
	dst = binary.NativeEndian.AppendUint32(dst, m.RemotePort)
	dst = append(dst, byte(m.Flags), m.Queue, m.TTL)
	return append(dst, m.Payload...)
}

func (m *Message) check() error {
	switch {
	case m.Queue > maxQueue:
		return fmt.Errorf("servald: queue %d, expected 0 … %d", m.Queue, maxQueue)
	case m.TTL > maxTTL:
		return fmt.Errorf("servald: TTL %d, expected 0 … %d", m.TTL, maxTTL)
	case len(m.Payload) > MaxPayload:
		return fmt.Errorf("servald: payload of %d bytes, expected at most %d", len(m.Payload), MaxPayload)
	case m.Flags&^knownFlags != 0 || m.Flags&Error != 0:
		return fmt.Errorf("servald: flags %v cannot be sent", m.Flags)
	case m.LocalPort > maxPort:
		return fmt.Errorf("servald: local port %d, expected 0 … %d", m.LocalPort, maxPort)
	case m.IsCommand():
		return m.checkCommand()
	}
	return m.checkData()
}

// checkCommand lets known commands pass. The one by which a client becomes an
// interface does not: through it come packets of any content, those that end a
// daemon too (docs/overlay.md §11).
func (m *Message) checkCommand() error {
	switch m.RemotePort {
	case CommandNone, CommandLock, CommandSearch, CommandReload, CommandRoutes, CommandBundles:
		return nil
	}
	return fmt.Errorf("servald: command %d cannot be sent", m.RemotePort)
}

func (m *Message) checkData() error {
	switch {
	case len(m.Payload) == 0:
		return errors.New("servald: data message without data, expected 1 byte or more")
	case m.RemotePort == 0 || m.RemotePort > maxPort:
		return fmt.Errorf("servald: remote port %d, expected 1 … %d", m.RemotePort, maxPort)
	case m.LocalPort == 0 && m.Flags&Bind == 0:
		return errors.New("servald: data message from port 0, expected a bound port")
	case m.LocalSID == Broadcast || m.LocalSID == Internal:
		return fmt.Errorf("servald: data cannot be sent from the SID %X", m.LocalSID[:])
	case m.RemoteSID == Internal:
		return fmt.Errorf("servald: data cannot be sent to the SID %X", m.RemoteSID[:])
	case m.Flags&(NoCrypt|NoSign) == NoSign:
		return errors.New("servald: an enciphered message is always signed")
	case m.RemoteSID == Broadcast && m.Flags&NoCrypt == 0:
		return errors.New("servald: a broadcast cannot be enciphered")
	}
	return overlay.CheckData(overlay.Ports{Destination: m.RemotePort, Source: m.LocalPort}, m.Payload)
}

// String decodes m on one line, for logs and tests.
func (m *Message) String() string {
	return fmt.Sprintf("%X…:%d ↔ %X…:%d %v queue=%d ttl=%d len=%d",
		m.LocalSID[:4], m.LocalPort, m.RemoteSID[:4], m.RemotePort, m.Flags, m.Queue, m.TTL, len(m.Payload))
}
