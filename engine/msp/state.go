package msp

import "strings"

// State is the set of state bits that the protocol's original hands to a
// handler (§12).
type State uint16

const (
	Listening      State = 1 << iota // a listener
	ReceivedData                     // a message has arrived
	ReceivedPacket                   // any packet has arrived: the peer is connected
	ShutdownLocal                    // nothing more can be sent
	ShutdownRemote                   // the peer's SHUTDOWN was delivered: nothing more comes
	Closed                           // over, for whatever reason
	Failed                           // closed by a time-out, a restart of the peer or a failure below (stock: ERROR)
	DataOut                          // there is room for another message
	Stopped                          // closed by a STOP from the peer
)

// String gives the names of the set bits, joined by "|", or "0".
func (s State) String() string {
	var names []string
	for i, name := range [...]string{"LISTENING", "RECEIVED_DATA", "RECEIVED_PACKET", "SHUTDOWN_LOCAL",
		"SHUTDOWN_REMOTE", "CLOSED", "ERROR", "DATAOUT", "STOPPED"} {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if names == nil {
		return "0"
	}
	return strings.Join(names, "|")
}

// Cause tells how a connection ended.
type Cause byte

const (
	Open      Cause = iota // it has not ended
	Finished               // both directions shut down and delivered (§8.1)
	Refused                // STOP answered our first packets (§6.3)
	Reset                  // STOP came later (§8.3)
	TimedOut               // 10 s of silence (§7)
	Aborted                // we aborted it (§8.3)
	Failure                // the layer below failed
	Restarted              // the peer has begun anew, and knows nothing of it (Mux.Restarted)
)

var causeNames = [...]string{"open", "finished", "refused", "reset", "timed out", "aborted", "failed", "peer restarted"}

// String gives the cause in words.
func (c Cause) String() string { return causeNames[c] }
