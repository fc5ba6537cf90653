package mspnet

import (
	"context"

	"mesh.example/msp/mdpconn"
)

// A Service is a listener that was found by its name (ListenConfig.Service). Its
// Addr.String is fit for Dial.
type Service = mdpconn.Service

// LookupService asks the mesh around node, the default node if it is nil, for
// listeners of a name and returns the first that answers and proves that the
// answer is its own. It may be a listener of node itself. It returns ctx's error
// if there is none before.
//
// For all of them, also those that prove nothing, see [mdpconn.Node.LookupServices].
func LookupService(ctx context.Context, node *mdpconn.Node, name string) (s Service, err error) {
	if node == nil {
		if node, err = DefaultNode(); err != nil {
			return s, err
		}
	}
	err = node.LookupServices(ctx, name, func(found Service) bool {
		s = found
		return !found.Verified
	})
	if err != nil {
		return Service{}, err
	}
	return s, nil
}
