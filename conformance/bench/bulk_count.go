package main

import "sync"

// bulkCount counts the bulk streams that a server receives.
type bulkCount struct {
	mu      sync.Mutex
	bytes   []float64 // by stream
	bad     bool
	jain    float64
	jainSet bool
}

// open returns the index of a new stream.
func (b *bulkCount) open() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes = append(b.bytes, 0)
	return len(b.bytes) - 1
}

func (b *bulkCount) add(stream, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes[stream] += float64(n)
}

func (b *bulkCount) mismatch() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bad = true
}

// ended notes how even the streams were when the first had all: from then on
// the others share what it leaves.
func (b *bulkCount) ended() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.jainSet {
		b.jain, b.jainSet = jain(b.bytes), true
	}
}

func (b *bulkCount) state() (sum int64, bad bool, index float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	total := 0.0
	for _, n := range b.bytes {
		total += n
	}
	index = b.jain
	if !b.jainSet && len(b.bytes) > 0 {
		index = jain(b.bytes)
	}
	return int64(total), b.bad, index
}
