package mdpconn

import (
	"fmt"
	"log/slog"

	"mesh.example/msp/internal/mspdebug"
	"mesh.example/msp/mdpconn/session"
)

// AnnounceMode says when a node broadcasts its SIDs to its neighbours, so that
// they find it without a hint.
type AnnounceMode int

const (
	// AnnounceListening announces while somebody holds what Node.Announce
	// gives: while something listens. Otherwise the node broadcasts nothing of
	// its own accord, so that programs that only dial are no beacons.
	AnnounceListening AnnounceMode = iota

	// AnnounceNever announces never. Neighbours that know the node's SID and
	// ask for it are still answered.
	AnnounceNever

	// AnnounceAlways announces from NewNode to Close.
	AnnounceAlways
)

// RelayMode says whether a node forwards for others.
type RelayMode int

const (
	// RelayOn forwards, and tells neighbours whom the node reaches. A relay
	// that hears nobody is silent; one that hears somebody makes itself known
	// to all its neighbours, for as long as it hears any.
	RelayOn RelayMode = iota

	// RelayOff forwards nothing.
	RelayOff
)

// Config configures a node. The zero value is one with a fresh identity, on a
// UDP socket of its own. A Config may be used for several nodes if it names no
// Links; it is never modified.
type Config struct {
	// Identities are the identities of the node; the first is the primary
	// one. If empty, a fresh identity is made.
	Identities []*Identity

	// Servald makes the node a client of a servald daemon: its datagrams travel
	// through the daemon, under the daemon's identities. Identities, Links and
	// UDP must be empty then, and Announce and MaxPeers have no effect. If nil,
	// the node is a member of the mesh itself.
	Servald *ServaldConfig

	// Links are what carries the node's packets. The node owns them: it
	// closes them, also when NewNode fails. If nil, UDP says which UDP sockets
	// are opened.
	Links []Link

	// NoUDP makes a node without UDP sockets: none is opened if Links is nil,
	// and Node.Listen fails.
	NoUDP bool

	// UDP are the addresses to bind UDP sockets to if Links is nil. If empty,
	// one socket is bound to a free port of all IPv4 addresses, "0.0.0.0:0".
	UDP []string

	// Interfaces choose the network interfaces of this host that the node uses, as
	// a stock node would, if neither Links nor UDP is given: at a known UDP port,
	// and no faster than what they are allows. They are looked at again every 5 s,
	// so that interfaces come and go; at most 16 are used. If empty, UDP says
	// which UDP sockets are opened.
	Interfaces []Interface

	system *interfaceSystem // of a test

	// Announce says when the node broadcasts its SIDs. If zero, while
	// something listens.
	Announce AnnounceMode

	// Relay says whether the node forwards for others. If zero, it does,
	// unless Announce is AnnounceNever.
	Relay RelayMode

	// RelayRate is how many payloads per second are forwarded at most, for
	// all together; one source, and one neighbour, get half of it. What is
	// beyond is dropped. If zero, 40000.
	RelayRate int

	// Silent drops datagrams for ports that nobody bound, rather than give
	// them to the handler set with Node.HandleUnbound. Streams then do not
	// refuse openings at ports where nothing listens.
	Silent bool

	// MaxPeers is how many pairs of an own and another SID are remembered,
	// besides those of live connections (Node.Hold), which count for
	// themselves. An eighth of it again is for pairs of which nothing is
	// proven. If zero, 4096.
	MaxPeers int

	// NoSessions keeps the node to the published box: it sends no hellos and
	// answers none, so that it is to everybody as a stock node is
	// (docs/extension.md §9, §10). If false, nodes of this project that talk to
	// each other agree on session keys. A node at a servald daemon never does.
	NoSessions bool

	// RequireSessionKeys has the node send and deliver datagrams under session
	// keys only: none in the published box, which has no forward secrecy. Then
	// nothing is exchanged with nodes that have no session keys, as stock nodes
	// have not. With NoSessions it is an error.
	RequireSessionKeys bool

	// MaxPacket is the largest packet, in bytes, that is sent to peers with which
	// there are session keys, if one of that size is found to pass. If zero, 65507,
	// which is all that UDP carries; less than 1200 means 1200.
	MaxPacket int

	// NoECN has no packet of the node's marked by routers for congestion, and says so
	// to peers (docs/extension.md §11). If false, the streams between two nodes with
	// session keys are sent so that they may be, where the sockets offer it.
	NoECN bool

	// Logger gets what happens, at level Debug every packet. If nil, nothing
	// is logged.
	Logger *slog.Logger
}

