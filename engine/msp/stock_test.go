package msp

import (
	"bytes"
	"fmt"
	"testing"
	"time"
)

// A stockRun is a series of connections with a stock peer, one after the other
// without a pause, each with messages both ways.
type stockRun struct {
	weDial    bool // else the stock end does, from the same 4-tuple each time
	loss      float64
	slow      bool          // our reader
	stockSlow time.Duration // its reader takes a message this often
	messages  int

	// The results.
	ours, theirs time.Duration // from the beginning of a connection until all has arrived, summed
	connections  int
	aborted      int // connections of ours that ended by the STOP of a peer that had finished
}

func (r *stockRun) String() string {
	who := "stock dials"
	if r.weDial {
		who = "we dial"
	}
	return fmt.Sprintf("%s, loss %v%%, we read slowly %v, stock every %v", who, r.loss*100, r.slow, r.stockSlow)
}

// TestStockPeer runs our end against the model of a stock one, over a link of 5 ms
// each way: both directions at once, three connections in succession, on the
// same 4-tuple if the stock end dials ([MSP-9.3] to [MSP-9.6]). Everything arrives at
// both ends, and the stock end never ends but by finishing ([MSP-8.2.1]).
func TestStockPeer(t *testing.T) {
	for _, weDial := range []bool{true, false} {
		for _, loss := range []float64{0, 0.1} {
			for _, r := range []*stockRun{
				{messages: 200},
				{messages: 60, slow: true},
				{messages: 60, stockSlow: 200 * ms},
			} {
				r.weDial, r.loss = weDial, loss
				t.Run(r.String(), func(t *testing.T) {
					seeds := uint64(1)
					if loss > 0 {
						seeds = 10
					}
					for seed := range seeds {
						r.run(t, seed)
					}
					rate := func(d time.Duration) float64 { return float64(r.messages*r.connections) / d.Seconds() }
					t.Logf("messages per second: ours %.1f, theirs %.1f", rate(r.ours), rate(r.theirs))
					if r.aborted > 0 {
						t.Logf("%d of %d connections ended by the STOP of a peer that had finished", r.aborted, r.connections)
					}
					if r.aborted > r.connections/4 {
						t.Error("that is too many")
					}
				})
			}
		}
	}
}

func (r *stockRun) run(t *testing.T, seed uint64) {
	const connections = 3
	s := newSim(t, seed)
	s.loss = func(Addr, []byte) bool { return s.rng.Float64() < r.loss }
	var buffers counter
	mux, stock := s.add('O', buffers.config(0)), newStockNode(s, 'T')
	if _, err := mux.Listen(addr('O', 80), 4); err != nil {
		t.Fatal(err)
	}
	stock.listening = true
	begun := s.now
	for i := range connections {
		a := &script{toSend: messages(s.rng, r.messages), slow: r.slow, pensive: seed%2 == 0}
		toSend := messages(s.rng, r.messages)
		var b *stockConn
		equip := func(c *stockConn) {
			b = c
			b.toSend, b.readEvery = toSend, r.stockSlow
		}
		stock.opened = equip
		if r.weDial {
			c, err := mux.Dial(s.now, addr('O', uint32(70000+i)), addr('T', 80), 0)
			if err != nil {
				t.Fatal(err)
			}
			a.c = c
		} else {
			equip(stock.dial(s.now, addr('O', 80)))
		}
		s.alarm = wake(s, a)
		start := s.now
		var ours, theirs time.Duration
		ended := s.run(5*time.Minute, func() bool {
			for c := mux.NextEvent(); c != nil; c = mux.NextEvent() {
				if a.c == nil && c.Cause() == Open {
					a.c = c
					c.Accept()
				}
			}
			a.step(s)
			if ours == 0 && b != nil && len(b.got) == r.messages {
				ours = s.now.Sub(start)
			}
			if theirs == 0 && len(a.got) == r.messages {
				theirs = s.now.Sub(start)
			}
			return a.c != nil && a.c.Cause() != Open && b.ended != ""
		})
		if !ended {
			t.Fatalf("connection %d: not ended; ours %v %+v, theirs %q, %d in flight, %d to send, %d got",
				i, a.c.State(), a.c.Stats(), b.ended, len(b.queue), len(b.toSend), len(b.got))
		}
		r.ours, r.theirs, r.connections = r.ours+ours, r.theirs+theirs, r.connections+1
		// Stock takes an ack of the old connection for one of the new: a client
		// that is quicker than the last packets under way loses messages.
		s.run(100*ms, never)
		r.check(t, i, a, b, toSend)
	}
	if !r.weDial && s.now.Sub(begun) < rememberTime && mux.Stats().Probations < connections-1 {
		t.Errorf("%d probations, want one for each reconnection", mux.Stats().Probations)
	}
	s.run(2*time.Minute, never)
	if len(mux.conns) != 0 || buffers.allocated != buffers.freed {
		t.Errorf("left: %d connections, %d of %d buffers", len(mux.conns), buffers.allocated-buffers.freed, buffers.allocated)
	}
}

func (r *stockRun) check(t *testing.T, i int, a *script, b *stockConn, toSend [][]byte) {
	t.Helper()
	if b.ended != "finished" {
		t.Errorf("connection %d: the stock end %s", i, b.ended)
	}
	switch a.c.Cause() {
	case Finished:
	case Reset:
		// The last ack was lost, and the peer has forgotten what it has read:
		// nothing tells this from an abort ([MSP-8.1.6]).
		r.aborted++
		bytes := uint64(0)
		for _, m := range a.toSend {
			bytes += uint64(len(m))
		}
		if r.loss == 0 || a.c.Stats().BytesAcked == bytes {
			t.Errorf("connection %d: reset", i)
		}
	default:
		t.Errorf("connection %d: %v", i, a.c.Cause())
	}
	compare := func(name string, got, want [][]byte) {
		if len(got) != len(want) {
			t.Errorf("connection %d: %s got %d of %d messages", i, name, len(got), len(want))
			return
		}
		for k := range got {
			if !bytes.Equal(got[k], want[k]) {
				t.Errorf("connection %d: %s: message %d differs", i, name, k)
				return
			}
		}
	}
	compare("we", a.got, toSend)
	compare("the stock end", b.got, a.toSend)
	if !a.eof {
		t.Errorf("connection %d: no EOF", i)
	}
}
