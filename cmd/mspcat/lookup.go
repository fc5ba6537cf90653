package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mesh.example/msp/mdpconn"
)

// lookupWait is how long lookup asks unless told.
const lookupWait = wait(3 * time.Second)

func (p *program) lookupCommand() *cobra.Command {
	opts := options{wait: lookupWait}
	first := false
	cmd := &cobra.Command{
		Use:   "lookup [NAME]",
		Short: "Find listeners by the name of their service",
		Long: `Ask the mesh for listeners with --service=NAME, of any name without one, and print
a line for each that answers: SID, port and name. Whoever answers is asked once
more enciphered; one that does not confirm it is marked "unverified" behind the
name: anybody may have said so.

Exit status:
  0    at least one was found
  1    none was
  2    a mistake in the command line
  130  interrupted before the end (SIGTERM: 143)`,
		Example: `  mspcat connect $(mspcat lookup -1 chat)`,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("%d arguments: expected one, the NAME to look for, or none", len(args))
			}
			name := ""
			if len(args) == 1 {
				name = args[0]
				if err := mdpconn.CheckServiceName(name); err != nil {
					return &usageError{err}
				}
			}
			return p.lookup(cmd.Context(), &opts, name, first)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	opts.addNodeFlags(cmd.Flags())
	cmd.Flags().VarP(&opts.wait, "wait", "w", "how long to ask, a `DURATION`")
	cmd.Flags().BoolVarP(&first, "first", "1", false, "print SID and port of the first that is verified, and end")
	return cmd
}

// errNotFound is the end of a look-up that found nothing.
var errNotFound = errors.New("no such service")

// lookup prints the services that are found.
func (p *program) lookup(ctx context.Context, opts *options, name string, first bool) error {
	ints := catchInterrupts(ctx)
	defer ints.release()
	node, closeNode, err := p.peersNode(opts)
	if err != nil {
		return err
	}
	defer closeNode()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(opts.wait))
	defer cancel()
	ctx, cancel2 := ints.bounded(ctx, ints.first)
	defer cancel2()

	found := 0
	var broken error
	err = node.LookupServices(ctx, name, func(s mdpconn.Service) bool {
		line := fmt.Sprintf("%v %d %s\n", s.Addr.SID, s.Addr.Port, s.Name)
		switch {
		case first && !s.Verified:
			return true
		case first:
			line = fmt.Sprintf("%v %d\n", s.Addr.SID, s.Addr.Port)
		case !s.Verified:
			line = fmt.Sprintf("%v %d %s unverified\n", s.Addr.SID, s.Addr.Port, s.Name)
		}
		found++
		_, broken = p.stdout.Write([]byte(line))
		return broken == nil && !first
	})
	switch {
	case broken != nil:
		return &stdoutError{broken}
	case ints.interrupted():
		return &interruptedError{ints.signal, "before the end"}
	case err != nil && !errors.Is(err, context.DeadlineExceeded):
		return err
	case found == 0:
		return fmt.Errorf("%w: nobody answered in %v", errNotFound, &opts.wait)
	}
	return nil
}

// A serviceName is the name of a service.
type serviceName string

func (s *serviceName) Set(text string) error {
	if mdpconn.CheckServiceName(text) != nil {
		return errors.New("expected 1 to 63 letters, digits, '-', '_' or '.'")
	}
	*s = serviceName(text)
	return nil
}

func (s *serviceName) Type() string   { return "name" }
func (s *serviceName) String() string { return string(*s) }
