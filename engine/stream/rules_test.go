package stream

import (
	"strings"
	"testing"
	"time"
)

// lines gives what an end sends now, decoded.
func (e *testEnd) lines() (out []string) {
	for b := e.Output(e.net.now, nil); len(b) > 0; b = e.Output(e.net.now, nil) {
		out = append(out, String(b))
	}
	return out
}

// take lets an end have a packet.
func (e *testEnd) take(t *testing.T, number byte, frames string) {
	t.Helper()
	if err := e.Input(e.net.now, append([]byte{Format, number, 0, 0, 0}, unhex(t, frames)...), false); err != nil {
		t.Fatal(err)
	}
}

// readAll gives what the application reads: the bytes, and "|" behind each message.
func (e *testEnd) readAll() (got string) {
	e.Take(&e.inbox)
	for e.inbox.Ready() {
		b := make([]byte, 100)
		n, ends := e.inbox.ReadMessage(b)
		if got += string(b[:n]); ends {
			got += "|"
		}
	}
	e.Consumed(e.inbox.Consumed())
	return got
}

// quiet is an end that has nothing of its own to say any more.
func quiet(t *testing.T) (*testNet, *testEnd) {
	n := newNet(t, 1)
	e := n.ends[0]
	if got := e.lines(); len(got) != 1 || !strings.Contains(got[0], "PARAMS") {
		t.Fatalf("begins with %q", got)
	}
	n.now = n.now.Add(20 * time.Millisecond)
	e.take(t, 64, "02 4040 00 00 00")
	if got := e.lines(); len(got) != 0 {
		t.Fatalf("an ACK is answered by %q", got)
	}
	return n, e
}

// TestMessagesShare: [MSX-3.1], [MSX-3.2], [MSX-6.1] messages that wait share a
// packet, each behind its length, and nothing waits for more; [MSX-3.3] they come
// out as they went in, and who reads bytes gets what has arrived.
func TestMessagesShare(t *testing.T) {
	_, e := quiet(t)
	e.send([]byte("one"))
	e.send([]byte("two"))
	e.send(make([]byte, 100))
	got := e.lines()
	if len(got) != 1 || got[0] != "packet 65: DATA 0+110" { // 1+3, 1+3, 2+100
		t.Errorf("sent %q", got)
	}
	_, r := quiet(t)
	r.take(t, 65, "04 00 05 03 616263 02")
	if got := r.readAll(); got != "abc|" {
		t.Errorf("read %q", got)
	}
	r.take(t, 66, "04 05 01 78")
	if got := r.readAll(); got != "x" {
		t.Errorf("read %q of a message that has arrived in part", got)
	}
	r.take(t, 67, "04 06 01 79")
	if got := r.readAll(); got != "y|" {
		t.Errorf("read %q of its end", got)
	}
}

// TestPacketsAreFilled: [MSX-6.1] while there is more to send, packets are full to the last
// byte, so the length of what ends them is left away; of the last one it is there.
func TestPacketsAreFilled(t *testing.T) {
	n := newNet(t, 1)
	full, last := 0, ""
	n.drop = func(side int, b []byte) bool {
		if s := String(b); side == 0 && strings.Contains(s, "DATA") {
			last = s
			// An offset in 2 bytes where one in 4 was allowed for leaves 2 bytes.
			if more := n.ends[0].Unsent() > 0; more && len(b) < n.ends[0].cfg.PacketSize-2 {
				t.Errorf("packet of %d bytes, and %d wait: %s", len(b), n.ends[0].Unsent(), last)
			} else if more {
				full++
			}
		}
		return false
	}
	for range 100 {
		n.ends[0].send(make([]byte, 1000))
	}
	n.ends[0].Shutdown()
	n.run(time.Minute, func() bool { return n.ends[1].EOF() })
	if full < 80 {
		t.Errorf("%d full packets; the last: %s", full, last)
	}
	n.check(false)
}

// TestFirstBytesHold: [MSX-3.6] what comes again with other bytes changes nothing.
func TestFirstBytesHold(t *testing.T) {
	_, e := quiet(t)
	e.take(t, 65, "04 02 02 6363")
	e.take(t, 66, "04 01 03 626464")
	e.take(t, 67, "04 00 01 03")
	if got := e.readAll(); got != "bcc|" {
		t.Errorf("read %q", got)
	}
}

// TestFin: [MSX-3.7] the end stands behind the last bytes, or by itself.
func TestFin(t *testing.T) {
	_, e := quiet(t)
	e.send([]byte("x"))
	e.Shutdown()
	if got := e.lines(); len(got) != 1 || got[0] != "packet 65: DATA 0+2 FIN" {
		t.Errorf("sent %q", got)
	}
	_, e = quiet(t)
	e.send([]byte("x"))
	e.lines()
	e.Shutdown()
	if got := e.lines(); len(got) != 1 || got[0] != "packet 66: DATA 2+0 FIN" {
		t.Errorf("sent %q", got)
	}
}

