package stream

import (
	"fmt"
	"testing"
	"time"
)

// wantAt fails unless so much time has passed since start.
func (n *testNet) wantAt(why string, start time.Time, want time.Duration) {
	n.t.Helper()
	if got := n.now.Sub(start); got != want {
		n.t.Errorf("%s: after %v, want %v", why, got, want)
	}
}

// warm lets both ends measure the round trip, which is 20 ms.
func (n *testNet) warm() {
	n.t.Helper()
	for range 8 {
		for _, e := range n.ends {
			e.send([]byte("hello"))
			n.run(time.Second, e.Flushed)
		}
	}
	for _, e := range n.ends {
		if rtt, _ := e.RTT(); rtt != 20*time.Millisecond {
			n.t.Fatalf("round trip of %v", rtt)
		}
	}
}

// dropNext drops the next k packets of an end.
func (n *testNet) dropNext(side, k int) {
	n.drop = func(from int, _ []byte) bool {
		if from != side || k == 0 {
			return false
		}
		k--
		return true
	}
}

// TestLoneLoss: [MSX-4.8] the loss of a lone message, or of what acknowledges it,
// costs about a round trip, and the probes are two.
func TestLoneLoss(t *testing.T) {
	for lost := 1; lost <= 2; lost++ { // the message; the message and one probe
		n := newNet(t, 1)
		n.warm()
		start, got := n.now, len(n.ends[1].got)
		n.dropNext(0, lost)
		n.ends[0].send([]byte("request"))
		n.run(time.Second, func() bool { return len(n.ends[1].got) > got })
		if d := n.now.Sub(start); d > 10*time.Millisecond+30*time.Millisecond {
			t.Errorf("%d packets lost: arrived after %v, want about two round trips", lost, d)
		}
		if n.ends[0].stats.ProbeTimeouts != 1 {
			t.Errorf("%d probe timeouts, want 1", n.ends[0].stats.ProbeTimeouts)
		}
	}
}

// TestGap: [MSX-4.6] a packet is lost when one sent three later is acknowledged,
// and what was in it comes one round trip later.
func TestGap(t *testing.T) {
	n := newNet(t, 1)
	n.warm()
	start, got := n.now, len(n.ends[1].got)
	n.dropNext(0, 1)
	for range 6 {
		n.ends[0].send(make([]byte, 1000))
	}
	n.run(time.Second, func() bool { return len(n.ends[1].got) == got+6 })
	if d := n.now.Sub(start); d < 30*time.Millisecond || d > 35*time.Millisecond { // they leave paced
		t.Errorf("the gap is filled after %v, want 30 ms and what three packets took to leave", d)
	}
	n.check(false)
	n.run(time.Second, n.ends[0].Flushed)
	if s := n.ends[0].stats; s.PacketsLost != 1 || s.ProbeTimeouts != 0 {
		t.Errorf("%+v; want one packet lost, without a timeout", s)
	}
}

// TestLate: [MSX-4.6] a packet is lost 9/8 of a round trip after one sent later.
func TestLate(t *testing.T) {
	n := newNet(t, 1)
	n.warm()
	start, got := n.now, len(n.ends[1].got)
	n.dropNext(0, 1)
	for range 2 {
		n.ends[0].send(make([]byte, 1000))
	}
	n.run(time.Second, func() bool { return len(n.ends[1].got) == got+2 })
	n.wantAt("the first comes again", start, 20*time.Millisecond*9/8+10*time.Millisecond)
}

// TestSpurious: [MSX-4.6] where packets overtake each other the threshold grows,
// and after a while none is taken for lost.
func TestSpurious(t *testing.T) {
	n := newNet(t, 1)
	n.warm()
	n.jitter, n.rate = 5*time.Millisecond, 12.5e6
	send := func() (lost uint64) {
		before := n.ends[0].stats
		for range 400 {
			n.ends[0].send(make([]byte, 1000))
		}
		n.run(time.Minute, n.ends[0].Flushed)
		after := n.ends[0].stats
		if late := after.PacketsLost - before.PacketsLost; late != after.PacketsSpurious-before.PacketsSpurious {
			t.Errorf("%d taken for lost, %d of them known to be not", late, after.PacketsSpurious-before.PacketsSpurious)
		}
		return after.PacketsLost - before.PacketsLost
	}
	first := send()
	for range 3 {
		send()
	}
	last := send()
	if first == 0 || last > first/4 {
		t.Errorf("%d of the first 400 packets were taken for lost, and %d of the last", first, last)
	}
}

