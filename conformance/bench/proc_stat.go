package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ProcStat is what a process knows of itself. Memory is in bytes.
type ProcStat struct {
	CPU        float64 `json:"cpu_s"` // user and system, since the baseline
	PeakRSS    int64   `json:"peak_rss"`
	RSS        int64   `json:"rss"`
	Heap       int64   `json:"heap"`
	Goroutines int     `json:"goroutines"`
	Mono       int64   `json:"mono"`
	BulkBytes  int64   `json:"bulk_bytes,omitempty"` // received, and as expected
	BulkBad    bool    `json:"bulk_bad,omitempty"`   // something else was received
	Jain       float64 `json:"jain,omitempty"`       // of the bulk streams when the first ended
	IdleCPU    float64 `json:"idle_cpu,omitempty"`   // share of one core
}

var cpuBaseline float64

// cpuNow is the user and system time of this process, in seconds.
func cpuNow() float64 {
	var ru unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &ru)
	return float64(ru.Utime.Nano()+ru.Stime.Nano()) / 1e9
}

// selfStat measures this process; with collect, after a garbage collection.
func selfStat(collect bool) ProcStat {
	st := ProcStat{CPU: cpuNow() - cpuBaseline, PeakRSS: procStatus("VmHWM"), Mono: monoNow()}
	if collect {
		runtime.GC()
		debug.FreeOSMemory()
		time.Sleep(200 * time.Millisecond)
		debug.FreeOSMemory()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	st.RSS, st.Heap, st.Goroutines = procStatus("VmRSS"), int64(m.HeapAlloc), runtime.NumGoroutine()
	st.BulkBytes, st.BulkBad, st.Jain = received.state()
	return st
}

// idleCPU is the share of a core that this process uses over d.
func idleCPU(d time.Duration) float64 {
	before := cpuNow()
	time.Sleep(d)
	return (cpuNow() - before) / d.Seconds()
}

// procStatus reads a size from /proc/self/status; 0 if it is not there.
func procStatus(name string) int64 {
	text, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(text), name+":")
	line, _, _ := strings.Cut(rest, " kB")
	kb, _ := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	return kb << 10
}

// received counts, in a server, the bulk streams that it receives.
var received bulkCount

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
