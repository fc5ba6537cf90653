package mdpconn

import "io"

// attachments are what upper layers tied to the node's life. Guarded by
// Node.mu.
type attachments struct {
	byKey map[any]*attachment
	order []*attachment
}

// An attachment is one of them. Its value may be read once ready is closed.
type attachment struct {
	ready chan struct{}
	value io.Closer
}

func (a *attachments) init()    { a.byKey = make(map[any]*attachment) }
func (a *attachments) len() int { return len(a.order) }

// Attach ties something of an upper layer to the node: the first call with a
// key calls open and keeps what it gives, later ones give the same value. Close
// closes the attachments, the last one first, while the node still works. open
// may use the node, but not attach with the same key. The key must be
// comparable; use a type of your own. Attach gives nil once Close was called.
func (n *Node) Attach(key any, open func() io.Closer) io.Closer {
	n.mu.Lock()
	if n.state != nodeOpen {
		n.mu.Unlock()
		return nil
	}
	a := n.attached.byKey[key]
	if a != nil {
		n.mu.Unlock()
		<-a.ready
		return a.value
	}
	a = &attachment{ready: make(chan struct{})}
	n.attached.byKey[key] = a
	n.attached.order = append(n.attached.order, a)
	n.mu.Unlock()
	defer close(a.ready)
	a.value = open()
	return a.value
}

// closeAttachments closes all of them. No more are added meanwhile, as the node
// is no longer open.
func (n *Node) closeAttachments() (errs []error) {
	n.mu.Lock()
	order := n.attached.order
	n.attached = attachments{}
	n.mu.Unlock()
	for i := len(order) - 1; i >= 0; i-- {
		<-order[i].ready
		if order[i].value != nil {
			errs = append(errs, order[i].value.Close())
		}
	}
	return errs
}