// TestAckRate: [MSX-4.5] a fast transfer has few ACKs, a lone message one at once.
func TestAckRate(t *testing.T) {
	n := newNet(t, 1)
	n.rate = 12.5e6
	for range 3000 {
		n.ends[0].send(make([]byte, 4000))
	}
	before := n.ends[1].stats.PacketsSent
	n.run(time.Minute, n.ends[0].Flushed)
	packets, acks := n.ends[0].stats.PacketsSent, n.ends[1].stats.PacketsSent-before
	if acks*6 > packets {
		t.Errorf("%d packets of the receiver for %d of the sender", acks, packets)
	}
	n.rate = 0
	start := n.now
	n.ends[0].send([]byte("x"))
	n.run(time.Second, n.ends[0].Flushed)
	n.wantAt("a lone message is acknowledged at once", start, 20*time.Millisecond)
}

// TestRequestsAcknowledge: [MSX-4.5] where requests and answers follow each other fast
// they carry the ACKs, also if a quarter of the round trip is less than an answer takes.
func TestRequestsAcknowledge(t *testing.T) {
	n := newNet(t, 1)
	n.delay = 20 * time.Microsecond
	exchange := func() {
		for side := range n.ends {
			here, there := n.ends[side], n.ends[1-side]
			got := len(there.got)
			here.send(make([]byte, 1000))
			n.run(time.Second, func() bool { return len(there.got) > got })
			for thinks := n.now.Add(100 * time.Microsecond); n.step(thinks); {
			}
		}
	}
	exchange() // of parameters, too
	before := n.ends[0].stats.PacketsSent + n.ends[1].stats.PacketsSent
	for range 100 {
		exchange()
	}
	if sent := n.ends[0].stats.PacketsSent + n.ends[1].stats.PacketsSent - before; sent > 210 {
		t.Errorf("%d packets for 100 requests and answers", sent)
	}
}

// TestStopAndWait: [MSX-4.5] who waits for the ACK of each message does not wait for the
// default delay where the round trip is far shorter.
func TestStopAndWait(t *testing.T) {
	n := newNet(t, 1)
	n.delay = 20 * time.Microsecond
	each := func() {
		n.ends[0].send(make([]byte, 1000))
		n.run(time.Second, n.ends[0].Flushed)
	}
	for range 10 { // the round trip is known, and said
		each()
	}
	start := n.now
	for range 100 {
		each()
	}
	if took := n.now.Sub(start); took > 110*time.Millisecond {
		t.Errorf("100 messages took %v, want 1 ms each", took)
	}
}

// TestFlowControl: [MSX-5.1], [MSX-5.2] a reader who does not read holds the
// sender, at the window; when he reads on it goes on.
func TestFlowControl(t *testing.T) {
	n := newNet(t, 1)
	n.ends[1].read = -1
	for range 1000 {
		n.ends[0].send(make([]byte, 1000))
	}
	n.run(time.Minute, func() bool { return n.ends[1].rcv.next == ours.MaxData })
	limit := n.now.Add(time.Minute)
	for n.step(limit) {
	}
	if next := n.ends[1].rcv.next; next != ours.MaxData {
		t.Errorf("%d bytes arrived at a reader who does not read, want %d", next, ours.MaxData)
	}
	if s := n.ends[0].stats; s.PacketsLost+s.ProbeTimeouts != 0 {
		t.Errorf("%+v: waiting is no loss", s)
	}
	n.ends[1].read = 0
	start := n.now
	n.run(time.Minute, n.ends[0].Flushed)
	if d := n.now.Sub(start); d > 500*time.Millisecond {
		t.Errorf("the rest took %v", d)
	}
	n.check(false)
}

