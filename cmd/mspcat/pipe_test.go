package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestFilesBothWays(t *testing.T) {
	t.Parallel()
	there, back := randomBytes(1<<20+17), randomBytes(1<<19+1)
	l, command := listen(t)
	c := connect(t, command)
	l.give(back)
	c.give(there)
	gotThere := make(chan []byte, 1)
	go func() { gotThere <- l.readAll() }()
	wantBytes(t, "the connecting side's stdout is the listener's stdin", c.readAll(), back)
	wantBytes(t, "the listener's stdout is the connecting side's stdin", <-gotThere, there)
	c.wantStatus("everything was delivered", 0)
	l.wantStatus("everything was delivered", 0)
}

func TestNothingBothWays(t *testing.T) {
	t.Parallel()
	l, command := listen(t)
	c := connect(t, command)
	l.give(nil)
	c.give(nil)
	wantBytes(t, "nothing was sent", c.readAll(), nil)
	wantBytes(t, "nothing was sent", l.readAll(), nil)
	c.wantStatus("both ended in order", 0)
	l.wantStatus("both ended in order", 0)
}

// The command line that the listener prints is run by a shell, as a user does.
func TestPrintedCommandWorks(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh to run the printed command with")
	}
	for _, bind := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0"} {
		if bind == "[::1]:0" && !hasIPv6() {
			continue
		}
		l := start(t, "-l", "77", "--bind", bind)
		line := l.waitLine(" connect ")
		if all := strings.Split(l.stderr(), "\n"); all[len(all)-1] != line {
			t.Errorf("the last line is not the command: %q", all)
		}
		c := startIn(t, t.TempDir(), shell, "-c", line)
		c.give([]byte("there"))
		l.give([]byte("back"))
		wantBytes(t, line, c.readAll(), []byte("back"))
		wantBytes(t, line, l.readAll(), []byte("there"))
		c.wantStatus(line, 0)
		l.wantStatus(line, 0)
	}
}

func hasIPv6() bool {
	s := &options{bind: "[::1]:0"}
	id, err := (&program{}).dialIdentity(&options{})
	if err != nil {
		return false
	}
	node, err := s.newNode(id.id, true, s.logger(&program{}))
	if err != nil {
		return false
	}
	node.Close()
	return true
}

// Each form of the peer's address reaches it.
func TestAddressForms(t *testing.T) {
	t.Parallel()
	l, command := listen(t, "-k")
	l.give(nil)
	sid, udp := command[2], strings.TrimPrefix(command[5], "udp:")
	for _, args := range [][]string{
		{sid, "5000", "--peer", "udp:" + udp},
		{sid + "@" + udp, "5000"},
		{sid + ":5000@" + udp},
		{"connect", sid + ":5000@" + udp},
		{"connect", strings.ToLower(sid), "5000", "--peer", "udp:127.0.0.1:9", "--peer", "udp:" + udp, "-w", "20s"},
	} {
		c := start(t, args...)
		c.give([]byte("."))
		wantBytes(t, fmt.Sprint(args), l.read(1), []byte("."))
		c.wantStatus(fmt.Sprint(args), 0)
	}
}

func TestHalfCloseByConnector(t *testing.T) {
	t.Parallel()
	l, command := listen(t)
	c := connect(t, command)
	c.give([]byte("question"))
	wantBytes(t, "the listener's stdout ends while its stdin goes on", l.readAll(), []byte("question"))
	l.give([]byte("answer"))
	wantBytes(t, "the answer comes after the end of the question", c.readAll(), []byte("answer"))
	c.wantStatus("both ended in order", 0)
	l.wantStatus("both ended in order", 0)
}

func TestHalfCloseByListener(t *testing.T) {
	t.Parallel()
	l, command := listen(t)
	c := connect(t, command)
	l.give([]byte("greeting"))
	wantBytes(t, "the connector's stdout ends while its stdin goes on", c.readAll(), []byte("greeting"))
	c.give([]byte("thanks"))
	wantBytes(t, "the thanks come after the end of the greeting", l.readAll(), []byte("thanks"))
	c.wantStatus("both ended in order", 0)
	l.wantStatus("both ended in order", 0)
}

