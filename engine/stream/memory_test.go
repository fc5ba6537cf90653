package stream

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"
)

// heapInUse is how many bytes of the heap are in use.
func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
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
		if err := e.Input(e.net.now, append(b, stream[at:min(at+size, len(stream))]...)); err != nil {
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
			if used := heapInUse() - before; used > 2*ours.MaxData {
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
