package mdpconn

// A carrier is what a node's datagrams travel by: overlay packets over links of
// its own, or a servald daemon. The node does what is the same for both.
type carrier interface {
	bind(local Addr, h Handler) (*Socket, error)
	unbind(s *Socket) // s is closed and no longer in the node's table
	send(batch []Datagram) (int, error)
	primary() SID
	sids() []SID // the primary one first; the caller's
	hold(local, remote SID) (release func(), err error)
	path(local, remote SID) Path
	peers() []PeerInfo
	serveServices() (stop func(), err error)      // questions for services reach the node
	askServices(from Port, question []byte) error // broadcasts one
	close() error                                 // the last of the node's Close; done is closed
}

// overlayCarrier is the node itself as a member of the mesh.
type overlayCarrier struct{ n *Node }

func (o overlayCarrier) bind(local Addr, h Handler) (*Socket, error) {
	return o.n.bindOverlay(local, h)
}
func (o overlayCarrier) unbind(*Socket)                     {}
func (o overlayCarrier) send(batch []Datagram) (int, error) { return o.n.sendOverlay(batch) }
func (o overlayCarrier) primary() SID                       { return o.n.own.Load().order[0].sid }
func (o overlayCarrier) sids() []SID                        { return o.n.sidsOverlay() }
func (o overlayCarrier) path(local, remote SID) Path        { return o.n.pathOverlay(local, remote) }
func (o overlayCarrier) peers() []PeerInfo                  { return o.n.peersOverlay() }
func (o overlayCarrier) close() error                       { return nil }

func (o overlayCarrier) hold(local, remote SID) (func(), error) {
	return o.n.holdOverlay(local, remote)
}