// TestWindowGrows: [MSX-5.3] the window follows what the path carries.
func TestWindowGrows(t *testing.T) {
	n := newNet(t, 1)
	n.delay = 100 * time.Millisecond
	for range 4000 {
		n.ends[0].send(make([]byte, 10_000))
	}
	n.ends[0].Shutdown()
	n.run(10*time.Minute, func() bool { return n.ends[1].EOF() })
	if size := n.ends[1].win.size; size < 1<<20 || size > maxWindow {
		t.Errorf("window of %d bytes", size)
	}
	n.ends[1].Drop(true)
	if used := n.ends[1].config.Budget.used; used != 0 {
		t.Errorf("%d bytes of the budget are not given back", used)
	}
}

// TestWindowFollowsArrival: [MSX-5.3] a gap does not hold the window back, a reader that does
// not read and a peer that is slow do.
func TestWindowFollowsArrival(t *testing.T) {
	const size, trip = 1000, 100 * time.Millisecond
	for _, c := range []struct {
		why        string
		after      time.Duration // from the first packet to the one that makes it half a window
		next, held uint64
		read, want uint64
	}{
		{"half of it, all read", 4 * trip, 500, 0, 500, 2 * size},
		{"half of it behind a gap", 4 * trip, 1, 499, 1, 2 * size},
		{"less than half", trip, 250, 249, 250, size},
		{"half of it, not read", trip, 500, 0, 0, size},
		{"half of it, too slow", 4*trip + 1, 500, 0, 500, size},
	} {
		w := newReceiveWindow(size, &Budget{Limit: maxWindow})
		start := time.Unix(1, 0)
		w.arrived(start, 1, 0, trip)
		w.consumed(c.read)
		w.arrived(start.Add(c.after), c.next, c.held, trip)
		if w.size != c.want {
			t.Errorf("%s: window of %d bytes, want %d", c.why, w.size, c.want)
		}
		if grew := c.want > size; grew && !w.due {
			t.Errorf("%s: nothing is due", c.why)
		}
	}
}

// TestWindowByHoles: [MSX-5.3] what does not arrive does not count: single bytes far ahead
// do not make the window grow, nor use up the node's budget.
func TestWindowByHoles(t *testing.T) {
	n := newNet(t, 1)
	e := n.ends[0]
	size := e.win.size
	for i := range byte(20) {
		b := append(unhex(t, fmt.Sprintf("20 %02x000000 05", FirstNumber+i)), appendVarint(nil, e.win.limit-1-uint64(i))...)
		if err := e.Input(n.now, append(b, 7), false); err != nil {
			t.Fatal(err)
		}
	}
	if e.win.size != size || e.win.taken != 0 {
		t.Errorf("window of %d bytes, %d of the budget taken, want %d and nothing", e.win.size, e.win.taken, size)
	}
	e.Drop(true)
}

// TestManyBehindGap: [MSX-5.4] a full window of packets is held behind one that was lost.
func TestManyBehindGap(t *testing.T) {
	r := receiveBuffer{alloc: func(n int) []byte { return make([]byte, n) }, free: func([]byte) {}, maxMessage: 1 << 20}
	const piece = 1200
	for at := uint64(piece); at+piece <= maxWindow; at += piece {
		if err := r.insert(at, make([]byte, piece), false, maxWindow); err != nil {
			t.Fatalf("at %d, with %d pieces: %v", at, len(r.segments), err)
		}
	}
	if want := r.highest() - piece; r.held != want {
		t.Errorf("%d bytes held, want %d", r.held, want)
	}
	r.dropGaps()
	if r.held != 0 {
		t.Errorf("%d bytes held of nothing", r.held)
	}
}

