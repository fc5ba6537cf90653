package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// What the tests against a real servald take from the environment, because its
// client protocol, all that is known here, does not tell it (docs/compatibility.md).
const (
	// servaldProgramVar names the program. Default: servald, on PATH.
	servaldProgramVar = "MSP_TEST_SERVALD"
	// servaldStartVar is the arguments that run the daemon of $SERVALINSTANCE_PATH in
	// the foreground, separated by blanks.
	servaldStartVar = "MSP_TEST_SERVALD_START"
	// servaldInstanceVar is a directory whose files are copied into each instance
	// path before the start: a configuration with one interface, "v".
	servaldInstanceVar = "MSP_TEST_SERVALD_INSTANCE"
)

// A servaldProgram is how to run one.
type servaldProgram struct {
	path     string
	start    []string
	instance string   // files for each instance; empty: none
	env      []string // of all its processes
	fake     bool     // no overlay, and mspcat for its msp tool
}

// realServald gives the program of the environment, or why there is none.
func realServald() (*servaldProgram, string) {
	name := os.Getenv(servaldProgramVar)
	if name == "" {
		name = "servald"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Sprintf("no servald: %v; put one on PATH, or name it in $%s", err, servaldProgramVar)
	}
	start := strings.Fields(os.Getenv(servaldStartVar))
	if len(start) == 0 {
		return nil, fmt.Sprintf("%s is there, but $%s does not say with what arguments it runs the daemon in the foreground", path, servaldStartVar)
	}
	return &servaldProgram{path: path, start: start, instance: os.Getenv(servaldInstanceVar)}, ""
}

// fakeServaldProgram gives this test binary in the part of servald.
func fakeServaldProgram(t *testing.T) *servaldProgram {
	return &servaldProgram{
		path: os.Args[0], start: []string{"start"}, fake: true,
		env: []string{beServald + "=" + filepath.Join(t.TempDir(), "mesh")},
	}
}

// A servaldLab is two daemons that reach each other.
type servaldLab struct {
	t        *testing.T
	program  *servaldProgram
	netns    [2]string // empty: that of the test
	instance [2]string
	sid      [2]string
	daemon   [2]*process
}

// newServaldLab starts two daemons, in network namespaces of their own if apart.
func newServaldLab(t *testing.T, program *servaldProgram, apart bool) *servaldLab {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("not run: this system has no unixgram sockets")
	}
	l := &servaldLab{t: t, program: program}
	if apart {
		l.namespaces()
	}
	for i := range l.daemon {
		dir, err := os.MkdirTemp("", "sv") // short: the name of the socket has to fit
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		l.instance[i] = dir
		if program.instance != "" {
			if err := os.CopyFS(l.instance[i], os.DirFS(program.instance)); err != nil {
				t.Fatal(err)
			}
		}
		l.daemon[i] = l.runFor(10*time.Minute, i, program.env, program.path, program.start...)
		if program.fake {
			l.daemon[i].waitLine(fakeIsUp)
		}
		l.sid[i] = l.look(i)
	}
	l.look(0, l.sid[1])
	l.look(1, l.sid[0])
	return l
}

// namespaces makes two, with a link.
func (l *servaldLab) namespaces() {
	l.t.Helper()
	if os.Getuid() != 0 {
		l.t.Skip("not run: network namespaces need root")
	}
	ip := func(args string) {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			l.t.Skipf("not run: ip %s: %v: %s", args, err, out)
		}
	}
	for i := range l.netns {
		name := fmt.Sprintf("mspcat-test-%d-%d", os.Getpid(), i)
		ip("netns add " + name)
		l.t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
		l.netns[i] = name
	}
	ip(fmt.Sprintf("-n %s link add v type veth peer name v netns %s", l.netns[0], l.netns[1]))
	for i, name := range l.netns {
		ip(fmt.Sprintf("-n %s addr add 10.78.0.%d/24 brd + dev v", name, i+1))
		ip(fmt.Sprintf("-n %s link set v up", name))
		ip(fmt.Sprintf("-n %s link set lo up", name))
	}
	if l.program.fake {
		l.netns[1] = l.netns[0] // its daemons are in one process
	}
}

// run starts a command beside daemon i.
func (l *servaldLab) run(i int, env []string, command string, args ...string) *process {
	l.t.Helper()
	return l.runFor(processLimit, i, env, command, args...)
}

func (l *servaldLab) runFor(limit time.Duration, i int, env []string, command string, args ...string) *process {
	l.t.Helper()
	if l.netns[i] != "" {
		command, args = "ip", append([]string{"netns", "exec", l.netns[i], command}, args...)
	}
	env = append([]string{"SERVALINSTANCE_PATH=" + l.instance[i]}, env...)
	return startWith(l.t, limit, l.t.TempDir(), env, command, args...)
}

// look waits until daemon i is there, and has a route to the SID that is given. It
// gives its own SID.
func (l *servaldLab) look(i int, to ...string) string {
	l.t.Helper()
	p := l.run(i, []string{beLookout + "=1"}, os.Args[0], to...)
	fields := strings.Fields(p.waitLine("daemon "))
	return fields[len(fields)-1]
}

// An end is what stands at one end of a stream.
type end int

const (
	stockTool end = iota // servald msp
	viaDaemon            // mspcat --via servald
	neighbour            // mspcat, as a neighbour of the other side's daemon
)

func (e end) String() string {
	return [...]string{"servald msp", "mspcat via servald", "mspcat by UDP"}[e]
}

// tool starts a tool beside daemon i.
func (l *servaldLab) tool(e end, i int, args ...string) *process {
	l.t.Helper()
	switch e {
	case stockTool:
		return l.run(i, l.program.env, l.program.path, append([]string{"msp"}, args...)...)
	case viaDaemon:
		args = append(args[:1:1], append([]string{"--via=servald"}, args[1:]...)...)
	}
	return l.run(i, []string{beMspcat + "=1"}, os.Args[0], args...)
}

var hexSID = regexp.MustCompile(`\b[0-9A-Fa-f]{64}\b`)

// pair starts a listener beside daemon 1, and what connects to it beside daemon 0.
func (l *servaldLab) pair(listener, connector end, port string) (to, from *process) {
	l.t.Helper()
	to, sid := l.listen(listener, port)
	return to, l.tool(connector, 0, "connect", sid, port)
}

// listen starts a listener beside daemon 1, and gives the SID to connect to. Stock's
// tool does not say when it listens; whoever connects tries for 10 s.
func (l *servaldLab) listen(e end, port string) (*process, string) {
	l.t.Helper()
	p := l.tool(e, 1, "listen", port)
	if e == stockTool {
		return p, l.sid[1]
	}
	return p, hexSID.FindString(p.waitLine(" connect "))
}
