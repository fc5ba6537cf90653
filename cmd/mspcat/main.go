// Mspcat pipes standard input and output through a stream between two public
// keys: netcat over Serval MSP.
//
//	mspcat listen PORT          serve one connection
//	mspcat connect SID PORT     open one
//	mspcat -l PORT              the same in netcat's form
//	mspcat SID PORT
//	mspcat peers                whom this host reaches, and how
//	mspcat lookup NAME          find listeners with --service=NAME
//	mspcat key new|show|import  identities
//	mspcat try [FILE]           both ends at once, over real UDP: a self test
//
// With --via servald both go through a servald daemon on this host, under its
// identity.
//
// A listener prints on stderr, as its last line before it serves, the command to
// paste on the other side. Stdout carries nothing but the peer's data.
//
// The end of stdin ends this direction only, and the peer's end closes stdout;
// the program ends when both have. An interruption (Ctrl-C) stops reading stdin
// and delivers what was read; a second one aborts, and tells the peer so. SIGTERM
// aborts at once.
//
// With --forward=TCPPORT any number of connections are joined with TCP ones
// instead, until an interruption, which aborts them.
//
// # Exit status
//
//	0    all of stdin was delivered and acknowledged, the peer ended its
//	     direction in order, and all that it sent was written to stdout
//	1    anything else: refused, aborted, timed out, not delivered, not written
//	2    a mistake in the command line
//	130  interrupted; what had been read from stdin was delivered
//	143  ended by SIGTERM: the peer was told of an abort
//
// A listener with --keep-open that is interrupted while it waits ends with 0 if
// every connection ended so that its status would be 0, else with 1. So does a
// forwarder without open connections; with some it ends with 130 or 143, or with 1
// if others failed before.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// A pipe that breaks behind stdout is an error of write, of which the peer
	// is told, not the end.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr))
}
