package mdpconn_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
)

func listenPacket(t *testing.T, n *mdpconn.Node, a mdpconn.Addr) net.PacketConn {
	t.Helper()
	c, err := n.ListenPacket(a)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPacketConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		pa := listenPacket(t, c.a, mdpconn.Addr{})
		pb := listenPacket(t, c.b, mdpconn.Addr{SID: mdpconn.All, Port: 99})
		if got := pb.LocalAddr().String(); got != "*:99" {
			t.Errorf("local address %s, want *:99", got)
		}
		to := mdpconn.Addr{SID: c.b.Primary(), Port: 99}
		for _, addr := range []net.Addr{to, &to} {
			if k, err := pa.WriteTo([]byte("ping"), addr); k != 4 || err != nil {
				t.Fatal(k, err)
			}
			b := make([]byte, 3)
			k, from, err := pb.ReadFrom(b)
			if err != nil || string(b[:k]) != "pin" || from != pa.LocalAddr() {
				t.Fatalf("read %q from %v, %v", b[:k], from, err)
			}
			if _, err := pb.WriteTo([]byte("pong"), from); err != nil {
				t.Fatal(err)
			}
			b = make([]byte, 100)
			k, from, err = pa.ReadFrom(b)
			if err != nil || string(b[:k]) != "pong" || from != to {
				t.Fatalf("read %q from %v, %v", b[:k], from, err)
			}
		}
		for _, bad := range []struct {
			addr net.Addr
			data string
			want string
		}{
			{&net.UDPAddr{Port: 1}, "x", "*net.UDPAddr"},
			{nil, "x", "<nil>"},
			{(*mdpconn.Addr)(nil), "x", "nil"},
			{to, "", "without data"},
			{to, strings.Repeat("x", 1061), "1061"},
		} {
			_, err := pa.WriteTo([]byte(bad.data), bad.addr)
			var op *net.OpError
			if !errors.As(err, &op) || !strings.Contains(err.Error(), bad.want) {
				t.Errorf("%v, want a *net.OpError with %q", err, bad.want)
			}
		}
	})
}

func TestPacketConnDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		pc := listenPacket(t, c.a, mdpconn.Addr{Port: 55})
		b := make([]byte, 10)
		timeout := func(why string, want time.Duration) {
			t.Helper()
			begin := time.Now()
			_, _, err := pc.ReadFrom(b)
			ne, ok := err.(net.Error)
			if !ok || !ne.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%s: %v, want a timeout", why, err)
			}
			if got := time.Since(begin); got != want {
				t.Errorf("%s: after %v, want %v", why, got, want)
			}
		}
		pc.SetReadDeadline(time.Now().Add(time.Second))
		timeout("future deadline", time.Second)
		timeout("the same again", 0)
		pc.SetReadDeadline(time.Now().Add(-time.Second))
		timeout("past deadline", 0)

		pc.SetReadDeadline(time.Now().Add(time.Hour))
		go func() {
			time.Sleep(time.Second)
			pc.SetReadDeadline(time.Now().Add(time.Second))
		}()
		timeout("deadline moved while reading", 2*time.Second)

		// A past deadline is seen before data that is there.
		send(t, c.b, c.sb.LocalAddr(), mdpconn.Addr{SID: c.a.Primary(), Port: 55}, "data")
		synctest.Wait()
		timeout("past deadline with data", 0)
		pc.SetReadDeadline(time.Time{})
		if k, _, err := pc.ReadFrom(b); err != nil || string(b[:k]) != "data" {
			t.Errorf("without deadline: %q, %v", b[:k], err)
		}
		pc.SetDeadline(time.Now())
		if _, err := pc.WriteTo(b, c.sb.LocalAddr()); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write after the deadline: %v", err)
		}
		pc.SetWriteDeadline(time.Time{})
		if _, err := pc.WriteTo(b, c.sb.LocalAddr()); err != nil {
			t.Errorf("write without deadline: %v", err)
		}
	})
}

func TestPacketConnClose(t *testing.T) {
	for _, who := range []string{"conn", "node"} {
		t.Run(who, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := connect(t, mdpconn.Config{}, mdpconn.Config{})
				pc := listenPacket(t, c.a, mdpconn.Addr{Port: 55})
				pc.SetDeadline(time.Now().Add(time.Hour)) // a timer that must not remain
				done := make(chan error, 1)
				go func() {
					_, _, err := pc.ReadFrom(make([]byte, 10))
					done <- err
				}()
				synctest.Wait()
				if who == "conn" {
					pc.Close()
				} else {
					c.a.Close()
				}
				if err := <-done; !errors.Is(err, net.ErrClosed) {
					t.Errorf("blocked read: %v", err)
				}
				if _, err := pc.WriteTo([]byte("x"), c.sb.LocalAddr()); !errors.Is(err, net.ErrClosed) {
					t.Errorf("write: %v", err)
				}
				if who == "conn" {
					if err := pc.Close(); !errors.Is(err, net.ErrClosed) {
						t.Errorf("second Close: %v", err)
					}
					listenPacket(t, c.a, mdpconn.Addr{Port: 55}).Close()
				} else {
					pc.Close()
				}
			})
		})
	}
}

func TestPacketConnQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, mdpconn.Config{}, mdpconn.Config{})
		pc := listenPacket(t, c.a, mdpconn.Addr{Port: 55})
		for i := range 300 {
			send(t, c.b, c.sb.LocalAddr(), mdpconn.Addr{SID: c.a.Primary(), Port: 55}, string(rune('a'+i%26)))
			synctest.Wait()
		}
		if d := c.a.Stats().Dropped.QueueFull; d != 300-256 {
			t.Errorf("%d dropped, want %d", d, 300-256)
		}
		b := make([]byte, 10)
		if k, _, err := pc.ReadFrom(b); err != nil || string(b[:k]) != "a" {
			t.Errorf("the first one is %q, %v", b[:k], err)
		}
		pc.Close() // with datagrams in the queue
	})
}
