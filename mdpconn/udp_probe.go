package mdpconn

// A probingLink is a link that can send a packet so that nobody on its way cuts it
// into fragments. Of others it is taken that nobody does.
type probingLink interface {
	// WriteProbe sends one packet, whole or not at all, as WritePackets does
	// otherwise. The error is errTooLarge (errors.Is) if it cannot leave the host
	// that way.
	WriteProbe(p Packet) error
}

// writeProbe sends a packet that is to show whether its size passes whole. On this
// host itself fragments do no harm.
func (l *nodeLink) writeProbe(p Packet) error {
	if w, ok := l.link.(probingLink); ok && !p.Addr.Addr().IsLoopback() {
		return w.WriteProbe(p)
	}
	_, err := l.link.WritePackets([]Packet{p})
	return err
}
