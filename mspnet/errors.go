package mspnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"mesh.example/msp/mdpconn"
)

// opError wraps an error of the engine, once, as package net does. io.EOF stays
// bare.
func (c *Conn) opError(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	var errno syscall.Errno
	if err != os.ErrDeadlineExceeded && errors.As(err, &errno) { // net/http meets a deadline at each request
		err = os.NewSyscallError(op, err)
	}
	return &net.OpError{Op: op, Net: network, Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// A timeoutError is a dial that nobody answered. It unwraps to what ended it.
type timeoutError struct {
	cause error
	tried string
}

func (e *timeoutError) Error() string   { return e.cause.Error() + " (" + e.tried + ")" }
func (e *timeoutError) Unwrap() error   { return e.cause }
func (e *timeoutError) Timeout() bool   { return true }
func (e *timeoutError) Temporary() bool { return true }

// dialError makes the inner error of a failed dial. One that timed out tells
// what was tried.
func dialError(err error, path mdpconn.Path) error {
	var op *net.OpError
	switch {
	case errors.As(err, &op): // of Bind
		return op.Err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return &timeoutError{err, tried(path)}
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.NewSyscallError("connect", err)
	}
	return err
}

// tried tells how far a dial got.
func tried(p mdpconn.Path) string {
	var where string
	switch {
	case p.Daemon != "" && p.Hops == 0:
		return "servald at socket " + p.Daemon + " knows no route"
	case p.Daemon != "":
		return fmt.Sprintf("servald at socket %s has a route of %d hops", p.Daemon, p.Hops)
	case p.Endpoint.IsValid():
		where = "endpoint " + p.Endpoint.String()
	case len(p.Candidates) > 0:
		names := make([]string, len(p.Candidates))
		for i, c := range p.Candidates {
			names[i] = c.String()
		}
		where = "unconfirmed endpoint " + strings.Join(names, ", ")
	default:
		where = "no known endpoint"
	}
	return fmt.Sprintf("%s, sent %d, received %d", where, p.Sent, p.Received)
}
