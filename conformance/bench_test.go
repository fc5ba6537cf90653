package conformance

import (
	"io"
	"runtime"
	"testing"

	"mesh.example/msp/mspnet"
)

// Throughput is of one stream, one way; an operation is a message of the full
// size. Allocations are of both ends together.

func BenchmarkThroughputMemory(b *testing.B) {
	w := instant(b)
	benchThroughput(b, w)
}

func BenchmarkThroughputUDP(b *testing.B) {
	benchThroughput(b, udpWorld(b))
}

// A round trip is a message of 64 bytes and its echo.

func BenchmarkRoundTripMemory(b *testing.B) {
	benchRoundTrip(b, instant(b))
}

func BenchmarkRoundTripUDP(b *testing.B) {
	benchRoundTrip(b, udpWorld(b))
}

// udpWorld is two nodes on the loopback interface, without a memory network.
func udpWorld(b *testing.B) *world {
	w := &world{server: udpNode(b), client: udpNode(b)}
	w.client.AddHint(w.server.Primary(), w.server.LinkAddrs()[0])
	return w
}

func benchThroughput(b *testing.B, w *world) {
	c, s := w.connect(b)
	message := make([]byte, mspnet.MaxMessage)
	done := make(chan int64)
	b.SetBytes(int64(len(message)))
	before := mallocs()
	b.ResetTimer()
	go func() {
		n, err := io.Copy(io.Discard, s)
		if err != nil {
			b.Errorf("reader: %v", err)
		}
		done <- n
	}()
	for range b.N {
		if err := c.WriteMessage(message); err != nil {
			b.Fatal(err)
		}
	}
	try(b, "CloseWrite", c.CloseWrite())
	if n := <-done; n != int64(b.N)*int64(len(message)) {
		b.Errorf("%d bytes arrived of %d messages", n, b.N)
	}
	b.StopTimer()
	b.ReportMetric(float64(mallocs()-before)/float64(b.N), "allocs/msg")
	b.ReportMetric(float64(c.Stats().Retransmitted)/float64(b.N), "resent/msg")
}

func benchRoundTrip(b *testing.B, w *world) {
	c, s := w.connect(b)
	go func() {
		io.Copy(s, s)
		s.CloseWrite()
	}()
	message := make([]byte, 64)
	b.SetBytes(int64(len(message)))
	before := mallocs()
	b.ResetTimer()
	for range b.N {
		if err := c.WriteMessage(message); err != nil {
			b.Fatal(err)
		}
		if _, _, err := c.ReadMessage(message); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(mallocs()-before)/float64(2*b.N), "allocs/msg")
	try(b, "CloseWrite", c.CloseWrite())
	wantEOF(b, "the echo", c)
}

// mallocs counts the allocations of the program.
func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
