package mdpconn

import (
	"errors"
	"fmt"
	"syscall"
)

// A DownHandler is a Handler that is told when what carries the datagrams is
// lost. Only a node at a servald daemon can lose it.
//
// The node calls the methods for each handler of its bound sockets, one call at
// a time, HandleDown first. They must not block, and must not bind.
type DownHandler interface {
	Handler

	// HandleDown is called once when the daemon is gone: sending fails from now
	// on, and what was on its way may be lost. Sockets stay. err is a
	// *DaemonError.
	HandleDown(err error)

	// HandleUp is called once the daemon is back, before anything else arrives:
	// the node is about to bind its sockets again. Of those bound for Primary
	// LocalAddr has changed if the daemon has another primary identity now.
	HandleUp()
}

// A DaemonError tells that no servald daemon carries the datagrams of a node: it
// does not run, has ended, or does not answer. It unwraps to syscall.ENETDOWN,
// and to nothing that could be taken for an answer of a peer.
type DaemonError struct {
	Socket  string // name of the daemon's socket; "@" stands for a NUL
	Problem string // what is the matter, in words
}

func (e *DaemonError) Error() string {
	return fmt.Sprintf("servald at socket %s %s", e.Socket, e.Problem)
}

// Unwrap gives syscall.ENETDOWN.
func (e *DaemonError) Unwrap() error { return syscall.ENETDOWN }

// goneError is of a daemon that was there.
func goneError(socket string, cause error) *DaemonError {
	return &DaemonError{socket, fmt.Sprintf("is gone (%s): the daemon has ended or was restarted", plainCause(cause))}
}

// absentError is of a daemon that cannot be reached.
func absentError(socket string, cause error) *DaemonError {
	return &DaemonError{socket, fmt.Sprintf("is not running (%s): start it, or name its instance path, "+
		"by an argument or in SERVALINSTANCE_PATH, as it is spelled there", plainCause(cause))}
}

func silentError(socket string) *DaemonError {
	return &DaemonError{socket, fmt.Sprintf("does not answer within %v", answerTime)}
}

// plainCause gives what the system said, without its wrapping.
func plainCause(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}
