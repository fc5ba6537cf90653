package msp

import (
	"testing"
	"time"

	"mesh.example/msp/engine/cc"
	"mesh.example/msp/engine/stream"
)

// A purse is a controller that lets one packet leave, and holds what it is given.
type purse struct {
	cc.Controller
	held float64
}

func (p *purse) Window() int { return 1 }

func (p *purse) Held() float64  { return p.held }
func (p *purse) Take(r float64) { p.held += r }
func (p *purse) Yield() float64 { r := p.held; p.held = 0; return r }

// purseConn is an extended connection with such a controller, a round trip of 20 ± 10 ms, and
// so many messages of a packet each to send.
func purseConn(t *testing.T, m *Mux, local, remote Addr, messages int) (*Conn, *purse) {
	t.Helper()
	c, err := m.Dial(epoch, local, remote, 0)
	if err != nil {
		t.Fatal(err)
	}
	c.heard = true
	c.extend(epoch, 0)
	p := &purse{cc.NewBBR(1200, 0, 1), 100}
	c.x.Stream = stream.New(stream.Config{
		Local: &extendedParams, PacketSize: 1200, Controller: p, RTT: 20 * ms, RTTVar: 10 * ms, Budget: &m.budget,
		Alloc: m.cfg.alloc, Free: m.cfg.free,
	})
	for range messages {
		if err := c.Send(make([]byte, 800)); err != nil {
			t.Fatal(err)
		}
	}
	return c, p
}

// TestHandover: [MSX-8.7] what a connection holds of the path goes to those between the same two
// SIDs, and to no others, when it has had nothing to send for a while, or ends, save for the
// silence of the peer or a failure.
func TestHandover(t *testing.T) {
	poll := func(m *Mux, after time.Duration) {
		m.Advance(epoch.Add(after))
		m.Poll(epoch.Add(after), func(_, _ Addr, _ []byte) {})
	}
	const trip = 60 * ms // 20 + 4 × 10
	for _, row := range []struct {
		name  string
		leave func(*Conn)
		hands bool
	}{
		{"nothing to send", func(c *Conn) {
			ack := []byte{stream.Format, 64, 0, 0, 0, 2, 0x40, 64, 0, 0, 0}
			if err := c.x.Input(epoch.Add(trip-1), ack, false); err != nil {
				t.Fatal(err)
			}
			poll(c.mux, trip)
		}, true},
		{"no answer", func(c *Conn) { poll(c.mux, trip) }, false},
		{"aborted in the midst of it", func(c *Conn) { c.Send([]byte("x")); c.Stop() }, true},
		{"stopped by the peer", func(c *Conn) { c.end(Reset) }, true},
		{"finished", func(c *Conn) { c.end(Finished) }, true},
		{"the layer below failed", (*Conn).Fail, false},
		{"timed out", func(c *Conn) { c.end(TimedOut) }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := NewMux(Config{Extended: true})
			giver, gave := purseConn(t, m, addr('C', 257), addr('S', 80), 1)
			_, second := purseConn(t, m, addr('C', 258), addr('S', 80), 3)
			_, third := purseConn(t, m, addr('C', 257), addr('S', 81), 3)
			_, identity := purseConn(t, m, addr('D', 257), addr('S', 80), 3)
			_, peer := purseConn(t, m, addr('C', 257), addr('T', 80), 3)
			ended, over := purseConn(t, m, addr('C', 259), addr('S', 80), 3)
			ended.Shutdown()
			if _, err := m.Dial(epoch, addr('C', 260), addr('S', 80), time.Hour); err != nil { // published
				t.Fatal(err)
			}
			poll(m, 0)
			poll(m, trip-1)
			if gave.held != 100 {
				t.Error("handed over before an answer can be there")
			}
			ended.Fail()
			row.leave(giver)
			kept, part := 100.0, 0.0
			if row.hands {
				kept, part = 0, 50
			}
			if gave.held != kept || second.held != 100+part || third.held != 100+part {
				t.Errorf("held after it %.0f, by its siblings %.0f and %.0f, want %.0f more each", gave.held, second.held, third.held, part)
			}
			if identity.held != 100 || peer.held != 100 || over.held != 100 {
				t.Errorf("held by one of another identity of ours %.0f, to another peer %.0f, that has ended %.0f; want 100",
					identity.held, peer.held, over.held)
			}
		})
	}
}
