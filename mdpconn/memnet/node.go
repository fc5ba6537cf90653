package memnet

import (
	"net/netip"

	"mesh.example/msp/mdpconn"
)

// Node makes a node whose only link is a new one of this network, in place of
// the links that c asks for. Closing the node closes the link, and has to come
// before the end of a bubble: closing the network does not end a node.
// Network.LinkAt(node.LinkAddrs()[0]) is the link, to impair or to cut it.
func (n *Network) Node(c mdpconn.Config) (*mdpconn.Node, error) {
	c.Links = []mdpconn.Link{n.Link()}
	return mdpconn.NewNode(c) // closes the link if it fails
}

// LinkAt gives the link that has this address now; nil if there is none.
func (n *Network) LinkAt(addr netip.AddrPort) *Link {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.byAddr[addr]
}
