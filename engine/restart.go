package engine

import (
	"syscall"

	"mesh.example/msp/mdpconn"
)

// errRestarted ends connections to a peer that has begun anew.
var errRestarted error = restartedError{}

type restartedError struct{}

func (restartedError) Error() string { return "the peer was restarted: " + syscall.ECONNRESET.Error() }
func (restartedError) Unwrap() error { return syscall.ECONNRESET }

// A restart is a peer that has begun anew.
type restart struct {
	local, remote mdpconn.SID
	boot          int64 // by its clock
}

// HandleRestart ends the connections to the peer's former life, as soon as what
// came before is taken. It implements [mdpconn.RestartHandler].
func (e *Engine) HandleRestart(local, remote mdpconn.SID, boot int64) {
	e.mu.Lock()
	if !e.closing {
		e.inbox = append(e.inbox, arrival{restart: true, Datagram: mdpconn.Datagram{
			Local: mdpconn.Addr{SID: local}, Remote: mdpconn.Addr{SID: remote}, Made: boot,
		}})
	}
	e.wakeLocked()
	e.mu.Unlock()
}

// HandleRestart has the next Processing close the sockets that are connected to
// the peer's former life, as failed. It implements [mdpconn.RestartHandler].
func (m *Manual) HandleRestart(local, remote mdpconn.SID, boot int64) {
	m.mu.Lock()
	m.restarts = append(m.restarts, restart{local, remote, boot})
	m.mu.Unlock()
	m.signal()
}

// failRestarted ends the connections after HandleRestart.
func (m *Manual) failRestarted() {
	m.mu.Lock()
	restarts := m.restarts
	m.restarts = nil
	m.mu.Unlock()
	for _, r := range restarts {
		m.mux.Restarted(r.local, r.remote, r.boot)
	}
}