// Without --keep-open the listener serves one connection; another one is
// refused meanwhile.
func TestListenerServesOne(t *testing.T) {
	t.Parallel()
	l, command := listen(t)
	first := connect(t, command)
	first.write([]byte("1"))
	l.read(1)
	second := connect(t, command)
	second.wantStatus("the listener has stopped listening", 1)
	second.waitLine("refused")
	first.give([]byte("2"))
	l.give(nil)
	wantBytes(t, "the first connection is served to its end", l.readAll(), []byte("2"))
	first.wantStatus("the first connection is unharmed", 0)
	l.wantStatus("the only connection ended in order", 0)
}

func TestKeepOpen(t *testing.T) {
	t.Parallel()
	l, command := listen(t, "--keep-open")
	l.give([]byte("once"))
	for i, want := range []string{"once", "", ""} {
		c := connect(t, command)
		c.give([]byte{byte('a' + i)})
		wantBytes(t, "stdin goes to the first connection", c.readAll(), []byte(want))
		wantBytes(t, "stdout is everybody's", l.read(1), []byte{byte('a' + i)})
		c.wantStatus("each connection ends in order", 0)
	}
	interrupt(t, l)
	l.wantStatus("every connection ended in order", 0)
}

// What stdin gives after a connection has failed is the next one's.
func TestKeepOpenAfterAbort(t *testing.T) {
	t.Parallel()
	l, command := listen(t, "--keep-open")
	c := connect(t, command)
	c.write([]byte("1"))
	l.read(1)
	interrupt(t, c)
	c.waitLine("interrupted after 1 bytes")
	// It leaves while our direction is open, which is no end in order.
	l.waitLine("aborted")
	c.wantStatus("interrupted, and delivered", 130)

	c = connect(t, command)
	c.give([]byte("2"))
	l.give([]byte("found"))
	wantBytes(t, "the second connection gets what stdin gives then", c.readAll(), []byte("found"))
	wantBytes(t, "the second connection is served", l.read(1), []byte("2"))
	c.wantStatus("both ended in order", 0)
	interrupt(t, l)
	l.wantStatus("one connection did not end in order", 1)
}

func TestRefused(t *testing.T) {
	t.Parallel()
	_, command := listen(t)
	command[3] = "5001"
	c := connect(t, command)
	c.give([]byte("x"))
	wantBytes(t, "stdout carries data only", c.readAll(), nil)
	c.wantStatus("nobody listens at that port", 1)
	if line := c.waitLine(":5001: "); !strings.Contains(line, "refused") {
		t.Errorf("%q does not tell of the refusal", line)
	}
}

func TestSilentDoesNotRefuse(t *testing.T) {
	t.Parallel()
	_, command := listen(t, "--silent")
	command[3] = "5001"
	c := connect(t, command, "-w", "300ms")
	c.wantStatus("nobody answered", 1)
	// Whether the endpoint is confirmed by then is up to the machine.
	line, udp := c.waitLine(":5001: no answer in 300ms ("), strings.TrimPrefix(command[5], "udp:")
	if !strings.Contains(line, "endpoint "+udp+", ") {
		t.Errorf("%q does not name the endpoint %s", line, udp)
	}
}

// A stdout that breaks ends the program, and the peer learns of it.
func TestBrokenStdout(t *testing.T) {
	t.Parallel()
	l, command := listen(t)
	l.stdout.Close()
	c := connect(t, command)
	go io.Copy(c.stdin, endless{}) // one write need not fail, see TestPeerAborts
	l.wantStatus("stdout is broken", 1)
	l.waitLine("mspcat: stdout: ")
	c.wantStatus("the peer aborted", 1)
	c.waitLine("aborted")
}

// The peer's abort ends the program though its stdin goes on, and what had
// arrived before is on stdout.
func TestPeerAborts(t *testing.T) {
	t.Parallel()
	l, command := listen(t)
	c := connect(t, command)
	c.write([]byte("first"))
	wantBytes(t, "what was sent arrives", l.read(5), []byte("first"))
	c.stdout.Close()
	// A child of another test may hold the pipe for a moment: one write need
	// not fail.
	go io.Copy(l.stdin, endless{})
	c.wantStatus("its stdout is broken", 1)
	wantBytes(t, "nothing is made up", l.readAll(), nil)
	l.wantStatus("an abort is no success", 1)
	l.waitLine("aborted")
}

