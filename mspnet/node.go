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
// socket on a free port, and lives as long as the program; nobody should close
// it. It forwards nothing for others.
func DefaultNode() (*mdpconn.Node, error) {
	defaultNode.Lock()
	defer defaultNode.Unlock()
	if defaultNode.node == nil {
		node, err := mdpconn.NewNode(mdpconn.Config{Relay: mdpconn.RelayOff})
		if err != nil {
			return nil, err
		}
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
		defaultNode.Lock()
		node = defaultNode.node
		defaultNode.Unlock()
		if node == nil {
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

// StatsOf returns the counters of node; nil is the default node.
func StatsOf(node *mdpconn.Node) (NodeStats, error) {
	e, err := engineOf(node)
	if err != nil {
		return NodeStats{}, err
	}
	return NodeStats{MDP: e.Node().Stats(), MSP: e.Stats()}, nil
}
