package conformance

import (
	"io"
	"os"
	"testing"
	"time"

	"mesh.example/msp/mspnet"
)

// A deadlined is a call that blocks on a connection, and the deadline that is
// its own.
type deadlined struct {
	name  string
	set   func(c *mspnet.Conn, at time.Time) error
	other func(c *mspnet.Conn, at time.Time) error // must not matter
	block func(c *mspnet.Conn) error               // blocks, with nothing to read and the peer not reading
	free  func(t testing.TB, c, peer *mspnet.Conn) // lets block go on
}

var (
	setRead  = (*mspnet.Conn).SetReadDeadline
	setWrite = (*mspnet.Conn).SetWriteDeadline
	setBoth  = (*mspnet.Conn).SetDeadline
)

func feed(t testing.TB, c, peer *mspnet.Conn) {
	write(t, peer, []byte("x"))
	try(t, "peer's CloseWrite", peer.CloseWrite())
}

func swallow(t testing.TB, c, peer *mspnet.Conn) {
	go io.Copy(io.Discard, peer)
}

// flood is more than everybody's buffers hold.
const flood = 4 << 20

var blockingCalls = []deadlined{
	{"Read", setRead, setWrite, func(c *mspnet.Conn) error { _, err := c.Read(make([]byte, 1)); return err }, feed},
	{"ReadMessage", setRead, setWrite, func(c *mspnet.Conn) error { _, _, err := c.ReadMessage(make([]byte, 1)); return err }, feed},
	{"WriteTo", setRead, setWrite, func(c *mspnet.Conn) error { _, err := c.WriteTo(io.Discard); return err }, feed},
	{"Read, both set", setBoth, nil, func(c *mspnet.Conn) error { _, err := c.Read(make([]byte, 1)); return err }, feed},
	{"Write", setWrite, setRead, func(c *mspnet.Conn) error { _, err := c.Write(random(flood)); return err }, swallow},
	{"WriteMessage", setWrite, setRead, func(c *mspnet.Conn) (err error) {
		for range flood / 1024 {
			if err = c.WriteMessage(make([]byte, 1024)); err != nil {
				break
			}
		}
		return err
	}, swallow},
	{"ReadFrom", setWrite, setRead, func(c *mspnet.Conn) error { _, err := c.ReadFrom(content(flood)); return err }, swallow},
	{"Write, both set", setBoth, nil, func(c *mspnet.Conn) error { _, err := c.Write(random(flood)); return err }, swallow},
}

// TestDeadlines runs each call into deadlines of every kind.
func TestDeadlines(t *testing.T) {
	for _, d := range blockingCalls {
		for name, f := range map[string]func(t *testing.T, d deadlined, c, peer *mspnet.Conn){
			"past": past, "future": future, "moved": moved, "moved into the past": movedIntoPast,
			"cleared": cleared, "of the other direction": ofOther, "service goes on": serviceGoesOn,
		} {
			t.Run(d.name+"/"+name, func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) {
					c, s := w.connect(t)
					f(t, d, c, s)
				})
			})
		}
	}
}

func wantTimeout(t testing.TB, d deadlined, err error) {
	t.Helper()
	wantOpError(t, d.name, err, os.ErrDeadlineExceeded, true)
}

// past: a deadline that is over ends a call before it begins, again and again.
func past(t *testing.T, d deadlined, c, peer *mspnet.Conn) {
	start := time.Now()
	for _, at := range []time.Time{time.Unix(1, 0), time.Now(), time.Now().Add(-1)} {
		try(t, "set", d.set(c, at))
		wantTimeout(t, d, d.block(c))
		wantTimeout(t, d, d.block(c))
	}
	wantAfter(t, d.name, start, 0)
}

// future: a call ends when the deadline comes, to the nanosecond; and so do
// those after it.
func future(t *testing.T, d deadlined, c, peer *mspnet.Conn) {
	start := time.Now()
	const limit = 3*time.Second + 1
	try(t, "set", d.set(c, start.Add(limit)))
	first, second := async(func() error { return d.block(c) }), async(func() error { return d.block(c) })
	for _, r := range []ended{<-first, <-second} {
		wantTimeout(t, d, r.err)
		if got := r.at.Sub(start); got != limit {
			t.Errorf("%s ended after %v, want %v", d.name, got, limit)
		}
	}
	wantTimeout(t, d, d.block(c))
	wantAfter(t, d.name, start, limit)
}

