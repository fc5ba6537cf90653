package stream

import (
	"fmt"
	"testing"
	"time"

	"mesh.example/msp/engine/cc"
)

// takeMarked lets an end have a packet that a router has marked.
func (e *testEnd) takeMarked(t *testing.T, number byte, frames string) {
	t.Helper()
	if err := e.Input(e.net.now, append([]byte{Format, number, 0, 0, 0}, unhex(t, frames)...), true); err != nil {
		t.Fatal(err)
	}
}

// TestMarksReported: [MSX-4.10] a marked packet is acknowledged at once, with the
// count of those that ask and were marked, which later ACKs name as well.
func TestMarksReported(t *testing.T) {
	n, e := quiet(t)
	e.take(t, 65, "04 00 02 0161")
	e.lines()
	for _, c := range []struct {
		why    string
		marked bool
		number byte
		frames string
		want   string
	}{
		{"one that is not marked, and may wait", false, 66, "04 02 02 0162", "[]"},
		{"marked", true, 67, "04 04 02 0163", "[packet 66: ACK 67-64 delay=0s ce=1]"},
		{"marked again", true, 68, "04 06 02 0164", "[packet 67: ACK 68-64 delay=0s ce=2]"},
		{"the same once more", true, 68, "04 06 02 0164", "[]"},
		{"it does not ask", true, 69, "02 4041 00 00 01", "[]"},
		{"cut short", true, 70, "01 04 08", "[]"},
		{"an end, not marked", false, 71, "06 08 00", "[packet 68: ACK 71 69-64 delay=0s ce=2]"},
	} {
		n.now = n.now.Add(time.Millisecond)
		if c.marked {
			e.takeMarked(t, c.number, c.frames)
		} else {
			e.take(t, c.number, c.frames)
		}
		if got := fmt.Sprint(e.lines()); got != c.want {
			t.Errorf("%s: %s, want %s", c.why, got, c.want)
		}
	}
	if got := e.Stats().PacketsMarked; got != 2 {
		t.Errorf("%d counted, want 2", got)
	}
}

// A markCounter is a controller that counts the marks it is told of.
type markCounter struct {
	cc.Controller
	marked int
}

func (c *markCounter) Marked(now time.Time, n int) {
	c.marked += n
	c.Controller.Marked(now, n)
}

// TestMarksHeeded: [MSX-4.11] the controller is told by how much the count grows, as
// far as it can be true.
func TestMarksHeeded(t *testing.T) {
	_, e := quiet(t) // packet 64 is acknowledged
	c := &markCounter{Controller: e.cc}
	e.cc = c
	for range 8 {
		e.send([]byte("x"))
		e.lines()
	}
	for i, ack := range []struct {
		why    string
		frames string
		want   int // in all
	}{
		{"two are acknowledged, one was marked", "03 4042 00 00 01 01", 1},
		{"the same again", "03 4042 00 00 01 01", 1},
		{"a smaller count", "02 4042 00 00 01", 1},
		{"a larger count than of packets acknowledged", "03 4043 00 00 02 05", 1},
		{"the largest count there is", "03 4043 00 00 02 ffffffffffffffff", 1},
		{"a count with nothing new, which an ACK that was lost has brought", "03 4043 00 00 02 02", 2},
		{"of packets never sent", "03 4060 00 00 01 04", 2},
		{"two more, and both", "03 4045 00 00 01 04", 4},
		{"all there are", "03 4048 00 00 07 09", 9},
	} {
		e.take(t, byte(65+i), ack.frames)
		if c.marked != ack.want {
			t.Errorf("%s: %d heeded, want %d", ack.why, c.marked, ack.want)
		}
	}
	if got := e.Stats().MarksHeeded; got != 9 {
		t.Errorf("%d counted, want 9", got)
	}
}

// bulk has megabytes sent over a link of 1.25 MB/s and a round trip of 20 ms, and
// gives how long they take.
func bulk(t *testing.T, algorithm cc.Algorithm, megabytes int, set func(*testNet)) (n *testNet, took time.Duration) {
	was := newController
	defer func() { newController = was }()
	newController = func() cc.Controller { return algorithm.New(1200, 0, 1) }
	n = newNet(t, 1)
	n.rate = 1.25e6
	set(n)
	start := n.now
	for range 1000 * megabytes {
		n.ends[0].send(message(n.rand, 1000))
	}
	for _, e := range n.ends {
		e.Shutdown()
	}
	n.run(5*time.Minute, n.finished)
	n.check(true)
	return n, n.now.Sub(start)
}

// TestMarkingQueue: where the queue marks, each mark that arrives comes back to the
// sender's controller, and they take the place of losses.
func TestMarkingQueue(t *testing.T) {
	for _, algorithm := range []cc.Algorithm{cc.BBR, cc.CUBIC} {
		n, _ := bulk(t, algorithm, 5, func(n *testNet) {
			n.queue = 100_000 // 80 ms
			n.mark = func(_ int, wait time.Duration) bool { return wait > 10*time.Millisecond }
		})
		from, to := n.ends[0].Stats(), n.ends[1].Stats()
		t.Logf("%v: %d packets, %d marked, %d lost", algorithm, from.PacketsSent, to.PacketsMarked, from.PacketsLost)
		if to.PacketsMarked == 0 || from.MarksHeeded != to.PacketsMarked || n.ends[0].marks.verdict != markTrusted {
			t.Errorf("%v: %d marks heeded, %d arrived, verdict %d", algorithm, from.MarksHeeded, to.PacketsMarked, n.ends[0].marks.verdict)
		}
		if from.PacketsLost > 0 {
			t.Errorf("%v: %d lost", algorithm, from.PacketsLost)
		}
	}
}

// TestEverythingMarked: [MSX-4.11] marks of a path that marks all it carries, or of a
// peer that says so, are not heeded for long.
func TestEverythingMarked(t *testing.T) {
	for _, algorithm := range []cc.Algorithm{cc.BBR, cc.CUBIC} {
		_, plain := bulk(t, algorithm, 5, func(*testNet) {})
		n, marked := bulk(t, algorithm, 5, func(n *testNet) {
			n.mark = func(from int, _ time.Duration) bool { return from == 0 }
		})
		e := n.ends[0]
		t.Logf("%v: %v, and %v where all is marked; %d of %d marks heeded", algorithm, plain, marked, e.stats.MarksHeeded, n.ends[1].acks.marked)
		if e.marks.verdict != markIgnored || marked > plain+plain/4 {
			t.Errorf("%v: %v where all is marked, %v otherwise; verdict %d", algorithm, marked, plain, e.marks.verdict)
		}
	}
}

// TestMarkTrial: [MSX-4.11] one packet without a mark, from the first mark on, is
// enough to trust the marks that follow.
func TestMarkTrial(t *testing.T) {
	for _, unmarked := range []int{0, 1, markRounds, markRounds + 1} {
		var m markState
		count, number := uint64(0), uint64(100)
		m.reported(0, 10, number, number+2)
		heeded := 0
		for round := range 3 * markRounds {
			number += 2
			count += 2
			if round == unmarked && round > 0 {
				count--
			}
			heeded += m.reported(count, 2, number, number+2)
		}
		want := 2*3*markRounds - 1
		if unmarked == 0 || unmarked > markRounds {
			want = 2 * markRounds // with that the trial ends
		}
		if heeded != want {
			t.Errorf("an unmarked packet in round %d: %d heeded, want %d", unmarked, heeded, want)
		}
	}
}
