package engine

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"mesh.example/msp/engine/msp"
	"mesh.example/msp/mdpconn"
)

// benchListen returns the engine of one node, and a listener of another.
func benchListen(b *testing.B, udp bool) (*Engine, *Listener) {
	b.Helper()
	near, far := benchNodes(b, udp)
	ln, err := Of(far).Listen(mdpconn.Addr{Port: 80}, ListenConfig{Backlog: 1 << 14})
	if err != nil {
		b.Fatal(err)
	}
	return Of(near), ln
}

// benchOpen opens one more connection of e to ln.
func benchOpen(b *testing.B, e *Engine, ln *Listener) (near, far *Conn) {
	b.Helper()
	near, err := e.Dial(context.Background(), mdpconn.Addr{}, ln.Addr(), false)
	if err != nil {
		b.Fatal(err)
	}
	if far, err = ln.Accept(context.Background()); err != nil {
		b.Fatal(err)
	}
	return near, far
}

// BenchmarkIdle opens connections, sends a byte each way and leaves them alone. It
// reports what one costs each of its ends, of which both are in this process.
func BenchmarkIdle(b *testing.B) {
	e, ln := benchListen(b, true)
	benchOpen(b, e, ln)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	goroutines, cpu := runtime.NumGoroutine(), cpuTime()
	var conns []*Conn
	var buf [1]byte
	for b.Loop() {
		near, far := benchOpen(b, e, ln)
		for _, way := range [][2]*Conn{{near, far}, {far, near}} {
			if err := way[0].Send(buf[:]); err != nil {
				b.Fatal(err)
			}
			if _, err := way[1].Read(buf[:]); err != nil {
				b.Fatal(err)
			}
		}
		conns = append(conns, near, far)
	}
	b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(b.N), "CPU-µs/conn")
	runtime.GC()
	runtime.ReadMemStats(&after)
	ends := float64(len(conns))
	b.ReportMetric(float64(after.HeapInuse-before.HeapInuse)/ends, "heap-B/end")
	b.ReportMetric(float64(after.StackInuse-before.StackInuse)/ends, "stack-B/end")
	b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/ends, "goroutines/end")
	runtime.KeepAlive(conns)
}

// BenchmarkStreams moves 64 MB over so many connections at once, each in messages of
// 64 KB, and waits for an answer of a byte on each.
func BenchmarkStreams(b *testing.B) {
	const size, message = 64_000_000, 64_000
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			e, ln := benchListen(b, true)
			done, data := make(chan error, n), make([]byte, message)
			work := make([]chan struct{}, n)
			for i := range work {
				near, far := benchOpen(b, e, ln)
				work[i] = make(chan struct{}, 1)
				go benchReceive(far, size/n)
				go func() {
					for range work[i] {
						done <- benchTransfer(near, size/n, data)
					}
					near.Abort()
				}()
			}
			transferAll := func() {
				for _, w := range work {
					w <- struct{}{}
				}
				for range work {
					if err := <-done; err != nil {
						b.Fatal(err)
					}
				}
			}
			for range 3 { // queues and buffers grow to what they need
				transferAll()
			}
			b.SetBytes(size)
			packets, cpu := benchPackets(e), cpuTime()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				transferAll()
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric((cpuTime()-cpu).Seconds()/float64(b.N)/size*1e9, "CPU-s/GB")
			sent := float64(benchPackets(e) - packets)
			b.ReportMetric(sent/float64(b.N), "packets/op")
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/sent, "allocs/packet")
			for _, w := range work {
				close(w)
			}
		})
	}
}

// benchPackets is how many packets an engine's connections sent and received.
func benchPackets(e *Engine) (n uint64) {
	e.call(func(time.Time) {
		e.mux.Conns(func(c *msp.Conn) {
			s := c.Stats()
			n += s.PacketsSent + s.PacketsReceived
		})
	})
	return n
}

// benchTransfer sends so many bytes in messages of data, and waits for an answer.
func benchTransfer(c *Conn, size int, data []byte) error {
	for size > 0 {
		n, err := c.Write(data[:min(size, len(data))])
		if err != nil {
			return err
		}
		size -= n
	}
	var answer [1]byte
	_, err := c.Read(answer[:])
	return err
}

// benchReceive answers each transfer of so many bytes by one.
func benchReceive(c *Conn, size int) error {
	b := make([]byte, 32<<10)
	for left := size; ; {
		n, err := c.Read(b[:min(left, len(b))])
		if err != nil {
			return err
		}
		if left -= n; left == 0 {
			left = size
			c.Send(b[:1])
		}
	}
}