// TestAcks: [MSX-4.1] what arrives is acknowledged, read or not, [MSX-4.2] if it
// asks; [MSX-4.4] the first and the second packet at once, later ones after a
// while, but gaps and ends at once; [MSX-4.3] with the time since then.
func TestAcks(t *testing.T) {
	n, e := quiet(t)
	e.take(t, 65, "04 00 02 0161")
	if got := e.lines(); len(got) != 1 || got[0] != "packet 65: ACK 65-64 delay=0s" {
		t.Errorf("the first after a while: %q", got)
	}
	n.now = n.now.Add(time.Millisecond)
	e.take(t, 66, "04 02 02 0162")
	if got := e.lines(); len(got) != 0 {
		t.Errorf("one that follows soon: %q", got)
	}
	n.now = n.now.Add(time.Millisecond)
	e.take(t, 67, "04 04 02 0163")
	if got := e.lines(); len(got) != 1 || got[0] != "packet 66: ACK 67-64 delay=0s" {
		t.Errorf("the second: %q", got)
	}
	e.take(t, 68, "04 06 02 0164")
	n.now = e.NextTimeout()
	if got := e.lines(); len(got) != 1 || got[0] != "packet 67: ACK 68-64 delay=5ms" {
		t.Errorf("after the delay: %q", got)
	}
	e.take(t, 70, "04 0a 02 0166")
	if got := e.lines(); len(got) != 1 || !strings.Contains(got[0], "ACK 70 68-64") {
		t.Errorf("a gap: %q", got)
	}
	e.take(t, 69, "04 08 02 0165")
	if got := e.lines(); len(got) != 1 || !strings.Contains(got[0], "ACK 70-64") {
		t.Errorf("the gap is closed: %q", got)
	}
	e.take(t, 71, "06 0c 00")
	if got := e.lines(); len(got) != 1 || !strings.Contains(got[0], "ACK 71-64") {
		t.Errorf("an end: %q", got)
	}
	if got := e.readAll(); got != "a|b|c|d|e|f|" {
		t.Errorf("read %q", got)
	}
}

// TestLostControl: [MSX-4.7] what else was in a lost packet comes again, as it is by
// then, in front of new data, and [MSX-6.4] behind the ACK that is owed.
func TestLostControl(t *testing.T) {
	n := newNet(t, 1)
	e := n.ends[0]
	e.lines() // PARAMS, which is lost
	e.send([]byte("x"))
	e.lines()
	e.send([]byte("y"))
	e.lines()
	e.send([]byte("z"))
	e.lines()
	n.now = n.now.Add(20 * time.Millisecond)
	e.take(t, 64, "01 02 4043 00 00 02") // PING; ACK 67-65
	e.send([]byte("new"))
	got := e.lines()
	if len(got) != 1 || !strings.HasPrefix(got[0], "packet 68: ACK 64 delay=0s; PARAMS") || !strings.HasSuffix(got[0], "; DATA 6+4") {
		t.Errorf("sent %q", got)
	}
}

// TestRoundTrip: [MSX-4.9] an ACK whose largest number is new measures the round
// trip, less the delay that the peer tells, where that leaves the least.
func TestRoundTrip(t *testing.T) {
	var r rttState
	r.sample(20*time.Millisecond, 0)
	if r.smoothed != 20*time.Millisecond || r.variance != 10*time.Millisecond {
		t.Errorf("%+v after the first", r)
	}
	r.sample(28*time.Millisecond, 8*time.Millisecond)
	if r.smoothed != 20*time.Millisecond || r.least != 20*time.Millisecond {
		t.Errorf("%+v after one that waited", r)
	}
	r.sample(21*time.Millisecond, 8*time.Millisecond)
	if r.smoothed != 20*time.Millisecond+time.Millisecond/8 {
		t.Errorf("%+v after one whose delay cannot be true", r)
	}
	n, e := quiet(t)
	e.send([]byte("x"))
	e.lines()
	n.now = n.now.Add(30 * time.Millisecond)
	e.take(t, 65, "02 4041 00 00 00")
	n.now = n.now.Add(time.Second)
	e.take(t, 66, "02 4041 00 00 01") // nothing new
	if rtt, _ := e.RTT(); rtt != 20*time.Millisecond+10*time.Millisecond/8 {
		t.Errorf("round trip of %v", rtt)
	}
}

// TestHeldIsBounded: [MSX-5.4] a connection holds no more than its window, in order
// or not, in however small pieces.
func TestHeldIsBounded(t *testing.T) {
	n := newNet(t, 1)
	e := n.ends[0]
	var r receiveBuffer
	r.alloc, r.free, r.maxMessage = e.config.Alloc, e.config.Free, 1<<20
	r.inbox = Inbox{Alloc: r.alloc, Free: r.free}
	errs := 0
	for i := range uint64(2 * maxSegments) {
		if r.insert(2*i+2, []byte{1}, false, ours.MaxData) != nil {
			errs++
		}
	}
	if most := maxSegments + int(r.held/pieceBytes) + 1; len(r.segments) > most || errs < maxSegments-most/pieceBytes {
		t.Errorf("%d pieces are held, %d were refused", len(r.segments), errs)
	}
	r.drop()
	n.buffers()
}

// TestPaced: [MSX-6.3], [MSX-8.1], [MSX-8.3] what is in flight stays within the
// controller's window, and packets leave at its rate.
func TestPaced(t *testing.T) {
	n := newNet(t, 1)
	n.rate, n.queue = 12.5e6, 250_000
	most := 0
	start, sent := n.now, 0
	n.drop = func(from int, b []byte) bool {
		if e := n.ends[0]; from == 0 {
			// A bare ACK is not held back when the window has shrunk below what is in flight.
			if e.InFlight() > e.Window()+1200 && e.probes == 0 && len(b) > 100 {
				most = max(most, e.InFlight()-e.Window())
			}
			sent += len(b)
		}
		return false
	}
	for range 1500 {
		n.ends[0].send(make([]byte, 10_000))
	}
	n.run(time.Minute, n.ends[0].Flushed)
	if most > 0 {
		t.Errorf("%d bytes beyond the window were in flight", most)
	}
	if rate := float64(sent) / n.now.Sub(start).Seconds(); rate > 1.1*n.rate {
		t.Errorf("sent %.0f bytes a second into a link of %.0f", rate, n.rate)
	}
	if s := n.ends[0].Stats(); s.PacketsLost*20 > s.PacketsSent {
		t.Errorf("%d of %d packets lost to the queue: [MSX-8.2]", s.PacketsLost, s.PacketsSent)
	}
}