func (c *Config) maxPeers() int {
	if c.MaxPeers == 0 {
		return defaultMaxPeers
	}
	return c.MaxPeers
}

// sessions reports whether the node uses session keys.
func (c *Config) sessions() bool {
	return c.Servald == nil && !c.NoSessions && (!mspdebug.Published() || c.RequireSessionKeys)
}

func (c *Config) maxPacket() int {
	if c.MaxPacket == 0 {
		return session.MaxCompact
	}
	return max(c.MaxPacket, smallCompact)
}

func (c *Config) relayRate() float64 {
	if c.RelayRate == 0 {
		return defaultRelayRate
	}
	return float64(c.RelayRate)
}

func (c *Config) udp() []string {
	switch {
	case c.NoUDP || c.Links != nil || len(c.Interfaces) > 0 || c.Servald != nil:
		return nil
	case len(c.UDP) == 0:
		return []string{"0.0.0.0:0"}
	}
	return c.UDP
}

func (c *Config) logger() *slog.Logger {
	if c.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Logger
}

func (c *Config) check() error {
	if c.MaxPeers < 0 {
		return fmt.Errorf("mdpconn: Config.MaxPeers is %d, expected 0 or more", c.MaxPeers)
	}
	if c.RequireSessionKeys && (c.NoSessions || c.Servald != nil) {
		return fmt.Errorf("mdpconn: Config.RequireSessionKeys with NoSessions or Servald: expected neither, there would be no session keys")
	}
	if c.MaxPacket < 0 {
		return fmt.Errorf("mdpconn: Config.MaxPacket is %d, expected 0 or more", c.MaxPacket)
	}
	if c.RelayRate < 0 {
		return fmt.Errorf("mdpconn: Config.RelayRate is %d, expected 0 or more", c.RelayRate)
	}
	if c.Relay != RelayOn && c.Relay != RelayOff {
		return fmt.Errorf("mdpconn: Config.Relay is %d, expected %d or %d", c.Relay, RelayOn, RelayOff)
	}
	if c.Announce < AnnounceListening || c.Announce > AnnounceAlways {
		return fmt.Errorf("mdpconn: Config.Announce is %d, expected %d … %d", c.Announce, AnnounceListening, AnnounceAlways)
	}
	if c.Servald != nil && (len(c.Identities) > 0 || c.Links != nil || len(c.UDP) > 0) {
		return fmt.Errorf("mdpconn: Config.Servald with Identities, Links or UDP: expected none of them, these are the daemon's")
	}
	if len(c.Interfaces) > 0 && (c.Servald != nil || c.Links != nil || c.NoUDP || len(c.UDP) > 0) {
		return fmt.Errorf("mdpconn: Config.Interfaces with Servald, Links, NoUDP or UDP: expected none of them")
	}
	for i := range c.Interfaces {
		if err := c.Interfaces[i].check(); err != nil {
			return fmt.Errorf("mdpconn: Config.Interfaces[%d]: %w", i, err)
		}
	}
	for i, id := range c.Identities {
		if id == nil {
			return fmt.Errorf("mdpconn: Config.Identities[%d] is nil", i)
		}
	}
	for i, l := range c.Links {
		if l == nil {
			return fmt.Errorf("mdpconn: Config.Links[%d] is nil", i)
		}
	}
	return nil
}
