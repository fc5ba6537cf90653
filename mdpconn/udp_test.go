package mdpconn_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mesh.example/msp/mdpconn"
)

// Tests over real UDP, in real time: they wait for what is to happen, at most
// ten seconds.

func udpNode(t *testing.T, config mdpconn.Config, bind ...string) *mdpconn.Node {
	t.Helper()
	config.UDP = bind
	n, err := mdpconn.NewNode(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// exchange sends from one node to the other until an answer comes back.
func exchange(t *testing.T, a, b *mdpconn.Node) {
	t.Helper()
	ia, ib := newInbox(), newInbox()
	sa, err := a.Bind(mdpconn.Addr{}, ia)
	if err != nil {
		t.Fatal(err)
	}
	defer sa.Close()
	sb, err := b.Bind(mdpconn.Addr{}, ib)
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		send(t, a, sa.LocalAddr(), sb.LocalAddr(), "ping")
		select {
		case d := <-ib:
			send(t, b, sb.LocalAddr(), d.Remote, "pong")
			d.Release()
		case d := <-ia:
			if string(d.Data) != "pong" || d.Remote != sb.LocalAddr() {
				t.Fatalf("got %q from %v", d.Data, d.Remote)
			}
			return
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("no answer: path %+v, stats %+v", a.Path(mdpconn.Primary, b.Primary()), a.Stats())
		}
	}
}

func TestUDPByHint(t *testing.T) {
	for _, bind := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(bind, func(t *testing.T) {
			if c, err := net.ListenPacket("udp", bind); err != nil {
				t.Skipf("this host cannot bind %s: %v", bind, err)
			} else {
				c.Close()
			}
			a, b := udpNode(t, mdpconn.Config{}, bind), udpNode(t, mdpconn.Config{}, bind)
			addr := b.LinkAddrs()[0]
			a.AddHint(b.Primary(), addr)
			exchange(t, a, b)
			if p := a.Path(mdpconn.Primary, b.Primary()); p.Endpoint != addr || p.RTT == 0 {
				t.Errorf("path %+v, want endpoint %v", p, addr)
			}
		})
	}
}

// canBroadcast skips a test where the system carries no broadcast on the
// loopback network.
func canBroadcast(t *testing.T) {
	t.Helper()
	in, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4zero})
	if err != nil {
		t.Skipf("no UDP here: %v", err)
	}
	defer in.Close()
	out, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Skipf("no UDP here: %v", err)
	}
	defer out.Close()
	to := netip.AddrPortFrom(netip.MustParseAddr("127.255.255.255"), in.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	if _, err := out.WriteToUDPAddrPort([]byte("probe"), to); err != nil {
		t.Skipf("this system does not permit broadcasts to %v: %v", to, err)
	}
	in.SetReadDeadline(time.Now().Add(2 * time.Second))
	if _, _, err := in.ReadFromUDPAddrPort(make([]byte, 10)); err != nil {
		t.Skipf("this system does not carry broadcasts to %v: %v", to, err)
	}
}

func TestUDPByDiscovery(t *testing.T) {
	canBroadcast(t)
	for _, bind := range []string{"127.0.0.1:0", "0.0.0.0:0"} {
		t.Run(bind, func(t *testing.T) {
			a := udpNode(t, mdpconn.Config{}, bind)
			packets := newWatchedLog()
			config := mdpconn.Config{Announce: mdpconn.AnnounceAlways, Logger: packets.logger(slog.LevelDebug)}
			b, c := udpNode(t, config, bind), udpNode(t, config, bind)
			packets.await(t, "sockets for broadcasts", func() bool {
				return b.Stats().Received.Ticks > 0 && c.Stats().Received.Ticks > 0
			})
			exchange(t, a, b)
			exchange(t, a, c)
			exchange(t, c, b)
		})
	}
}