// moved: later and earlier, while the call is blocked.
func moved(t *testing.T, d deadlined, c, peer *mspnet.Conn) {
	for _, want := range []time.Duration{20 * time.Second, 2 * time.Second} {
		start := time.Now()
		try(t, "set", d.set(c, start.Add(5*time.Second)))
		call := async(func() error { return d.block(c) })
		time.Sleep(time.Second)
		try(t, "move", d.set(c, start.Add(want)))
		r := <-call
		wantTimeout(t, d, r.err)
		if got := r.at.Sub(start); got != want {
			t.Errorf("%s ended after %v, want %v", d.name, got, want)
		}
	}
}

// movedIntoPast: ends the blocked call at once.
func movedIntoPast(t *testing.T, d deadlined, c, peer *mspnet.Conn) {
	for _, first := range []time.Time{{}, time.Now().Add(time.Hour)} {
		try(t, "set", d.set(c, first))
		call := async(func() error { return d.block(c) })
		time.Sleep(time.Minute)
		start := time.Now()
		try(t, "move", d.set(c, start.Add(-time.Hour)))
		r := <-call
		wantTimeout(t, d, r.err)
		if got := r.at.Sub(start); got != 0 {
			t.Errorf("%s ended %v after its deadline moved into the past", d.name, got)
		}
	}
}

// cleared: the blocked call waits on, for as long as it takes.
func cleared(t *testing.T, d deadlined, c, peer *mspnet.Conn) {
	start := time.Now()
	try(t, "set", d.set(c, start.Add(2*time.Second)))
	call := async(func() error { return d.block(c) })
	time.Sleep(time.Second)
	try(t, "clear", d.set(c, time.Time{}))
	time.Sleep(time.Minute)
	d.free(t, c, peer)
	r := <-call
	try(t, d.name, r.err)
	if got := r.at.Sub(start); got < time.Minute {
		t.Errorf("%s ended after %v, before it could", d.name, got)
	}
}

// ofOther: the deadline of the other direction has no effect.
func ofOther(t *testing.T, d deadlined, c, peer *mspnet.Conn) {
	if d.other == nil {
		return
	}
	try(t, "set", d.other(c, time.Unix(1, 0)))
	call := async(func() error { return d.block(c) })
	time.Sleep(time.Minute)
	d.free(t, c, peer)
	try(t, d.name, (<-call).err)
}

// serviceGoesOn: after a time-out the call works again with another deadline.
func serviceGoesOn(t *testing.T, d deadlined, c, peer *mspnet.Conn) {
	try(t, "set", d.set(c, time.Now().Add(time.Second)))
	wantTimeout(t, d, d.block(c))
	for _, next := range []time.Time{{}, time.Now().Add(time.Hour)} {
		try(t, "set", d.set(c, next))
	}
	call := async(func() error { return d.block(c) })
	time.Sleep(time.Minute)
	d.free(t, c, peer)
	try(t, d.name, (<-call).err)
}

// TestDeadlineBeforeData: a deadline that is over comes before data that are
// there, as in package net, and takes none of them.
func TestDeadlineBeforeData(t *testing.T) {
	sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
		write(t, peer, []byte("abc"))
		try(t, "CloseWrite", peer.CloseWrite())
		pass(time.Second)
		try(t, "set", c.SetReadDeadline(time.Now()))
		n, err := c.Read(make([]byte, 1))
		wantOpError(t, "Read", err, os.ErrDeadlineExceeded, true)
		if n != 0 {
			t.Errorf("Read took %d bytes", n)
		}
		try(t, "clear", c.SetReadDeadline(time.Time{}))
		wantAll(t, "after that", c, []byte("abc"))
	})
}

// TestWriteDeadlineCount: a Write that timed out tells how much it queued, and
// exactly that arrives.
func TestWriteDeadlineCount(t *testing.T) {
	sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
		sent := random(flood)
		try(t, "set", c.SetWriteDeadline(time.Now().Add(time.Second)))
		n, err := c.Write(sent)
		wantOpError(t, "Write", err, os.ErrDeadlineExceeded, true)
		if n == 0 || n == len(sent) {
			t.Errorf("Write queued %d bytes", n)
		}
		try(t, "CloseWrite", c.CloseWrite())
		wantAll(t, "the peer", peer, sent[:n])
	})
}

// TestDeadlineReplaced: a deadline that was replaced does not come back.
func TestDeadlineReplaced(t *testing.T) {
	sides(t, func(t *testing.T, w *world, c, peer *mspnet.Conn) {
		for i := range 100 {
			try(t, "set", c.SetDeadline(time.Now().Add(time.Duration(i)*time.Millisecond)))
		}
		try(t, "clear", c.SetDeadline(time.Time{}))
		time.Sleep(time.Second)
		write(t, c, []byte("x"))
		wantRead(t, "the peer", peer, []byte("x"))
		write(t, peer, []byte("y"))
		wantRead(t, "the answer", c, []byte("y"))
	})
}
