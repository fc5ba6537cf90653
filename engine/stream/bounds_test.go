package stream

import (
	"encoding/binary"
	"testing"
	"time"
)

// output collects the packets that a stream sends now, at most limit.
func output(s *Stream, now time.Time, limit int) (packets [][]byte) {
	for len(packets) < limit {
		b := s.Output(now, make([]byte, 0, 2048))
		if len(b) == 0 {
			break
		}
		packets = append(packets, b)
	}
	return packets
}

// wantReadable fails for a packet that its receiver would drop.
func wantReadable(t *testing.T, b []byte) {
	t.Helper()
	_, rest, _ := parseHeader(b)
	r := fieldReader{b: rest}
	for len(r.b) > 0 {
		var f frame
		if err := r.next(&f); err != nil {
			t.Errorf("sent %s", String(b))
			return
		}
		if f.kind == frameData && len(f.data) == 0 && !f.fin {
			t.Errorf("sent DATA without bytes or FIN: %s", String(b))
			return
		}
	}
}

// TestProbesOfBareFin: [MSX-4.8] both probes of a direction that ends at once can
// be read.
func TestProbesOfBareFin(t *testing.T) {
	n := newNet(t, 1)
	e := n.ends[0]
	e.Shutdown()
	now := n.now
	for range 8 {
		for _, b := range output(e.Stream, now, 100) {
			wantReadable(t, b)
		}
		now = e.NextTimeout()
		e.Advance(now)
	}
	if e.stats.ProbeTimeouts < 3 || e.stats.DataSent > 0 {
		t.Errorf("%+v", e.stats)
	}
}

// TestSpuriousFin: [MSX-4.6] an end that was taken for lost, and is acknowledged
// before it was said again, is not due any more.
func TestSpuriousFin(t *testing.T) {
	n := newNet(t, 1)
	n.warm()
	e := n.ends[0]
	e.Shutdown()
	fin := e.Next()
	output(e.Stream, n.now, 100)
	for range firstThreshold {
		e.Ping()
		output(e.Stream, n.now, 100)
	}
	n.now = n.now.Add(20 * time.Millisecond)
	peer := uint32(1 << 20)
	ack := func(largest uint64) {
		b := binary.LittleEndian.AppendUint32([]byte{Format}, peer)
		peer++
		b = appendAck(b, rangeSet{{largest, largest + 1}}, 0, 0, 100)
		if err := e.Input(n.now, b, false); err != nil {
			t.Fatal(err)
		}
	}
	ack(fin + firstThreshold)
	if e.stats.PacketsLost == 0 {
		t.Fatal("the FIN is not taken for lost")
	}
	ack(fin) // in the same turn
	if !e.Delivered() {
		t.Fatal("the FIN is not acknowledged")
	}
	now := n.now
	sent := 0
	for range 20 {
		for _, b := range output(e.Stream, now, 100) {
			wantReadable(t, b)
			sent++
		}
		at := e.NextTimeout()
		if at.IsZero() {
			break
		}
		now = at
		e.Advance(now)
	}
	if sent > 10 { // ACK_RATE and probes of the last PINGs
		t.Errorf("%d packets of a stream with nothing to say", sent)
	}
}

// TestRingOfSilentAcker: [MSX-4.6] a peer that acknowledges nothing, and has us
// acknowledge what it sends, does not make memory grow.
func TestRingOfSilentAcker(t *testing.T) {
	n := newNet(t, 1)
	e := n.ends[0]
	now := n.now
	for i := range uint32(100_000) {
		b := binary.LittleEndian.AppendUint32([]byte{Format}, FirstNumber+2*i) // never in order
		if err := e.Input(now, append(b, byte(framePing)), false); err != nil {
			t.Fatal(err)
		}
		output(e.Stream, now, 100)
		now = now.Add(time.Millisecond)
		e.Advance(now)
	}
	if k := len(e.loss.ring); k > 16384 {
		t.Errorf("%d packets are remembered", k)
	}
}

// TestOneAck: [MSX-2.7] of several ACKs in a packet the first counts.
func TestOneAck(t *testing.T) {
	n := newNet(t, 1)
	e := n.ends[0]
	e.Ping()
	output(e.Stream, n.now, 100)
	e.Ping()
	output(e.Stream, n.now, 100)
	b := binary.LittleEndian.AppendUint32([]byte{Format}, FirstNumber)
	for number := uint64(FirstNumber); number < FirstNumber+2; number++ {
		b = appendAck(b, rangeSet{{number, number + 1}}, 0, 0, 100)
	}
	if err := e.Input(n.now.Add(time.Millisecond), b, false); err != nil {
		t.Fatal(err)
	}
	if e.loss.outstanding != 1 {
		t.Errorf("%d packets in flight of two, want 1", e.loss.outstanding)
	}
}

// TestManyRanges: [MSX-2.7] of an ACK with more than 64 ranges the newest 64 count.
func TestManyRanges(t *testing.T) {
	n := newNet(t, 1)
	e := n.ends[0]
	const ranges = ackRanges + 6
	for range 2 * ranges {
		e.Ping()
		output(e.Stream, n.now, 100)
		n.now = n.now.Add(time.Millisecond)
	}
	largest := e.Next() - 1
	b := binary.LittleEndian.AppendUint32([]byte{Format}, FirstNumber)
	b = appendVarint(append(b, byte(frameAck)), largest)
	b = appendVarint(append(b, 0), ranges-1) // no delay; further ranges
	b = append(b, make([]byte, 1+2*(ranges-1))...)
	if err := e.Input(n.now, b, false); err != nil {
		t.Fatal(err)
	}
	acked := 0
	for number := uint64(FirstNumber); number <= largest; number++ {
		if e.loss.at(number).state == sentAcked {
			acked++
			if (largest-number)%2 != 0 || largest-number >= 2*ackRanges {
				t.Errorf("packet %d counts as acknowledged", number)
			}
		}
	}
	if acked != ackRanges {
		t.Errorf("%d packets count as acknowledged, want %d", acked, ackRanges)
	}
}
