package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
)

func TestEcho(t *testing.T) {
	inLab(t, func(l *lab) {
		near, far := l.pair()
		data := bytes.Repeat([]byte("0123456789abcdef"), 16<<10)
		go func() {
			buf := make([]byte, 3000)
			for {
				n, err := far.Read(buf)
				if err != nil {
					break
				}
				far.Write(buf[:n])
			}
			far.CloseWrite()
		}()
		go func() {
			near.Write(data)
			near.CloseWrite()
		}()
		var got []byte
		buf := make([]byte, 5000)
		for {
			n, err := near.Read(buf)
			if got = append(got, buf[:n]...); err != nil {
				if err != io.EOF {
					t.Errorf("read: %v, want EOF", err)
				}
				break
			}
		}
		if !bytes.Equal(got, data) {
			t.Errorf("got %d bytes back, want the %d sent", len(got), len(data))
		}
		for _, c := range []*Conn{near, far} {
			if err := c.CloseContext(context.Background()); err != nil {
				t.Errorf("close: %v", err)
			}
		}
	})
}

// A dial takes one round trip, and so does a refusal.
func TestDialTakesOneRoundTrip(t *testing.T) {
	inLab(t, func(l *lab) {
		ln := l.listen(80, ListenConfig{})
		defer ln.Close()
		start := time.Now()
		c, err := l.dial(80)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Abort()
		if d := time.Since(start); d != 10*time.Millisecond {
			t.Errorf("dial took %v, want one round trip of 10 ms", d)
		}
		start = time.Now()
		if _, err := l.dial(81); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial of an unbound port: %v, want ECONNREFUSED", err)
		}
		if d := time.Since(start); d != 10*time.Millisecond {
			t.Errorf("refusal took %v, want one round trip of 10 ms", d)
		}
	})
}

