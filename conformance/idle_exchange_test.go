package conformance

import (
	"encoding/hex"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mspnet"
)

// idleExchange is a connection of two stock ends with nothing to say for 4 s, as
// captured at the client: docs/protocol.md §8.1.
var idleExchange = []struct {
	ms   int
	way  byte // '>' sent by the client, '<' received by it
	data string
}{
	{0, '>', "04ffff"}, {11, '<', "00ffff"},
	{1500, '>', "00ffff"}, {1511, '<', "00ffff"},
	{3002, '>', "00ffff"}, {3013, '<', "00ffff"},
	{3963, '>', "01ffff0000"}, {3975, '<', "020000"},
	{4471, '<', "0300000000"}, {4471, '>', "020000"},
}

// captured is how exact the captured times are.
const captured = 3 * time.Millisecond

// TestIdleExchange reproduces it, our end being the client and then the server,
// and the other one a script ([MSP-1.1], [MSP-2.1], [MSP-2.2], [MSP-2.10], [MSP-2.11],
// [MSP-6.1.2], [MSP-6.2.2], [MSP-7.1], [MSP-8.1.1], [MSP-8.1.2], [MSP-8.1.3],
// [MSP-8.1.5]).
func TestIdleExchange(t *testing.T) {
	t.Run("as client", func(t *testing.T) {
		exchange(t, '>', func(t *testing.T, w *world, at func(ms int)) *mspnet.Conn {
			w.published = true
			c := w.dial(t)
			at(3963)
			try(t, "CloseWrite", c.CloseWrite())
			return c
		})
	})
	t.Run("as server", func(t *testing.T) {
		exchange(t, '<', func(t *testing.T, w *world, at func(ms int)) *mspnet.Conn {
			s := accept(t, w.listen(t))
			at(4471)
			try(t, "CloseWrite", s.CloseWrite())
			return s
		})
	})
}

// exchange plays the exchange. Our packets go the given way, run is our
// application, and at waits for a time of the capture.
func exchange(t *testing.T, ours byte, run func(t *testing.T, w *world, at func(ms int)) *mspnet.Conn) {
	const way = 5500 * time.Microsecond // half of the captured round trip
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Config{Seed: 1, Impairment: memnet.Impairment{Delay: way}})
		node, from, to := w.server, mdpconn.Addr{Port: port}, mdpconn.Addr{}
		received := time.Duration(0) // from the client's clock to when the script's packets leave
		if ours == '<' {
			node, from, to = w.client, mdpconn.Addr{Port: 7777}, mdpconn.Addr{SID: w.server.Primary(), Port: port}
		} else {
			received = way
		}
		script, err := node.ListenPacket(from)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		got := make(chan string, 100)
		peer := make(chan mdpconn.Addr, 1)
		go listenTo(script, func(a mdpconn.Addr, data []byte) {
			at := time.Since(start)
			if ours == '>' {
				at -= way // when our client sent it
			}
			select {
			case peer <- a:
			default:
			}
			got <- fmt.Sprintf("%d %x", at.Round(time.Millisecond).Milliseconds(), data)
		})
		go func() {
			for _, p := range idleExchange {
				if p.way == ours {
					continue
				}
				time.Sleep(time.Until(start.Add(time.Duration(p.ms)*time.Millisecond - received)))
				if to.Port == 0 {
					to = <-peer
				}
				data, err := hex.DecodeString(p.data)
				if err != nil {
					t.Errorf("%s: %v", p.data, err)
				}
				if _, err := script.WriteTo(data, to); err != nil {
					t.Errorf("the script: %v", err)
				}
			}
		}()
		c := run(t, w, func(ms int) {
			time.Sleep(time.Until(start.Add(time.Duration(ms)*time.Millisecond - way + received)))
		})
		for _, p := range idleExchange {
			if p.way == ours {
				wantPacket(t, <-got, p.ms, p.data)
			}
		}
		wantEOF(t, "our end", c)
		try(t, "CloseContext", c.CloseContext(t.Context()))
		pass(time.Minute)
		select {
		case p := <-got:
			t.Errorf("one more packet: %s", p)
		default:
		}
		script.Close()
	})
}

// wantPacket compares a packet with that of the capture.
func wantPacket(t *testing.T, got string, ms int, data string) {
	t.Helper()
	var gotMS int
	var gotData string
	fmt.Sscan(got, &gotMS, &gotData)
	if d := time.Duration(gotMS-ms) * time.Millisecond; gotData != data || d.Abs() > captured {
		t.Errorf("packet at %d ms: %s, want at %d ms: %s", gotMS, gotData, ms, data)
	}
}

// listenTo calls f with every datagram until the socket is closed.
func listenTo(c net.PacketConn, f func(from mdpconn.Addr, data []byte)) {
	b := make([]byte, 2000)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		f(from.(mdpconn.Addr), b[:n])
	}
}
