package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
)

// tcpListen listens where a forwarder is to connect.
func tcpListen(t *testing.T) (l *net.TCPListener, flag string) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, fmt.Sprintf("--forward=%d", l.Addr().(*net.TCPAddr).Port)
}

func tcpAccept(t *testing.T, l *net.TCPListener) *net.TCPConn {
	t.Helper()
	c, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func tcpDial(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// forwardHere starts a connecting forwarder and returns its TCP address.
func forwardHere(t *testing.T, command []string, args ...string) (c *process, address string) {
	t.Helper()
	c = connect(t, command, append([]string{"--forward=0"}, args...)...)
	line := c.waitLine("forwarding ")
	return c, strings.Fields(line)[2]
}

// sendTCP sends b and the end of it, in the background.
func sendTCP(c *net.TCPConn, b []byte) {
	go func() {
		c.Write(b) // an error shows in what arrives
		c.CloseWrite()
	}()
}

// cutOff reads until c is reset.
func cutOff(t *testing.T, c *net.TCPConn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, c); err == nil {
		t.Error("an end in order, want a reset")
	}
}

func TestForwardHTTP(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
	}))
	defer server.Close()
	_, command := listen(t, "--forward="+server.Listener.Addr().String())
	_, address := forwardHere(t, command)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			want := fmt.Sprint("request ", i)
			r, err := client.Post("http://"+address, "text/plain", strings.NewReader(want))
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Body.Close()
			if got, err := io.ReadAll(r.Body); err != nil || string(got) != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
	all.Wait()
}

// Each direction ends by itself, through either door.
func TestForwardBothWays(t *testing.T) {
	t.Parallel()
	for _, via := range []bool{false, true} {
		t.Run(fmt.Sprint("via servald ", via), func(t *testing.T) {
			t.Parallel()
			tcpl, flag := tcpListen(t)
			var l *process
			var command, more []string
			if via {
				_, flags := viaServald(t)
				l, command = listenVia(t, flags[1], "--once", flag)
				more = []string{flags[0]}
			} else {
				l, command = listen(t, "--once", flag)
			}
			c, address := forwardHere(t, command, append(more, "--once", "--stats")...)
			there, back := randomBytes(8<<20), randomBytes(8<<20+1)
			near := tcpDial(t, address)
			sendTCP(near, there)
			far := tcpAccept(t, tcpl)
			got, err := io.ReadAll(far)
			if err != nil {
				t.Error(err)
			}
			wantBytes(t, "there", got, there)
			sendTCP(far, back) // behind the other direction's end
			if got, err = io.ReadAll(near); err != nil {
				t.Error(err)
			}
			wantBytes(t, "back", got, back)
			c.wantStatus("one, in order", 0)
			l.wantStatus("one, in order", 0)
			c.waitLine("delivered")
		})
	}
}

func TestForwardRefusedByTCP(t *testing.T) {
	t.Parallel()
	tcpl, flag := tcpListen(t)
	tcpl.Close()
	l, command := listen(t, "--once", flag)
	c, address := forwardHere(t, command, "--once")
	near := tcpDial(t, address)
	cutOff(t, near)
	l.waitLine("refused")
	l.wantStatus("TCP was refused", 1)
	c.waitLine("the peer aborted")
	c.wantStatus("the peer aborted", 1)
}

// A forwarder that is killed or ended by a signal in a transfer is a reset of the
// other side's TCP connection.
func TestForwardCut(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no signals for other processes")
	}
	for s, status := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGKILL: -1} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			tcpl, flag := tcpListen(t)
			l, command := listen(t, flag)
			c, address := forwardHere(t, command, "--once")
			near := tcpDial(t, address)
			go near.Write(make([]byte, 64<<20))
			far := tcpAccept(t, tcpl)
			if _, err := io.ReadFull(far, make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
			c.signal(s)
			c.wantStatus("cut", status)
			cutOff(t, far)
			l.waitLine("connection") // timed out, or aborted
			l.signal(os.Interrupt)
			l.wantStatus("a connection failed before", 1)
		})
	}
}

// One connection that fails, or is slow, is nothing to another.
func TestForwardApart(t *testing.T) {
	t.Parallel()
	tcpl, flag := tcpListen(t)
	l, command := listen(t, flag)
	c, address := forwardHere(t, command)
	slow := tcpDial(t, address)
	go slow.Write(make([]byte, 32<<20)) // which nobody reads
	tcpAccept(t, tcpl)
	failing := tcpDial(t, address)
	failing.Write([]byte("x"))
	far := tcpAccept(t, tcpl)
	io.ReadFull(far, make([]byte, 1))
	far.SetLinger(0)
	far.Close()
	cutOff(t, failing)
	near := tcpDial(t, address)
	sendTCP(near, []byte("there"))
	good := tcpAccept(t, tcpl)
	got, err := io.ReadAll(good)
	if err != nil {
		t.Error(err)
	}
	wantBytes(t, "beside the others", got, []byte("there"))
	if runtime.GOOS == "windows" {
		return
	}
	for _, p := range []*process{c, l} {
		p.signal(os.Interrupt)
		p.wantStatus("one failed", 1)
	}
}

func TestForwardInterruptedIdle(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no signals for other processes")
	}
	l, command := listen(t, "--forward=1")
	c, _ := forwardHere(t, command)
	c.signal(syscall.SIGTERM)
	c.wantStatus("nothing was open", 0)
	l.signal(syscall.SIGINT)
	l.wantStatus("nothing was open", 0)
}

// Connections that are there to be accepted when the user interrupts do not keep the
// forwarder from its end.
func TestForwardAcceptedBehindInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ints := &interrupts{first: make(chan struct{}), signal: os.Interrupt}
		close(ints.first)
		var opts options
		p := &program{stderr: io.Discard}
		f := &forwarder{p, &opts, ints, opts.logger(p)}
		accepted := 0
		err := f.serve(func(ctx context.Context) (func(context.Context) (pair, error), error) {
			<-ctx.Done()
			if accepted++; accepted > 40 {
				return nil, ctx.Err()
			}
			return func(ctx context.Context) (pair, error) { return pair{}, ctx.Err() }, nil
		}, func() {})
		var interrupted *interruptedError
		if !errors.As(err, &interrupted) {
			t.Errorf("the end is %v, want an interruption", err)
		}
	})
}

// SIGTERM aborts a transfer of stdin, and the peer is told.
func TestTerminate(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no signals for other processes")
	}
	l, command := listen(t)
	l.give(nil)
	c := connect(t, command)
	c.write([]byte("x"))
	l.read(1)
	c.signal(syscall.SIGTERM)
	c.wantStatus("terminated", 143)
	l.readAll()
	l.waitLine("the peer aborted")
	l.wantStatus("the peer aborted", 1)
}

func TestForwardUsage(t *testing.T) {
	for _, test := range []struct{ args, said string }{
		{"listen 5 --forward=0", "1 to 65535"},
		{"listen 5 --forward=http", "TCP port"},
		{"listen 5 --forward=:80", "TCP port"},
		{"connect " + testSID + " 5 --forward=65536", "TCP port"},
		{"listen 5 -k --once", "--keep-open with --once"},
		{"listen 5 -k --forward=80", "--keep-open with --forward"},
	} {
		wantError(t, strings.Fields(test.args), statusUsage, test.said)
	}
}
