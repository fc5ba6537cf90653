package mdpconn

import (
	"net/netip"
	"time"

	"mesh.example/msp/mdpconn/session"
)

// ErrTooLarge is the error of a packet larger than the system sends at once.
var ErrTooLarge error = errTooLarge

// NextWake tells when the maintenance goroutine wakes of itself; zero if never.
func (n *Node) NextWake() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.nextWake
}

// ChallengePort is where answers to the node's challenges arrive.
func (n *Node) ChallengePort() Port { return n.challengePort }

// AheadOf makes the node believe that the clock of remote was ahead, until now,
// of what it shows.
func (n *Node) AheadOf(remote SID, by time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.peers.all[pair{n.Primary(), remote}].path.newest += by.Microseconds()
}

// A TestHost stands in for the network interfaces of this host. Links of
// interfaces hear broadcasts themselves.
type TestHost struct {
	Addrs func() map[string]netip.Prefix // by name
	Open  func(netip.AddrPort) (Link, error)
}

// OnHost has a node use the interfaces of a TestHost.
func OnHost(config Config, h TestHost) Config {
	config.system = &interfaceSystem{
		addrs: func() (addrs []hostAddr, err error) {
			for name, network := range h.Addrs() {
				addrs = append(addrs, hostAddr{name, network, true})
			}
			return addrs, nil
		},
		open:       func(c chosenAddr) (Link, error) { return h.Open(c.local()) },
		broadcasts: func(uint16) (Link, error) { return nil, nil },
	}
	return config
}

// AsksFor reports whether a question may mean a service.
var AsksFor = asksFor

// Registered gives how many services the node answers for.
func (n *Node) Registered() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.services.registered)
}

// CloseSession has the node tell a peer to forget their session.
func (n *Node) CloseSession(remote SID) {
	n.mu.Lock()
	p := n.peers.all[pair{n.Primary(), remote}]
	to := p.path.current.endpoint
	n.mu.Unlock()
	c := n.compactor(p.pair, smallCompact)
	defer c.free()
	c.begin()
	c.item(session.AppendClose(nil))
	c.flush([]target{{endpoint: to}}, time.Now())
}

// AddLink adds a link as one is added when an interface comes up.
func (n *Node) AddLink(l Link) error { return n.addLink(&nodeLink{link: l}) }
