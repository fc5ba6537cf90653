package mdpconn

import "sync/atomic"

// A udpECN is what a UDP socket has of explicit congestion notification.
type udpECN struct {
	reads  bool        // the system tells the codepoint of what arrives; constant
	sends  atomic.Bool // and takes that of what is written
	worked atomic.Bool // it did so once
}

// ECN reports whether packets are written with their codepoint, and read with it.
func (u *udpLink) ECN() bool { return u.ecn.reads && u.ecn.sends.Load() }
