package mdpconn

import "time"

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
