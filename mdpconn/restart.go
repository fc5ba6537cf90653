package mdpconn

// A RestartHandler is a Handler that is told when a peer has begun anew: its node
// was started again since there were session keys with it last, and there are new
// ones (docs/extension.md §14). What it knew of connections is gone.
//
// HandleRestart is called once for each handler of a bound socket, on a receiving
// goroutine, before anything that the peer says under the new keys is handed on. It
// must not block. local is the identity of this node that the keys are for. boot
// is when the peer was started, by its clock: a datagram whose Made is before that
// is one of its former life. Those of the new life may have come already, in the
// box; a recording of a hello brings nothing about, as it has no keys.
type RestartHandler interface {
	Handler
	HandleRestart(local, remote SID, boot int64)
}

// tellRestart tells the handlers of bound sockets that a peer has begun anew.
func (n *Node) tellRestart(p pair, boot int64) {
	for _, h := range handlersOf[RestartHandler](n, p.local) {
		h.HandleRestart(p.local, p.remote, boot)
	}
}

// handlersOf gives those handlers of sockets bound to an identity that want to be
// told of more than datagrams, each once.
func handlersOf[H Handler](n *Node, local SID) (handlers []H) {
	var told []sink
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.ports.bound {
		if s.local.SID != All && s.local.SID != local {
			continue
		}
		if h, ok := s.sink.handler.(H); ok && !contains(told, s.sink) {
			told, handlers = append(told, s.sink), append(handlers, h)
		}
	}
	return handlers
}

func contains(sinks []sink, s sink) bool {
	for _, o := range sinks {
		if o.same(s) {
			return true
		}
	}
	return false
}
