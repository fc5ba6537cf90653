package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mspnet"
)

// wantOpError fails unless err is itself a *net.OpError of this module that
// unwraps to cause, and a time-out exactly if timeout says so.
func wantOpError(t testing.TB, what string, err, cause error, timeout bool) {
	t.Helper()
	op, ok := err.(*net.OpError)
	if !ok {
		t.Errorf("%s: %T %v, want a *net.OpError of %v", what, err, err, cause)
		return
	}
	if !errors.Is(err, cause) {
		t.Errorf("%s: %v, want %v", what, err, cause)
	}
	if op.Net != "msp" || op.Op == "" || op.Addr == nil {
		t.Errorf("%s: error has Net %q, Op %q, Addr %v", what, op.Net, op.Op, op.Addr)
	}
	if err.(net.Error).Timeout() != timeout {
		t.Errorf("%s: %v: Timeout() is %v, want %v", what, err, !timeout, timeout)
	}
}

// wantAfter fails unless exactly want has passed since start.
func wantAfter(t testing.TB, what string, start time.Time, want time.Duration) {
	t.Helper()
	if got := time.Since(start); got != want {
		t.Errorf("%s: after %v, want %v", what, got, want)
	}
}

// wantRead fails unless the next bytes of r are these. It does not read on.
func wantRead(t testing.TB, what string, r io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(r, got)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: read %s, %v; want %s", what, some(got[:n]), err, some(want))
	}
}

// wantEOF fails unless r is at its end, which is io.EOF itself, twice.
func wantEOF(t testing.TB, what string, r io.Reader) {
	t.Helper()
	for range 2 {
		if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("%s: read %d, %v; want 0, EOF", what, n, err)
		}
	}
}

// wantAll fails unless r has exactly these bytes, and then the end.
func wantAll(t testing.TB, what string, r io.Reader, want []byte) {
	t.Helper()
	wantRead(t, what, r, want)
	wantEOF(t, what, r)
}

// write fails unless c takes all of b.
func write(t testing.TB, c io.Writer, b []byte) {
	t.Helper()
	if n, err := c.Write(b); n != len(b) || err != nil {
		t.Errorf("Write of %d bytes: %d, %v", len(b), n, err)
	}
}

// try fails unless a call succeeded.
func try(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// some is the beginning of b, for messages.
func some(b []byte) string {
	if len(b) > 40 {
		return fmt.Sprintf("%q and %d bytes more", b[:20], len(b)-20)
	}
	return fmt.Sprintf("%q", b)
}

// abort closes c so that its peer is told.
func abort(t testing.TB, c *mspnet.Conn) {
	t.Helper()
	try(t, "SetLinger", c.SetLinger(0))
	try(t, "Close", c.Close())
}

// pass lets time pass in a bubble, and what is then due happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// async runs f, and gives what tells when it has ended, and how.
func async(f func() error) <-chan ended {
	c := make(chan ended, 1)
	go func() {
		err := f()
		c <- ended{err, time.Now()}
	}()
	return c
}

type ended struct {
	err error
	at  time.Time
}
