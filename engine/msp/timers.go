package msp

import (
	"container/heap"
	"time"
)

// A timerHeap orders connections by their deadline.
type timerHeap []*Conn

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].deadline.Before(h[j].deadline) }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].timer, h[j].timer = i, j
}

// Push implements [heap.Interface].
func (h *timerHeap) Push(x any) {
	c := x.(*Conn)
	c.timer = len(*h)
	*h = append(*h, c)
}

// Pop implements [heap.Interface].
func (h *timerHeap) Pop() any {
	old := *h
	c := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	c.timer = -1
	return c
}

// set gives c a deadline; zero takes it out.
func (h *timerHeap) set(c *Conn, at time.Time) {
	c.deadline = at
	switch {
	case at.IsZero() && c.timer >= 0:
		heap.Remove(h, c.timer)
	case at.IsZero():
	case c.timer < 0:
		heap.Push(h, c)
	default:
		heap.Fix(h, c.timer)
	}
}

// due takes a connection out whose deadline has come; nil if there is none.
func (h *timerHeap) due(now time.Time) *Conn {
	if len(*h) == 0 || now.Before((*h)[0].deadline) {
		return nil
	}
	return heap.Pop(h).(*Conn)
}

func (h timerHeap) next() time.Time {
	if len(h) == 0 {
		return time.Time{}
	}
	return h[0].deadline
}
