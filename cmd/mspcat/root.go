package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/spf13/cobra"
)

// A program is one run of mspcat: its streams, and how it was called.
type program struct {
	name   string // args[0]
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// run runs mspcat with args, of which the first is the program's name, and
// returns the exit status. If ctx is done, it ends as after two interruptions.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{args[0], stdin, stdout, &lockedWriter{w: stderr}}
	root := p.rootCommand()
	parsed := false
	root.PersistentPreRun = func(*cobra.Command, []string) { parsed = true }
	root.SetArgs(args[1:])
	err := root.ExecuteContext(ctx)
	if err != nil && !parsed {
		err = &usageError{err}
	}
	if err != nil {
		p.say("%s", oneLine(err))
	}
	return exitStatus(err)
}

// A lockedWriter is stderr, on which connections that are served at once write.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// say prints a line on stderr.
func (p *program) say(format string, args ...any) {
	fmt.Fprintf(p.stderr, "mspcat: "+format+"\n", args...)
}

const rootHelp = `Mspcat pipes standard input and output through a stream between two public keys.

A SID names the peer: 64 hexadecimal digits, its public key. Where the peer is
found is discovered on this host and network, or told by --peer. With --via servald
a servald daemon on this host finds and carries, under its own identity.

The end of stdin ends this direction only, and the peer's end closes stdout; the
program ends when both have. The first Ctrl-C stops reading stdin and delivers
what was read; the second aborts. SIGTERM aborts at once.
` + statusHelp

const statusHelp = `
Exit status:
  0    all of stdin was delivered and acknowledged, the peer ended in order, and
       all that it sent was written to stdout
  1    anything else: refused, aborted, timed out, not delivered, not written
  2    a mistake in the command line
  130  interrupted, what had been read from stdin was delivered
  143  ended by SIGTERM: the peer was told of an abort
With --forward, when interrupted: 1 if a connection failed before, else 130 (143)
if connections were open, which are aborted, else 0.`

func (p *program) rootCommand() *cobra.Command {
	var opts options
	var listen bool
	root := &cobra.Command{
		Use:   "mspcat [-l] [SID] PORT",
		Short: "Pipe stdin and stdout through a stream between two public keys",
		Long:  rootHelp,
		Example: `  mspcat listen 5000 >file                         on one side
  mspcat connect SID 5000 --peer udp:HOST:PORT <file   on the other
  mspcat try                                        both at once, a self test`,
		Args:          cobra.ArbitraryArgs,
		Version:       buildVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if listen {
				return p.listen(cmd.Context(), args, &opts)
			}
			if err := onlyListening(cmd.Flags()); err != nil {
				return err
			}
			if len(args) == 0 {
				return usagef("no command: expected one, or SID PORT, or -l PORT; see mspcat --help")
			}
			if err := notCommand(cmd, args); err != nil {
				return err
			}
			return p.connect(cmd.Context(), args, &opts)
		},
	}
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetVersionTemplate("{{.Version}}\n")
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath())
	})
	root.Flags().BoolVarP(&listen, "listen", "l", false, "listen at PORT, as the command listen does")
	opts.addPipeFlags(root.Flags())
	opts.addConnectFlags(root.Flags())
	opts.addListenFlags(root.Flags())
	root.AddCommand(p.listenCommand(), p.connectCommand(), p.peersCommand(), p.lookupCommand(), p.keyCommand(), p.tryCommand(), p.versionCommand())
	strictCompletion(root)
	return root
}

// strictCompletion makes cobra's command for shell completion refuse what is no
// shell, rather than print its help and succeed.
func strictCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd("completion")
	cmd, _, err := root.Find([]string{"completion"})
	if err != nil {
		panic("BUG: no completion command: " + err.Error())
	}
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		const want = "expected bash, zsh, fish or powershell"
		if len(args) == 0 {
			return usagef("completion for no shell: %s", want)
		}
		return usagef("completion for %q: %s", strings.Join(args, " "), want)
	}
}

// notCommand tells of a first argument that was meant as a command: it cannot
// be a SID.
func notCommand(root *cobra.Command, args []string) error {
	word := args[0]
	if near := root.SuggestionsFor(word); len(near) > 0 {
		return usagef("%q is no command: expected %q?", word, near[0])
	}
	if len(word) > 20 || len(args) == 2 && isPort(args[1]) {
		return nil // it was meant as a SID
	}
	return usagef("%q is neither a command nor a SID: expected 64 hexadecimal digits", word)
}
