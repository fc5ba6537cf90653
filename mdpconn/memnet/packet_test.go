package memnet

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"
)

func TestFifoAgainstSlice(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var q fifo
	var want []*packet
	for range 10000 {
		if r.IntN(100) < 52 {
			p := new(packet)
			q.push(p)
			want = append(want, p)
		} else if len(want) > 0 {
			if q.pop() != want[0] {
				t.Fatal("pop gave another packet than the first")
			}
			want = want[1:]
		}
		if q.len != len(want) {
			t.Fatalf("%d packets, want %d", q.len, len(want))
		}
	}
	if len(q.ring) < 32 {
		t.Error("the ring never grew: the test tests less than it should")
	}
}

func TestArrivalsInOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h arrivals
	for i := range 1000 {
		heap.Push(&h, &packet{at: time.Duration(r.IntN(50)), seq: uint64(i)})
	}
	last := heap.Pop(&h).(*packet)
	for h.Len() > 0 {
		p := heap.Pop(&h).(*packet)
		if p.at < last.at || p.at == last.at && p.seq < last.seq {
			t.Fatalf("packet %d of %d came after %d of %d", p.seq, p.at, last.seq, last.at)
		}
		last = p
	}
}

func TestPooledPacketIsClean(t *testing.T) {
	p := newPacket([]byte("long contents"))
	p.duplicate, p.held, p.injected, p.at = true, true, true, time.Hour
	p.free()
	for range 10 { // one of them is likely to be the same
		p := newPacket([]byte("short"))
		if string(p.data) != "short" || p.duplicate || p.held || p.injected || p.at != 0 {
			t.Errorf("a packet from the pool is %+v", p)
		}
	}
}
