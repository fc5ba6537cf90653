package mspnet

import (
	"context"
	"net"
	"sync"

	"mesh.example/msp/engine"
	"mesh.example/msp/mdpconn"
)

var defaultNode struct {
	sync.Mutex
	node *mdpconn.Node
}

// DefaultNode returns the node that Dial, Listen, and a Dialer or ListenConfig
// without one use. It is made on first use, with a fresh identity and a UDP
// socket on a free port for IPv4 and for IPv6, and lives as long as the program;
// nobody should close it. It forwards nothing for others.
func DefaultNode() (*mdpconn.Node, error) {
	defaultNode.Lock()
	defer defaultNode.Unlock()
	if defaultNode.node == nil {
		node, err := mdpconn.NewNode(mdpconn.Config{Relay: mdpconn.RelayOff})
		if err != nil {
			return nil, err
		}
		node.Listen("[::]:0") // for hints of that family; not every host has it
		defaultNode.node = node
	}
	return defaultNode.node, nil
}

// engineOf returns the engine of node, of the default node if it is nil.
func engineOf(node *mdpconn.Node) (*engine.Engine, error) {
	if node == nil {
		var err error
		if node, err = DefaultNode(); err != nil {
			return nil, err
		}
	}
	e := engine.Of(node)
	if e == nil {
		return nil, net.ErrClosed
	}
	return e, nil
}

// Drain waits until every connection of node that was closed has delivered what
// it accepted, or has failed to; nil is the default node. Programs call it
// before they exit. It returns ctx's error if that comes first.
func Drain(ctx context.Context, node *mdpconn.Node) error {
	if node == nil {
		if node = usedDefaultNode(); node == nil {
			return nil
		}
	}
	e := engine.Of(node)
	if e == nil {
		return nil // a closed node has nothing left to deliver
	}
	return e.Drain(ctx)
}

// NodeStats are the counters of a node: of its datagrams and of its streams.
type NodeStats struct {
	MDP mdpconn.Stats
	MSP engine.Stats
}

// StatsOf returns the counters of node; nil is the default node. They are zero
// for a default node that was not used, and those of streams for a node that is
// closed.
func StatsOf(node *mdpconn.Node) NodeStats {
	if node == nil {
		if node = usedDefaultNode(); node == nil {
			return NodeStats{}
		}
	}
	s := NodeStats{MDP: node.Stats()}
	if e := engine.Of(node); e != nil {
		s.MSP = e.Stats()
	}
	return s
}

// usedDefaultNode returns the default node if it was made.
func usedDefaultNode() *mdpconn.Node {
	defaultNode.Lock()
	defer defaultNode.Unlock()
	return defaultNode.node
}