// endless is a reader without end.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// The peer's abort behind its end is noticed though stdin takes its time.
func TestPeerAbortsBehindItsEnd(t *testing.T) {
	t.Parallel()
	l, command := listen(t)
	c := connect(t, command)
	c.give([]byte("end"))
	wantBytes(t, "the peer's end is here", l.readAll(), []byte("end"))
	interrupt(t, c)
	c.waitLine("once more to abort")
	c.wantStatus("interrupted, and delivered", 130)
	l.wantStatus("an abort is no success", 1)
	l.waitLine("aborted")
}

func TestDiagnosticsGoToStderr(t *testing.T) {
	t.Parallel()
	l, command := listen(t, "-vv", "--stats")
	c := connect(t, command, "-v", "--stats")
	c.give([]byte("data"))
	l.give([]byte("data"))
	wantBytes(t, "stdout carries data only", c.readAll(), []byte("data"))
	wantBytes(t, "stdout carries data only", l.readAll(), []byte("data"))
	c.wantStatus("both ended in order", 0)
	l.wantStatus("both ended in order", 0)
	c.waitLine("level=INFO msg=connected")
	l.waitLine("level=DEBUG")
	for _, p := range []*process{c, l} {
		p.waitLine("delivered   4 bytes")
		p.waitLine("received    4 bytes")
	}
}

// interrupt sends Ctrl-C's signal.
func interrupt(t *testing.T, p *process) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no signals for other processes")
	}
	p.signal(os.Interrupt)
}

func TestInterruptedWaiting(t *testing.T) {
	t.Parallel()
	for s, status := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		if runtime.GOOS == "windows" {
			t.Skip("no signals for other processes")
		}
		l, _ := listen(t)
		l.signal(s)
		l.wantStatus("interrupted before there was a connection", status)
		line := l.waitLine("interrupted while waiting")
		if strings.Contains(line, "SIGTERM") != (s == syscall.SIGTERM) {
			t.Errorf("%v: %q does not tell which signal it was", s, line)
		}
	}
}

func TestInterruptedDialing(t *testing.T) {
	t.Parallel()
	c := start(t, strings.Repeat("21", 32), "5000", "--bind", "127.0.0.1:0", "-vv")
	c.waitLine("level=DEBUG") // the search for the SID
	interrupt(t, c)
	c.wantStatus("interrupted before there was a connection", 130)
}

// The first interruption ends reading stdin, and waits until the peer has what
// was read.
func TestInterruptDelivers(t *testing.T) {
	t.Parallel()
	// Less than both sides hold while nobody reads the listener's stdout. Of it
	// one pipe and one chunk may not have been read when the interruption comes.
	const size, unread = 300 << 10, 128 << 10
	sent := randomBytes(size)
	l, command := listen(t)
	l.give(nil)
	c := connect(t, command)
	c.write(sent)
	// To leave before the listener's end is there would be an abort to it.
	wantBytes(t, "the listener has ended", c.readAll(), nil)
	interrupt(t, c)
	c.waitLine("once more to abort")
	got := l.readAll()
	c.wantStatus("interrupted, and delivered", 130)
	l.wantStatus("the peer ended in order", 0)
	if !bytes.HasPrefix(sent, got) || len(got) < size-unread {
		t.Errorf("%d bytes arrived, want at least %d from the beginning of what was sent", len(got), size-unread)
	}
	c.waitLine(fmt.Sprintf("interrupted after %d bytes of stdin", len(got)))
}

// The second interruption aborts: the status tells of it on both sides.
func TestInterruptTwiceAborts(t *testing.T) {
	t.Parallel()
	const begun, rest = 2 * sourceChunk, 3 * sourceChunk // a pipe holds one
	sent := randomBytes(begun + rest)
	l, command := listen(t)
	l.give(nil)
	relay, command := relayTo(t, command)
	c := connect(t, command)
	c.write(sent[:begun])
	got := l.read(begun)
	relay.cut.Store(true)
	c.write(sent[begun:]) // when this returns two chunks have been read, and the first is sent
	interrupt(t, c)
	c.waitLine("once more to abort")
	interrupt(t, c)
	c.wantStatus("aborted", 1)
	c.waitLine("not everything was delivered")
	got = append(got, l.readAll()...)
	l.wantStatus("an abort is no success", 1)
	l.waitLine("aborted")
	if !bytes.HasPrefix(sent, got) || len(got) == len(sent) {
		t.Errorf("%d bytes arrived that are not the beginning of what was sent", len(got))
	}
}
