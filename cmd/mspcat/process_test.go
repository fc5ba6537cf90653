package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// A process is mspcat in a process of its own. If it hangs it is killed, which
// shows as a status of -1.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  *os.File // the test's ends of the pipes
	stdout *os.File

	exited chan struct{}

	mu    sync.Mutex
	lines []string      // of stderr
	more  chan struct{} // closed at the next line, and at the end of stderr
	ended bool
}

// processLimit is when a process that hangs is killed.
const processLimit = 40 * time.Second

// start starts mspcat with a configuration directory of its own.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	return startIn(t, t.TempDir(), os.Args[0], args...)
}

// startIn starts a command with home as the user's home directory.
func startIn(t *testing.T, home, command string, args ...string) *process {
	t.Helper()
	return startWith(t, processLimit, home, []string{beMspcat + "=1"}, command, args...)
}

// startWith does so with a limit of its own and more in the environment.
func startWith(t *testing.T, limit time.Duration, home string, env []string, command string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	p := &process{t: t, cmd: exec.CommandContext(ctx, command, args...),
		exited: make(chan struct{}), more: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), env...),
		"HOME="+home, "XDG_CONFIG_HOME="+home+"/config", "AppData="+home,
		"GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE")) // else it takes a second to end in order
	var stdin, stdout, stderr *os.File
	stdin, p.stdin = pipeFor(t)
	p.stdout, stdout = pipeFor(t)
	lines, stderr := pipeFor(t)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = stdin, stdout, stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	stdout.Close()
	stderr.Close()
	go p.readLines(lines)
	go func() {
		defer close(p.exited)
		p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("stderr of mspcat %.200q:\n%s", args, p.stderr())
		}
	})
	return p
}

func pipeFor(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func (p *process) readLines(r io.Reader) {
	scanner := bufio.NewScanner(r)
	for scanner.Scan() {
		p.note(func() { p.lines = append(p.lines, scanner.Text()) })
	}
	p.note(func() { p.ended = true })
}

func (p *process) note(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.more)
	p.more = make(chan struct{})
}

// waitLine waits for a line on stderr that contains text.
func (p *process) waitLine(text string) string {
	p.t.Helper()
	for seen := 0; ; {
		p.mu.Lock()
		lines, ended, more := p.lines[seen:], p.ended, p.more
		p.mu.Unlock()
		for _, l := range lines {
			if strings.Contains(l, text) {
				return l
			}
		}
		seen += len(lines)
		if ended {
			p.t.Fatalf("mspcat ended without a line with %q on stderr", text)
		}
		<-more
	}
}

// stderr returns what was written there so far.
func (p *process) stderr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// write gives the process input.
func (p *process) write(b []byte) {
	p.t.Helper()
	if _, err := p.stdin.Write(b); err != nil {
		p.t.Fatalf("writing to mspcat's stdin: %v", err)
	}
}

// give gives the process input in the background, and the end of it.
func (p *process) give(b []byte) {
	go func() {
		defer p.stdin.Close()
		p.stdin.Write(b) // an error shows in what arrives
	}()
}

// read reads n bytes of the process's stdout.
func (p *process) read(n int) []byte {
	p.t.Helper()
	b := make([]byte, n)
	if k, err := io.ReadFull(p.stdout, b); err != nil {
		p.t.Fatalf("mspcat's stdout ended after %d of %d bytes: %v", k, n, err)
	}
	return b
}

// readAll reads the process's stdout to its end.
func (p *process) readAll() []byte {
	p.t.Helper()
	b, err := io.ReadAll(p.stdout)
	if err != nil {
		p.t.Fatalf("mspcat's stdout: %v", err)
	}
	return b
}

// wantStatus waits for the process to end.
func (p *process) wantStatus(why string, want int) {
	p.t.Helper()
	<-p.exited
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		p.t.Errorf("%s: exit status %d, want %d", why, got, want)
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// listen starts a listener on the loopback address and returns the command that
// it prints for the other side.
func listen(t *testing.T, args ...string) (l *process, command []string) {
	t.Helper()
	l = start(t, append([]string{"listen", "5000", "--bind", "127.0.0.1:0"}, args...)...)
	return l, strings.Fields(l.waitLine(" connect "))
}

// connect starts what a listener has printed, with more arguments.
func connect(t *testing.T, command []string, args ...string) *process {
	t.Helper()
	return startIn(t, t.TempDir(), command[0], append(command[1:len(command):len(command)], args...)...)
}

// randomBytes returns n bytes that are the same each time.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

// wantBytes compares what arrived with what was sent.
func wantBytes(t *testing.T, why string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	same := 0
	for same < len(got) && same < len(want) && got[same] == want[same] {
		same++
	}
	t.Errorf("%s: got %d bytes, want %d; the first %d are the same", why, len(got), len(want), same)
}
