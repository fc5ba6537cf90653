package engine

import (
	"io"
	"runtime"
	"testing"

	"mesh.example/msp/engine/msp"
	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
)

// benchNodes returns two nodes that the first knows the second of, on the memory
// network or on UDP on the loopback device.
func benchNodes(b *testing.B, udp bool) (near, far *mdpconn.Node) {
	b.Helper()
	network := memnet.New(memnet.Config{})
	b.Cleanup(func() { network.Close() })
	var nodes [2]*mdpconn.Node
	for i := range nodes {
		cfg := mdpconn.Config{Links: []mdpconn.Link{network.Link()}}
		if udp {
			cfg = mdpconn.Config{UDP: []string{"127.0.0.1:0"}}
		}
		n, err := mdpconn.NewNode(cfg)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { n.Close() })
		nodes[i] = n
	}
	nodes[0].AddHint(nodes[1].Primary(), nodes[1].LinkAddrs()[0])
	return nodes[0], nodes[1]
}

// benchPair returns the ends of a connection.
func benchPair(b *testing.B, udp bool) (near, far *Conn) {
	b.Helper()
	e, ln := benchListen(b, udp)
	return benchOpen(b, e, ln)
}

func BenchmarkThroughput(b *testing.B) {
	for _, link := range []string{"memory", "udp"} {
		b.Run(link, func(b *testing.B) {
			near, far := benchPair(b, link == "udp")
			msg := make([]byte, msp.MaxMessage)
			done := make(chan error)
			go func() {
				buf := make([]byte, 32*msp.MaxMessage)
				for {
					if _, err := far.Read(buf); err != nil {
						done <- err
						return
					}
				}
			}()
			for range 100_000 { // queues and buffers grow to what they need
				if err := near.Send(msg); err != nil {
					b.Fatal(err)
				}
			}
			sent := benchPackets(near.e)
			b.SetBytes(msp.MaxMessage)
			b.ReportAllocs()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				if err := near.Send(msg); err != nil {
					b.Fatal(err)
				}
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(benchPackets(near.e)-sent), "allocs/packet")
			if err := near.CloseWrite(); err != nil {
				b.Fatal(err)
			}
			if err := <-done; err != io.EOF {
				b.Fatal(err)
			}
		})
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	for _, link := range []string{"memory", "udp"} {
		b.Run(link, func(b *testing.B) {
			near, far := benchPair(b, link == "udp")
			go func() {
				buf := make([]byte, 64)
				for {
					n, err := far.Read(buf)
					if err != nil {
						return
					}
					far.Send(buf[:n])
				}
			}()
			buf := make([]byte, 64)
			b.ReportAllocs()
			for b.Loop() {
				if err := near.Send(buf); err != nil {
					b.Fatal(err)
				}
				if _, err := near.Read(buf); err != nil {
					b.Fatal(err)
				}
			}
			near.Abort()
		})
	}
}