func TestEarlyDataRidesInFirstPacket(t *testing.T) {
	inLab(t, func(l *lab) {
		ln := l.listen(80, ListenConfig{})
		defer ln.Close()
		start := time.Now()
		near, err := Of(l.here).Dial(context.Background(), mdpconn.Addr{}, l.far(80), true)
		if err != nil {
			t.Fatal(err)
		}
		defer near.Abort()
		if err := near.Send([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		far, err := ln.Accept(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer far.Abort()
		buf := make([]byte, 16)
		n, more, err := far.Receive(buf)
		if string(buf[:n]) != "hello" || more || err != nil {
			t.Errorf("received %q, %v, %v", buf[:n], more, err)
		}
		if d := time.Since(start); d != 5*time.Millisecond {
			t.Errorf("the message took %v, want the one-way delay of 5 ms", d)
		}
	})
}

// A port can be listened on again at once, while connections that were accepted
// on it live on.
func TestListenAgain(t *testing.T) {
	inLab(t, func(l *lab) {
		near, far := l.pair() // its listener is closed
		ln := l.listen(80, ListenConfig{})
		if _, err := Of(l.there).Listen(mdpconn.Addr{Port: 80}, ListenConfig{}); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("second listener: %v, want EADDRINUSE", err)
		}
		if err := near.Send([]byte("still here")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 16)
		if n, _, err := far.Receive(buf); string(buf[:n]) != "still here" || err != nil {
			t.Errorf("received %q, %v", buf[:n], err)
		}
		ln.Close()
		if _, err := l.dial(80); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial after both are closed: %v, want ECONNREFUSED", err)
		}
	})
}

// A reader that does not read blocks its writer, and nobody else; nothing is
// lost and nothing is taken for congestion.
func TestSlowReader(t *testing.T) {
	inLab(t, func(l *lab) {
		near, far := l.pair()
		near2, far2 := l.pair()
		const messages, size = 3000, 1000
		written := 0
		go func() {
			for written < messages && near.Send(bytes.Repeat([]byte{byte(written)}, size)) == nil {
				written++
			}
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		if written >= messages {
			t.Fatal("the writer never blocked")
		}
		if err := near2.Send([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := far2.Receive(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		s := near.Stats()
		if !s.Extended && (s.Window < 32 || !s.Stalled) {
			t.Errorf("after a minute: window %d, stalled %v; want it grown and stalled", s.Window, s.Stalled)
		}
		if limit := uint64(60/1.5 + 10); s.Retransmitted > limit || s.Extended && s.Retransmitted > 0 {
			t.Errorf("%d retransmissions in a minute, want at most %d", s.Retransmitted, limit)
		}
		buf := make([]byte, 2*size)
		for i := range messages {
			n, more, err := far.Receive(buf)
			if n != size || more || err != nil || buf[0] != byte(i) {
				t.Fatalf("message %d: %d bytes %v, %v, %v", i, n, buf[0], more, err)
			}
		}
	})
}

func TestNodeCloseAborts(t *testing.T) {
	inLab(t, func(l *lab) {
		near, far := l.pair()
		ln := l.listen(81, ListenConfig{})
		read := make(chan error, 2)
		go func() { _, err := near.Read(make([]byte, 1)); read <- err }()
		go func() { _, err := far.Read(make([]byte, 1)); read <- err }()
		accept := make(chan error, 1)
		go func() { _, err := ln.Accept(context.Background()); accept <- err }()
		synctest.Wait()
		l.there.Close()
		if err := <-accept; err != net.ErrClosed {
			t.Errorf("accept: %v, want net.ErrClosed", err)
		}
		first, second := <-read, <-read
		if first == syscall.ECONNRESET {
			first, second = second, first
		}
		if first != net.ErrClosed || second != syscall.ECONNRESET {
			t.Errorf("reads: %v and %v, want net.ErrClosed here and ECONNRESET at the peer", first, second)
		}
		if _, err := Of(l.here).Dial(context.Background(), mdpconn.Addr{}, l.far(80), true); err != nil {
			t.Errorf("the other node's engine: %v", err)
		}
		if e := Of(l.there); e != nil {
			t.Error("a closed node has an engine")
		}
		if err := far.Send([]byte("x")); err != net.ErrClosed {
			t.Errorf("send: %v, want net.ErrClosed", err)
		}
		if s := far.Stats(); s.PacketsSent != 0 {
			t.Errorf("stats of a closed engine: %+v, want zero", s)
		}
	})
}

// What arrived before the peer aborted is read, and then the abort is told.
func TestDataBeforeAbort(t *testing.T) {
	inLab(t, func(l *lab) {
		near, far := l.pair()
		near.Send([]byte("last words"))
		time.Sleep(time.Second)
		near.Abort()
		time.Sleep(time.Second)
		buf := make([]byte, 16)
		if n, err := far.Read(buf); string(buf[:n]) != "last words" || err != nil {
			t.Errorf("read %q, %v", buf[:n], err)
		}
		if _, err := far.Read(buf); err != syscall.ECONNRESET {
			t.Errorf("then %v, want ECONNRESET", err)
		}
		if err := far.Send([]byte("x")); err != syscall.ECONNRESET {
			t.Errorf("send: %v, want ECONNRESET", err)
		}
	})
}

func TestDeadlinesMove(t *testing.T) {
	inLab(t, func(l *lab) {
		near, _ := l.pair()
		start := time.Now()
		near.SetReadDeadline(start.Add(time.Hour))
		go func() {
			time.Sleep(time.Second)
			near.SetReadDeadline(start.Add(3 * time.Second))
		}()
		if _, err := near.Read(make([]byte, 1)); err != os.ErrDeadlineExceeded {
			t.Errorf("read: %v", err)
		}
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("after %v, want 3 s", d)
		}
		if _, err := near.Read(make([]byte, 1)); err != os.ErrDeadlineExceeded {
			t.Errorf("read again: %v", err)
		}
	})
}

func TestCloseContextWithoutPeer(t *testing.T) {
	inLab(t, func(l *lab) {
		near, _ := l.pair()
		l.net.Cut(l.links[0], l.links[1])
		start := time.Now()
		near.Send([]byte("into the void"))
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := near.CloseContext(ctx); err != context.DeadlineExceeded {
			t.Errorf("close: %v, want the context's error", err)
		}
		if err := near.CloseContext(context.Background()); err != syscall.ETIMEDOUT {
			t.Errorf("close: %v, want ETIMEDOUT", err)
		}
		if d := time.Since(start); d > 10*time.Second || d < 9*time.Second {
			t.Errorf("silence noticed after %v, want 10 s after the last packet", d)
		}
	})
}

func TestDrainWaitsForClosedConns(t *testing.T) {
	inLab(t, func(l *lab) {
		near, far := l.pair()
		data := bytes.Repeat([]byte("x"), 100<<10)
		done := make(chan error, 1)
		go func() {
			got := 0
			buf := make([]byte, 4096)
			for {
				n, err := far.Read(buf)
				if got += n; err != nil {
					if got != len(data) || err != io.EOF {
						t.Errorf("the peer got %d of %d bytes, %v", got, len(data), err)
					}
					done <- far.CloseContext(context.Background())
					return
				}
			}
		}()
		near.Write(data)
		near.Close()
		if err := Of(l.here).Drain(context.Background()); err != nil {
			t.Fatal(err)
		}
		l.here.Close() // as a program that exits does
		if err := <-done; err != nil {
			t.Errorf("the peer's close: %v", err)
		}
	})
}

// An abort overrides a close that still delivers.
func TestAbortAfterClose(t *testing.T) {
	inLab(t, func(l *lab) {
		near, far := l.pair()
		go near.Write(make([]byte, 1<<20)) // far does not read
		time.Sleep(time.Second)
		if err := near.Close(); err != nil {
			t.Fatal(err)
		}
		if err := near.Close(); err != net.ErrClosed {
			t.Errorf("second close: %v", err)
		}
		if err := near.Abort(); err != nil {
			t.Errorf("abort: %v", err)
		}
		if err := near.Abort(); err != net.ErrClosed {
			t.Errorf("second abort: %v", err)
		}
		<-near.Done()
		<-far.Done()
		if _, err := io.Copy(io.Discard, readerOf{far}); err != syscall.ECONNRESET {
			t.Errorf("the peer read %v at the end, want ECONNRESET", err)
		}
	})
}

type readerOf struct{ c *Conn }

func (r readerOf) Read(b []byte) (int, error) { return r.c.Read(b) }

func TestFlush(t *testing.T) {
	inLab(t, func(l *lab) {
		near, far := l.pair()
		start := time.Now()
		if err := near.Flush(context.Background()); err != nil || time.Since(start) != 0 {
			t.Errorf("nothing to flush: %v after %v", err, time.Since(start))
		}
		near.Write(make([]byte, 3000))
		if err := near.Flush(context.Background()); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d != 10*time.Millisecond {
			t.Errorf("flushed after %v, want one round trip", d)
		}
		if s := near.Stats(); s.BytesAcked != 3000 || s.Queued != 0 {
			t.Errorf("%+v after the flush", s)
		}
		l.net.Cut(l.links[0], l.links[1])
		near.Write([]byte("lost"))
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := near.Flush(ctx); err != context.DeadlineExceeded {
			t.Errorf("flush: %v, want the context's error", err)
		}
		if err := near.Flush(context.Background()); err != syscall.ETIMEDOUT {
			t.Errorf("flush: %v, want ETIMEDOUT", err)
		}
		far.Abort()
	})
}

// Done closes for the one who waits behind the peer's end, with nothing to send.
func TestDoneBehindEOF(t *testing.T) {
	inLab(t, func(l *lab) {
		near, far := l.pair()
		far.CloseWrite()
		if _, err := near.Read(make([]byte, 1)); err != io.EOF {
			t.Fatal(err)
		}
		select {
		case <-near.Done():
			t.Error("done while one direction is open")
		default:
		}
		far.Abort()
		<-near.Done()
		if _, err := near.Write(nil); err != syscall.ECONNRESET {
			t.Errorf("write of nothing: %v, want ECONNRESET", err)
		}
	})
}

// A dial that fails behind the binding of its port leaves the port to others.
func TestFailedDialGivesPortBack(t *testing.T) {
	inLab(t, func(l *lab) {
		ln := l.listen(80, ListenConfig{})
		defer ln.Close()
		local := mdpconn.Addr{Port: 5000}
		dial := func() (*Conn, error) {
			return Of(l.here).Dial(context.Background(), local, l.far(80), false)
		}
		near, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		far, err := ln.Accept(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		near.Close()
		far.Close()
		<-near.Done()
		if _, err := dial(); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("dial of the 4-tuple that lingers: %v, want EADDRINUSE", err)
		}
		again, err := Of(l.here).Listen(local, ListenConfig{})
		if err != nil {
			t.Fatalf("listen at the port: %v", err)
		}
		again.Close()
		if _, err := Of(l.here).Dial(context.Background(), local, mdpconn.Addr{SID: l.there.Primary()}, false); err == nil {
			t.Error("dial of port 0: no error")
		}
	})
}

func TestReadOfNothing(t *testing.T) {
	inLab(t, func(l *lab) {
		near, _ := l.pair()
		if n, err := near.Read(nil); n != 0 || err != nil {
			t.Errorf("%d, %v, want to return at once", n, err)
		}
		near.SetReadDeadline(time.Now())
		if _, err := near.Read(nil); err != os.ErrDeadlineExceeded {
			t.Errorf("behind the deadline: %v", err)
		}
		near.Close()
		if _, err := near.Read(nil); err != net.ErrClosed {
			t.Errorf("closed: %v", err)
		}
	})
}

// A peer that never reads does not hold a connection for ever that was closed,
// nor who waits for it.
func TestClosedConnOfDeafPeerEnds(t *testing.T) {
	inLab(t, func(l *lab) {
		near, far := l.pair()
		far.SetWriteDeadline(time.Now().Add(time.Second))
		for far.Send([]byte("x")) == nil {
		}
		start := time.Now()
		far.Close()
		if err := Of(l.there).Drain(context.Background()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d < 4*time.Minute || d > 6*time.Minute {
			t.Errorf("drained after %v, want about 5 minutes", d)
		}
		if n := Of(l.there).Stats().Conns; n != 0 {
			t.Errorf("%d connections left", n)
		}
		near.Abort()
	})
}

// Who calls while Listen is under way is not refused: the port is bound before the
// machine listens, and a daemon is silent until then.
func TestCalledWhileListenBegins(t *testing.T) {
	inLab(t, func(l *lab) {
		far := Of(l.there)
		busy := make(chan struct{})
		far.post(func(time.Time) { <-busy })
		synctest.Wait() // the loop is busy
		listening := make(chan *Listener)
		go func() { listening <- l.listen(80, ListenConfig{}) }()
		synctest.Wait() // the port is bound
		dialled := make(chan error)
		go func() {
			c, err := l.dial(80)
			if err == nil {
				c.Close()
			}
			dialled <- err
		}()
		time.Sleep(time.Second)
		close(busy)
		ln := <-listening
		if err := <-dialled; err != nil {
			t.Errorf("the call: %v", err)
		}
		ln.Close()
	})
}
