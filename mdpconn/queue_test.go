package mdpconn

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// A queueScript pushes and pops, one step after the other.
type queueScript struct {
	t   *testing.T
	q   queue
	now time.Time
}

func (s *queueScript) push(why string, class Queue, text string, want bool) {
	s.t.Helper()
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(class)}), 4110)
	if got := s.q.push(class, addr, []byte(text), s.now); got != want {
		s.t.Fatalf("%s: push(%d, %q) = %t, want %t", why, class, text, got, want)
	}
}

// fill pushes k packets, which are taken.
func (s *queueScript) fill(why string, class Queue, k int) {
	s.t.Helper()
	for i := range k {
		s.push(why, class, fmt.Sprint(i), true)
	}
}

// wantPops pops until nothing is left.
func (s *queueScript) wantPops(why, texts string) {
	s.t.Helper()
	var got []string
	var p Packet
	for s.q.pop(&p, s.now) {
		got = append(got, string(p.Data))
	}
	if g := strings.Join(got, " "); g != texts {
		s.t.Fatalf("%s: popped %q, want %q", why, g, texts)
	}
	if s.q.len() != 0 {
		s.t.Fatalf("%s: %d packets left in an empty queue", why, s.q.len())
	}
}

func (s *queueScript) wantCount(why string, got, want uint64) {
	s.t.Helper()
	if got != want {
		s.t.Fatalf("%s: counted %d, want %d", why, got, want)
	}
}

func newQueueScript(t *testing.T) *queueScript {
	return &queueScript{t: t, now: time.Unix(1000, 0)}
}

func TestQueueOrder(t *testing.T) {
	s := newQueueScript(t)
	s.wantPops("nothing was pushed", "")
	s.push("", QueueOpportunistic, "4a", true)
	s.push("", QueueOrdinary, "3a", true)
	s.push("", QueueVoice, "0a", true)
	s.push("", QueueOrdinary, "3b", true)
	s.push("", QueueVideo, "2a", true)
	s.push("", QueueManagement, "1a", true)
	s.push("", QueueVoice, "0b", true)
	s.wantPops("lower classes first, in each the oldest", "0a 0b 1a 2a 3a 3b 4a")

	var p Packet
	s.push("", QueueOrdinary, "3c", true)
	s.push("", QueueOrdinary, "3d", true)
	if !s.q.pop(&p, s.now) || string(p.Data) != "3c" || p.Addr.String() != "10.0.0.3:4110" {
		t.Fatalf("popped %v", p)
	}
	s.push("", QueueVideo, "2b", true)
	s.wantPops("what comes later but is more urgent overtakes", "2b 3d")
	s.push("no such class: it would end a stock daemon", 5, "5a", false)
	s.wantPops("nor is it there", "")
}

func TestQueueBounds(t *testing.T) {
	s := newQueueScript(t)
	s.fill("20 of voice", QueueVoice, 20)
	s.push("the next is refused", QueueVoice, "x", false)
	for _, class := range []Queue{QueueManagement, QueueVideo, QueueOrdinary, QueueOpportunistic} {
		s.fill("100 of any other", class, 100)
		s.push("the next is refused", class, "x", false)
		s.wantCount("refused", s.q.counts.refused[class], 1)
	}
	if s.q.len() != 420 {
		t.Fatalf("%d packets wait, want 420", s.q.len())
	}
	var p Packet
	s.q.pop(&p, s.now)
	s.push("room again", QueueVoice, "x", true)
	s.push("full again", QueueVoice, "x", false)
	s.wantCount("refused", s.q.counts.refused[QueueVoice], 2)
	s.q.clear()
	s.wantPops("cleared", "")
}

func TestQueueAges(t *testing.T) {
	s := newQueueScript(t)
	for class := range Queue(queueClasses) {
		s.push("", class, fmt.Sprint(class), true)
	}
	s.now = s.now.Add(200 * time.Millisecond)
	s.push("", QueueVoice, "0b", true)
	s.now = s.now.Add(time.Millisecond)
	s.wantPops("voice and video of 201 ms are gone", "0b 1 3 4")
	s.wantCount("late voice", s.q.counts.late[QueueVoice], 1)
	s.wantCount("late video", s.q.counts.late[QueueVideo], 1)

	s.push("", QueueOrdinary, "old", true)
	s.now = s.now.Add(time.Second)
	s.push("", QueueOrdinary, "new", true)
	s.wantPops("a second is not too long", "old new")
	s.push("", QueueOrdinary, "old", true)
	s.now = s.now.Add(time.Second + 1)
	s.wantPops("more is", "")
	s.wantCount("late", s.q.counts.late[QueueOrdinary], 1)

	s.fill("a full class", QueueVoice, 20)
	s.now = s.now.Add(201 * time.Millisecond)
	s.push("has room when all in it are late", QueueVoice, "x", true)
	s.wantPops("", "x")
}

// A queue that has been in use does not allocate.
func TestQueueAllocs(t *testing.T) {
	s := newQueueScript(t)
	data := make([]byte, 1200)
	p := Packet{Data: make([]byte, 0, 1200)}
	cycle := func() {
		for range 100 {
			s.q.push(QueueOrdinary, p.Addr, data, s.now)
		}
		for s.q.pop(&p, s.now) {
		}
	}
	cycle()
	if n := testing.AllocsPerRun(10, cycle); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