// TestFaults: [MSX-3.4], [MSX-5.1], [MSX-2.6] what ends a connection.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		why    string
		frames string
		err    error
	}{
		{"a message without length", "04 00 02 0000", errMessageSize},
		{"a message that is too long", "04 00 04 80020000", errMessageSize},
		{"data beyond the window", "04 8003ffff 02 0101", errWindow},
		{"data behind the end", "06 00 02 0141 04 02 02 0141", errBehindEnd},
		{"another end", "06 00 02 0141 06 00 04 01410141", errBehindEnd},
		{"an end before what arrived", "04 08 02 0141 06 00 02 0141", errBehindEnd},
	} {
		n := newNet(t, 1)
		err := n.ends[0].Input(n.now, append(unhex(t, "2040000000"), unhex(t, c.frames)...), false)
		if err != c.err {
			t.Errorf("%s: %v, want %v", c.why, err, c.err)
		}
		n.buffers()
	}
}

// TestRepeatedPacket: [MSX-2.3] a packet that comes twice is dropped.
func TestRepeatedPacket(t *testing.T) {
	n := newNet(t, 1)
	e := n.ends[0]
	for range 2 {
		if err := e.Input(n.now, unhex(t, "2040000000 04 00 02 0141"), false); err != nil {
			t.Fatal(err)
		}
	}
	if s := e.Stats(); s.Duplicates != 1 || s.BytesReceived != 1 {
		t.Errorf("%+v", s)
	}
}

// TestEarly: [MSX-1.7], [MSX-3.5] messages of the opening find their place,
// whatever comes first.
func TestEarly(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}, {1, 3, 0, 2}} {
		n := newNet(t, 1)
		e := n.ends[1]
		for _, k := range order {
			var err error
			switch k {
			case 0, 1:
				err = e.Early(n.now, uint64(k), []byte{'a' + byte(k)}, false)
			case 2: // the third, in the extended format: behind two messages of two bytes
				err = e.Input(n.now, unhex(t, "2040000000 04 04 02 0163"), false)
			case 3:
				err = e.Early(n.now, 3, nil, true)
			}
			if err != nil {
				t.Fatal(err)
			}
			e.turn()
		}
		if len(e.got) != 3 || string(e.got[0])+string(e.got[1])+string(e.got[2]) != "abc" || !e.EOF() {
			t.Errorf("%v: got %q, EOF %v", order, e.got, e.EOF())
		}
		n.buffers()
	}
}

// TestProbesApart: [MSX-4.8] the two packets of a probe timeout leave apart, so that
// they do not travel in one datagram of the layer below and get lost together.
func TestProbesApart(t *testing.T) {
	n := newNet(t, 1)
	n.warm()
	var at []time.Time
	n.drop = func(from int, _ []byte) bool {
		if from == 0 {
			at = append(at, n.now)
		}
		return from == 0 && len(at) <= 3
	}
	n.ends[0].send([]byte("request"))
	n.run(time.Second, n.ends[0].Flushed)
	if len(at) < 4 || at[2].Sub(at[1]) < time.Millisecond || at[3].Sub(at[2]) < 10*time.Millisecond {
		t.Errorf("the packet, two probes and two more left at %v", at)
	}
}

// TestBeyondAGigabyte: a stream goes on across the offsets from which on they are
// written in another way, with losses, and fills its packets.
func TestBeyondAGigabyte(t *testing.T) {
	for _, at := range []uint64{farOffsets, farEnd} {
		n := newNet(t, at)
		from, to := n.ends[0], n.ends[1]
		begin := at - 100_123
		from.snd.una, from.snd.next, from.snd.end = begin, begin, begin
		from.limit = begin + ours.MaxData
		to.rcv.next = begin
		to.win.read, to.win.limit, to.win.epoch = begin, begin+ours.MaxData, begin
		n.loss = 0.05
		full := 0
		n.drop = func(side int, b []byte) bool {
			if side == 0 && len(b) >= from.cfg.PacketSize-3 { // room is kept for the longest offset
				full++
			}
			return false
		}
		for range 300 {
			from.send(message(n.rand, 1000))
		}
		n.run(time.Minute, from.Flushed)
		n.check(false)
		if got := len(to.got); got != 300 || full < 250 {
			t.Errorf("from %d on: %d of 300 messages arrived, in %d full packets", begin, got, full)
		}
		if to.rcv.next < at+100_000 {
			t.Errorf("the stream ends at %d, want it beyond %d", to.rcv.next, at)
		}
	}
}
