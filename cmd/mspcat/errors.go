package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// The exit statuses, see the package's documentation.
const (
	statusFailed      = 1
	statusUsage       = 2
	statusInterrupted = 128 // and the signal's number
)

// A usageError is a mistake in the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// An interruptedError is an end that the user wanted: by SIGINT nothing that was
// read from stdin is missing at the peer; by SIGTERM, and of a forwarder, what
// was open was aborted.
type interruptedError struct {
	signal os.Signal
	what   string
}

func (e *interruptedError) Error() string {
	if e.signal == terminate {
		return "interrupted " + e.what + " (SIGTERM)"
	}
	return "interrupted " + e.what
}

// A stdoutError is a failure to write what the peer sent.
type stdoutError struct{ err error }

func (e *stdoutError) Error() string { return "stdout: " + reason(e.err) }
func (e *stdoutError) Unwrap() error { return e.err }

// A stdinError is a failure to read what the peer is to get.
type stdinError struct{ err error }

func (e *stdinError) Error() string { return "stdin: " + reason(e.err) }
func (e *stdinError) Unwrap() error { return e.err }

// exitStatus returns the status of a program that ends with err.
func exitStatus(err error) int {
	var usage *usageError
	var interrupted *interruptedError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		return statusUsage
	case errors.As(err, &interrupted):
		if number, ok := interrupted.signal.(syscall.Signal); ok {
			return statusInterrupted + int(number)
		}
	}
	return statusFailed
}

// oneLine returns an error's text fit for the user: without the name of the
// package that it is from, and on one line.
func oneLine(err error) string {
	text := err.Error()
	for _, pkg := range []string{"mdpconn: ", "mspnet: "} {
		text = strings.ReplaceAll(text, pkg, "")
	}
	return strings.Join(strings.Fields(text), " ")
}

// reason returns what an error of the network or of a file says beside the
// addresses or the name, which its user knows.
func reason(err error) string {
	var op *net.OpError
	var path *os.PathError
	var call *os.SyscallError
	var in *stdinError
	var out *stdoutError
	switch {
	case errors.As(err, &in), errors.As(err, &out):
		return err.Error()
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused: nobody listens there"
	case errors.Is(err, syscall.ECONNRESET):
		return "the peer aborted the connection"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.As(err, &op) && op.Err != nil:
		return reason(op.Err)
	case errors.As(err, &path):
		return path.Err.Error()
	case errors.As(err, &call):
		return call.Err.Error()
	}
	return err.Error()
}
