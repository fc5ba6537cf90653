package conformance

import (
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
	"mesh.example/msp/mspnet"
)

// connectMany opens n connections, a hundred at a time. Each end at an even
// index is the peer of the one behind it.
func (w *world) connectMany(t testing.TB, n int) (ends []*mspnet.Conn) {
	t.Helper()
	l := w.listen(t)
	defer l.Close()
	for len(ends) < 2*n {
		dialled := make(chan net.Conn)
		batch := min(100, n-len(ends)/2)
		for range batch {
			go func() {
				c, err := (&mspnet.Dialer{Node: w.client}).Dial("msp", w.target(port))
				if err != nil {
					t.Errorf("Dial: %v", err)
				}
				dialled <- c
			}()
		}
		byAddr := make(map[net.Addr]*mspnet.Conn)
		for range batch {
			c := (<-dialled).(*mspnet.Conn)
			byAddr[c.LocalAddr()] = c
		}
		for range batch {
			s := accept(t, l)
			ends = append(ends, s, byAddr[s.RemoteAddr()])
		}
	}
	return ends
}

// TestIdleGoroutines: a thousand idle connections have no goroutine of their
// own, and no timer besides their nodes'.
func TestIdleGoroutines(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ends := w.connectMany(t, 1)
		pass(time.Minute)
		before := runtime.NumGoroutine()
		ends = append(ends, w.connectMany(t, 1000)...)
		pass(10 * time.Second)
		if more := runtime.NumGoroutine() - before; more > 4 {
			t.Errorf("1,000 idle connections have %d goroutines more than one", more)
		}
		for i, c := range ends { // they live
			peer := ends[i^1]
			write(t, c, []byte{byte(i)})
			wantRead(t, "an idle connection", peer, []byte{byte(i)})
		}
	})
}

// TestKeepAlivesTogether: the keep-alives of many connections to one SID share
// overlay packets; one connection keeps to its 1.5 s ([MSP-7.1], [MSP-7.2]).
func TestKeepAlivesTogether(t *testing.T) {
	const minute = time.Minute
	for _, c := range []struct {
		conns       int
		spread      time.Duration // between their openings
		least, most int           // packets in a minute, both ways together
	}{
		{1, 0, 2 * 39, 2 * 41},
		{100, 0, 2 * 40, 2 * 40 * 12},
		{100, 17 * time.Millisecond, 2 * 40, 2 * 40 * 30},
		{300, 0, 2 * 40, 2 * 40 * 40},
	} {
		t.Run(fmt.Sprintf("%d by %v", c.conns, c.spread), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.published = true
				w.listenOn(t, mspnet.ListenConfig{Backlog: 2000}, ":42")
				for range c.conns {
					w.dial(t)
					time.Sleep(c.spread)
				}
				pass(minute) // the times settle
				packets := 0
				remove := w.net.Tap(func(e memnet.Event) {
					if enciphered(e.Data) {
						packets++
					}
				})
				defer remove()
				pass(minute)
				each := float64(packets) / 2 / minute.Seconds()
				t.Logf("%d idle connections: %.1f packets a second each way; one by one it were %.1f",
					c.conns, each, float64(c.conns)/1.5)
				if packets < c.least || packets > c.most {
					t.Errorf("%d packets in a minute, want %d … %d", packets, c.least, c.most)
				}
			})
		})
	}
}

// enciphered reports whether a packet carries datagrams. Others are the nodes'
// own: announcements and link state, which do not grow with the connections.
func enciphered(data []byte) bool {
	if len(data) > 0 && data[0] == 0x4d { // under session keys
		return true
	}
	var packet overlay.Packet
	if packet.Parse(data, overlay.Context{}) != nil {
		return false
	}
	for payload := (overlay.Payload{}); packet.Next(&payload); {
		if payload.Flags&overlay.Ciphered != 0 {
			return true
		}
	}
	return false
}

// BenchmarkIdleConns reports the memory of connections that were used and are
// idle, both ends of each together.
func BenchmarkIdleConns(b *testing.B) {
	const conns = 10_000
	for b.Loop() {
		b.StopTimer()
		w := instant(b)
		before := memory()
		b.StartTimer()
		ends := w.connectMany(b, conns)
		b.StopTimer()
		for i, c := range ends {
			write(b, c, []byte("x"))
			wantRead(b, "a connection", ends[i^1], []byte("x"))
		}
		<-time.After(4 * time.Second) // keep-alives give back what only messages need
		after := memory()
		b.ReportMetric(float64(after-before)/conns, "bytes/conn")
		b.ReportMetric(float64(runtime.NumGoroutine()), "goroutines")
		runtime.KeepAlive(ends)
		w.client.Close()
		w.server.Close()
		b.StartTimer()
	}
}

// memory is what the heap and the stacks hold.
func memory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
