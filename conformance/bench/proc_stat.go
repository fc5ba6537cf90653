package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
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
	BulkBytes  int64   `json:"bulk_bytes,omitempty"` // by a server: received, and as expected
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
