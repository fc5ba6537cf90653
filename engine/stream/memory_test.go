package stream

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"
	"time"
)

// heapInUse is how many bytes of the heap are in use.
func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// fill lets an end receive a window full of messages of one byte, each packet with
// so many bytes of the stream, in order.
func fill(t *testing.T, e *testEnd, size int, each func()) {
	t.Helper()
	stream := bytes.Repeat([]byte{1, 'a'}, int(ours.MaxData/2))
	number := uint32(FirstNumber)
	for at := 0; at < len(stream); at += size {
		b := binary.LittleEndian.AppendUint32([]byte{Format}, number)
		b = appendVarint(append(b, byte(frameData|dataToEnd)), uint64(at))
		if err := e.Input(e.net.now, append(b, stream[at:min(at+size, len(stream))]...), false); err != nil {
			t.Fatal(err)
		}
		number++
		each()
	}
}

// TestMemoryOfSmallMessages: [MSX-5.4] a window full of messages of one byte, in
// packets however small, costs a few windows of memory, whether it waits in the
// stream or for the reader: with a record for each message it was 9 MB.
func TestMemoryOfSmallMessages(t *testing.T) {
	for _, size := range []int{1, 1000} {
		for _, taken := range []bool{false, true} {
			n := newNet(t, 1)
			e := n.ends[0]
			before := heapInUse()
			fill(t, e, size, func() {
				if taken {
					e.Take(&e.inbox)
				}
			})
			if used := heapInUse() - before; used > 2*int64(ours.MaxData) {
				t.Errorf("%d bytes in packets of %d, taken %v, hold %d bytes of memory", ours.MaxData, size, taken, used)
			}
			e.Take(&e.inbox)
			if got := e.inbox.Read(make([]byte, ours.MaxData)); got != int(ours.MaxData/2) {
				t.Errorf("%d bytes were read", got)
			}
			n.buffers()
		}
	}
}

// TestMemoryOfEarlyMessages: [MSX-1.8], [MSX-5.4] what comes of the opening counts as
// all data does, and is as small as what the published format sends.
func TestMemoryOfEarlyMessages(t *testing.T) {
	n := newNet(t, 1)
	e := n.ends[0]
	if err := e.Early(n.now, 1, make([]byte, 1024), false); err != nil {
		t.Fatal(err)
	}
	if err := e.Early(n.now, 2, make([]byte, 1025), false); err != errMessageSize {
		t.Errorf("a message that no opening has: %v, want %v", err, errMessageSize)
	}
	window := appendVarint(nil, ours.MaxData-6) // the first message, which uses up the window but for 2 bytes
	window = append(window, make([]byte, ours.MaxData-2-uint64(len(window)))...)
	e.rcv.maxMessage = int(ours.MaxData)
	if err := e.rcv.insert(0, window, false, e.win.limit); err != errWindow {
		t.Errorf("the second does not fit into the window: %v, want %v", err, errWindow)
	}
	n.buffers()
}

// TestMemoryOfOpening: [MSX-1.7] numbers that an opening leaves out cost nothing.
func TestMemoryOfOpening(t *testing.T) {
	n := newNet(t, 1)
	cfg := n.ends[0].config
	cfg.Opening = true
	s := New(cfg)
	s.PushSent(append(cfg.Alloc(room), "hello"...), room, n.now, false)
	s.Begin()
	for s.Output(n.now, nil) != nil {
	}
	if k := len(s.loss.ring) + len(s.loss.opening); k > 2*leastRing {
		t.Errorf("there is room for %d packets, where two were sent", k)
	}
	n.now = n.now.Add(time.Millisecond)
	ack := appendAck(binary.LittleEndian.AppendUint32([]byte{Format}, FirstNumber), rangeSet{{0, 1}, {FirstNumber, FirstNumber + 1}}, 0, 0, 100)
	if err := s.Input(n.now, ack, false); err != nil {
		t.Fatal(err)
	}
	if !s.Flushed() || s.Asking() || s.loss.opening != nil {
		t.Errorf("the opening is not acknowledged: %d packets out", s.loss.outstanding)
	}
	s.Drop(true)
}

// TestIdleGivesBack: an idle stream keeps no room for what it does not have.
func TestIdleGivesBack(t *testing.T) {
	n := newNet(t, 1)
	n.delay, n.jitter, n.loss = 10*time.Millisecond, time.Millisecond, 0.02
	for _, e := range n.ends {
		for range 300 {
			e.send(message(n.rand, 1000))
		}
	}
	quiet := func(e *testEnd) bool { return e.Flushed() && !e.Asking() }
	n.run(time.Minute, func() bool { return quiet(n.ends[0]) && quiet(n.ends[1]) })
	room := func(s *Stream) int {
		return cap(s.snd.chunks.items) + cap(s.rcv.inbox.pieces.items) + cap(s.rcv.segments) + len(s.loss.ring)
	}
	for i, e := range n.ends {
		if !quiet(e) || room(e.Stream) < 100 {
			t.Fatalf("end %d: quiet %v, with room for %d items", i, quiet(e), room(e.Stream))
		}
		if e.Shrink(); room(e.Stream) > 0 {
			t.Errorf("end %d keeps room for %d items when idle", i, room(e.Stream))
		}
	}
	n.check(false)
	n.buffers()
}