// TestUDPListenRefused: who asks for an address that this host does not have, or a
// port that is taken, is told so in words, with the address once and what would do.
func TestUDPListenRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("this system has error numbers of its own")
	}
	n := udpNode(t, mdpconn.Config{}, "127.0.0.1:0")
	taken, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.LocalAddr().(*net.UDPAddr).Port
	for _, c := range []struct {
		bind string
		once string
		want syscall.Errno
		says []string
	}{
		{"240.0.0.1:4110", "240.0.0.1", syscall.EADDRNOTAVAIL, []string{"not an address of this host", "0.0.0.0 for all", "127.0.0.1"}},
		{"[2001:db8::1]:4110", "2001:db8::1", syscall.EADDRNOTAVAIL, []string{"not an address of this host", "[::] for all"}},
		{fmt.Sprint("127.0.0.1:", port), fmt.Sprint(port), syscall.EADDRINUSE, []string{"another program", "port 0"}},
	} {
		_, err := n.Listen(c.bind)
		if errors.Is(err, syscall.EAFNOSUPPORT) {
			continue // without IPv6
		}
		if !errors.Is(err, c.want) || strings.Count(err.Error(), c.once) != 1 {
			t.Errorf("%s: %v, want %v and %s once", c.bind, err, c.want, c.once)
			continue
		}
		for _, what := range c.says {
			if !strings.Contains(err.Error(), what) {
				t.Errorf("%s: %v, want it to say %q", c.bind, err, what)
			}
		}
	}
}

// The node runs where somebody else has port 4110 and does not share it.
func TestUDPPortTaken(t *testing.T) {
	taken, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4zero, Port: 4110})
	if err != nil {
		t.Skipf("port 4110 is in use on this host: %v", err)
	}
	defer taken.Close()
	log, other := newWatchedLog(), newWatchedLog()
	a := udpNode(t, mdpconn.Config{Logger: log.logger(slog.LevelInfo)}, "127.0.0.1:0")
	b := udpNode(t, mdpconn.Config{Announce: mdpconn.AnnounceAlways, Logger: other.logger(slog.LevelInfo)}, "127.0.0.1:0")
	other.await(t, "error counted", func() bool { return b.Stats().Discovery.BroadcastErrors >= 1 })
	defer a.Announce()()
	log.await(t, "error counted", func() bool { return a.Stats().Discovery.BroadcastErrors >= 1 })
	a.AddHint(b.Primary(), b.LinkAddrs()[0])
	exchange(t, a, b)
	a.Close()
	if got := strings.Count(log.String(), "4110 "); got != 1 {
		t.Errorf("%d lines about port 4110, want 1:\n%s", got, log.String())
	}
}

func TestUDPListen(t *testing.T) {
	n := udpNode(t, mdpconn.Config{}, "127.0.0.1:0")
	first := n.LinkAddrs()[0]
	if !first.Addr().IsLoopback() || first.Port() == 0 {
		t.Fatalf("bound %v", first)
	}
	for _, same := range []string{"127.0.0.1:0", first.String()} {
		if got, err := n.Listen(same); err != nil || got != first {
			t.Errorf("Listen(%s) = %v, %v, want %v", same, got, err, first)
		}
	}
	wild, err := n.Listen(":0")
	if err != nil || !wild.Addr().IsUnspecified() || !wild.Addr().Is4() || len(n.LinkAddrs()) != 2 {
		t.Errorf("Listen(:0) = %v, %v", wild, err)
	}
	other := udpNode(t, mdpconn.Config{}, "127.0.0.1:0")
	if _, err := n.Listen(other.LinkAddrs()[0].String()); err == nil {
		t.Error("a socket of another node was bound again")
	}
	for _, bad := range []string{"", "127.0.0.1", "127.0.0.1:99999", "no.such.host.invalid:1", "192.0.2.1:0"} {
		_, err := n.Listen(bad)
		if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), `"`+bad+`"`) {
			t.Errorf("Listen(%q): %v", bad, err)
		}
	}
	// With both sockets, a hint reaches its node.
	n.AddHint(other.Primary(), other.LinkAddrs()[0])
	exchange(t, n, other)
}

func TestUDPDefaultBind(t *testing.T) {
	n := udpNode(t, mdpconn.Config{})
	addrs := n.LinkAddrs()
	if len(addrs) != 1 || !addrs[0].Addr().IsUnspecified() || addrs[0].Port() == 0 {
		t.Errorf("a node without configuration is bound to %v", addrs)
	}
}

// A watchedLog is a log that is written and read concurrently, and tells of what
// is written.
type watchedLog struct {
	written chan struct{} // cap 1

	mu sync.Mutex // guards what follows
	b  strings.Builder
}

func newWatchedLog() *watchedLog { return &watchedLog{written: make(chan struct{}, 1)} }

func (l *watchedLog) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: level}))
}

func (l *watchedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.written <- struct{}{}:
	default:
	}
	return l.b.Write(p)
}

func (l *watchedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// await waits until ok, which it asks whenever something is logged.
func (l *watchedLog) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	late := time.NewTimer(10 * time.Second)
	defer late.Stop()
	for !ok() {
		select {
		case <-l.written:
		case <-late.C:
			t.Fatalf("no %s", what)
		}
	}
}
