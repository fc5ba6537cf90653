package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A proc is a process of this program at one end. The two ends are processes of
// their own, so that CPU and memory of each are told apart.
type proc struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
	errs  headBuffer
	kill  func() // also when it has ended; once
}

// spawn starts this program with args in a namespace, "" for the present one.
func spawn(ns string, env []string, args ...string) (*proc, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &proc{cmd: exec.Command(self, args...), lines: make(chan string, 16)}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = &p.errs
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.startIn(ns); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	return p, nil
}

// startIn starts the child from a thread in the namespace, which it inherits.
// The thread outlives the child: Pdeathsig is about the thread.
func (p *proc) startIn(ns string) error {
	ended := make(chan struct{})
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := enterNS(ns)
		if err == nil {
			err = p.cmd.Start()
		}
		started <- err
		<-ended
	}()
	p.kill = sync.OnceFunc(func() {
		p.in.Close()
		if p.cmd.Process != nil {
			p.cmd.Process.Kill()
			p.cmd.Wait()
		}
		close(ended)
	})
	err := <-started
	if err != nil {
		p.kill()
	}
	return err
}

// wait waits for a line of the given kind and decodes it into v. A client's
// result that comes instead says what failed.
func (p *proc) wait(kind string, limit time.Duration, v any) error {
	expired := time.After(limit)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				return fmt.Errorf("the process ended: %s", p.errs.text())
			}
			k, rest, _ := strings.Cut(line, " ")
			switch k {
			case kind:
				return json.Unmarshal([]byte(rest), v)
			case "RESULT":
				var res Result
				err := json.Unmarshal([]byte(rest), &res)
				return errors.Join(err, errors.New(res.Err))
			}
		case <-expired:
			return fmt.Errorf("no answer in %v", limit)
		}
	}
}

// ask has a server measure itself; how is "stat", "collect" or "idle".
func (p *proc) ask(how string) (ProcStat, error) {
	var st ProcStat
	if _, err := io.WriteString(p.in, how+"\n"); err != nil {
		return st, fmt.Errorf("%w: %s", err, p.errs.text())
	}
	return st, p.wait("STAT", 30*time.Second, &st)
}

// begin waits until the streams of a client are open, takes the baseline of what
// else is measured, and has the client begin.
func (p *proc) begin(limit time.Duration, baseline func() error) error {
	var nothing any
	if err := p.wait("READY", limit, &nothing); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	if err := baseline(); err != nil {
		return err
	}
	_, err := io.WriteString(p.in, "go\n")
	return err
}

// startServer starts a server and returns the address to dial.
func startServer(t *Transport, ns, listen, mode string) (*proc, string, error) {
	p, err := spawn(ns, t.ServerEnv, "server", "--transport", t.Name, "--listen", listen, "--mode", mode)
	if err != nil {
		return nil, "", fmt.Errorf("server: %w", err)
	}
	var ready struct{ Addr string }
	if err := p.wait("READY", 15*time.Second, &ready); err != nil {
		p.kill()
		return nil, "", fmt.Errorf("server: %w", err)
	}
	return p, ready.Addr, nil
}

func startClient(t *Transport, ns, addr, work string, args []string) (*proc, error) {
	all := append([]string{"client", "--transport", t.Name, "--addr", addr, "--work", work}, args...)
	p, err := spawn(ns, nil, all...)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return p, nil
}

// A headBuffer keeps the first bytes written to it.
type headBuffer struct {
	mu sync.Mutex
	b  []byte
}

const headLen = 600

func (h *headBuffer) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.b = append(h.b, p[:min(len(p), headLen-len(h.b))]...)
	return len(p), nil
}

func (h *headBuffer) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(strings.Fields(string(h.b)), " ")
}
