package stream

import (
	"bytes"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"mesh.example/msp/engine/cc"
)

// A testNet is a link between two streams, in which time is a variable.
type testNet struct {
	t    testing.TB
	now  time.Time
	rand *rand.Rand
	wire wireHeap
	n    int
	ends [2]*testEnd

	delay   time.Duration
	jitter  time.Duration
	loss    float64
	twice   float64
	rate    float64 // bytes per second; 0: no limit
	queue   int     // bytes that wait at most
	mark    func(from int, wait time.Duration) bool
	drop    func(from int, b []byte) bool
	log     bool
	offered int // bytes
}

type testEnd struct {
	*Stream
	config  Config
	net     *testNet
	side    int
	busy    time.Time // the link's
	buffers int       // out
	sent    [][]byte
	inbox   Inbox
	got     [][]byte
	partial []byte
	read    int // stops reading when below zero
}

type flight struct {
	at   time.Time
	n    int
	to   int
	data []byte

	marked bool
}

type wireHeap []flight

func (h wireHeap) Len() int { return len(h) }
func (h wireHeap) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].n < h[j].n
	}
	return h[i].at.Before(h[j].at)
}
func (h wireHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *wireHeap) Push(x any)   { *h = append(*h, x.(flight)) }
func (h *wireHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

var ours = Params{MaxMessage: 65_536, MaxData: 262_144, IdleTimeout: 30 * time.Second, AckDelay: 25 * time.Millisecond}

func newNet(t testing.TB, seed uint64) *testNet {
	n := &testNet{t: t, now: time.Unix(1_700_000_000, 0), rand: rand.New(rand.NewPCG(seed, 1)), delay: 10 * time.Millisecond}
	for i := range n.ends {
		e := &testEnd{net: n, side: i}
		e.config = Config{
			Local: &ours, PacketSize: 1200, Controller: n.controller(), Budget: &Budget{Limit: 1 << 30},
			Alloc: func(k int) []byte { e.buffers++; return make([]byte, k) },
			Free: func(b []byte) {
				if b != nil {
					e.buffers--
				}
			},
		}
		e.Stream = New(e.config)
		e.inbox = Inbox{Alloc: e.config.Alloc, Free: e.config.Free}
		n.ends[i] = e
	}
	return n
}

var newController = func() cc.Controller { return cc.NewBBR(1200, 0, 1) }

func (n *testNet) controller() cc.Controller { return newController() }

const room = 5

func (e *testEnd) send(msg []byte) {
	e.sent = append(e.sent, msg)
	e.buffers++
	buf := make([]byte, room+len(msg))
	copy(buf[room:], msg)
	e.Push(buf, room)
}

// turn takes what has arrived, and puts what is due on the wire.
func (e *testEnd) turn() {
	if e.read >= 0 {
		e.Take(&e.inbox)
		for e.inbox.Ready() {
			buf := make([]byte, 1000)
			k, ends := e.inbox.ReadMessage(buf)
			if e.partial = append(e.partial, buf[:k]...); ends {
				e.got = append(e.got, e.partial)
				e.partial = nil
			}
		}
		e.Consumed(e.inbox.Consumed())
	}
	for {
		b := e.Output(e.net.now, nil)
		if len(b) == 0 {
			return
		}
		if len(b) > e.cfg.PacketSize {
			e.net.t.Fatalf("packet of %d bytes, expected at most %d", len(b), e.cfg.PacketSize)
		}
		e.net.carry(e, b)
	}
}

func (n *testNet) carry(e *testEnd, b []byte) {
	if n.log {
		n.t.Logf("%8v %d > %s", n.now.Sub(time.Unix(1_700_000_000, 0)), e.side, String(b))
	}
	n.offered += len(b)
	if n.drop != nil && n.drop(e.side, b) {
		return
	}
	at := n.now
	if n.rate > 0 {
		if e.busy.Before(at) {
			e.busy = at
		}
		if n.queue > 0 && e.busy.Sub(at).Seconds()*n.rate > float64(n.queue) {
			return
		}
		e.busy = e.busy.Add(time.Duration(float64(len(b)) / n.rate * 1e9))
		at = e.busy
	}
	copies := 1
	if n.rand.Float64() < n.loss {
		copies = 0
	} else if n.rand.Float64() < n.twice {
		copies = 2
	}
	for range copies {
		d := n.delay
		if n.jitter > 0 {
			d += time.Duration(n.rand.Int64N(int64(n.jitter)))
		}
		n.n++
		heap.Push(&n.wire, flight{at.Add(d), n.n, 1 - e.side, bytes.Clone(b), n.mark != nil && n.mark(e.side, at.Sub(n.now))})
	}
}

// step goes on to the next thing that happens, at limit at the latest. It
// reports false if that is nothing.
func (n *testNet) step(limit time.Time) bool {
	for _, e := range n.ends {
		e.turn()
	}
	at := limit
	if len(n.wire) > 0 && n.wire[0].at.Before(at) {
		at = n.wire[0].at
	}
	for _, e := range n.ends {
		if next := e.NextTimeout(); !next.IsZero() && next.Before(at) {
			at = next
		}
	}
	if !at.Before(limit) {
		n.now = limit
		return false
	}
	if at.After(n.now) {
		n.now = at
	}
	for len(n.wire) > 0 && !n.wire[0].at.After(n.now) {
		f := heap.Pop(&n.wire).(flight)
		if err := n.ends[f.to].Input(n.now, f.data, f.marked); err != nil {
			n.t.Fatalf("end %d: %v: %s", f.to, err, String(f.data))
		}
	}
	for _, e := range n.ends {
		e.Advance(n.now)
		e.turn()
	}
	return true
}

// run runs until done, or fails after so long.
func (n *testNet) run(d time.Duration, done func() bool) {
	n.t.Helper()
	limit := n.now.Add(d)
	steps := 0
	for !done() {
		if steps++; steps > 20_000_000 {
			n.t.Fatalf("no progress at %v", n.now)
		}
		if !n.step(limit) {
			n.t.Fatalf("not done after %v:\n%s\n%s", d, n.ends[0].state(), n.ends[1].state())
		}
	}
}

func (e *testEnd) state() string {
	return fmt.Sprintf("end %d: queued %d, in flight %d (%d packets), lost %v, limit %d next %d end %d, received to %d, segments %d, %v, %+v",
		e.side, e.Queued(), e.loss.inFlight, e.loss.outstanding, e.snd.lost, e.limit, e.snd.next, e.snd.end, e.rcv.next, len(e.rcv.segments), e.cc, e.stats)
}

// check compares what arrived with what was sent.
func (n *testNet) check(whole bool) {
	n.t.Helper()
	for i, e := range n.ends {
		sent := n.ends[1-i].sent
		if whole && len(e.got) != len(sent) || len(e.got) > len(sent) {
			n.t.Fatalf("end %d got %d messages of %d", i, len(e.got), len(sent))
		}
		for j := range e.got {
			if !bytes.Equal(e.got[j], sent[j]) {
				n.t.Fatalf("end %d: message %d differs (%d bytes of %d)", i, j, len(e.got[j]), len(sent[j]))
			}
		}
	}
}

func (n *testNet) finished() bool {
	for _, e := range n.ends {
		if !e.Delivered() || !e.EOF() {
			return false
		}
	}
	return true
}

func (n *testNet) buffers() {
	n.t.Helper()
	for i, e := range n.ends {
		e.Drop(true)
		e.inbox.Drop()
		if e.buffers != 0 {
			n.t.Errorf("end %d kept %d buffers", i, e.buffers)
		}
	}
}

func message(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
