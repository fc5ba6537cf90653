package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"time"
)

// Result is what the dialling process reports. M is by names of columns.go.
type Result struct {
	Err    string             `json:"err,omitempty"`
	Capped bool               `json:"capped,omitempty"` // the time was up
	Start  int64              `json:"start_mono"`
	M      map[string]float64 `json:"m"`
	Stat   ProcStat           `json:"stat"`
}

// clientOptions say what a workload does; each has its own use of them.
type clientOptions struct {
	addr    string
	size    int64 // bytes of all streams together
	streams int
	n       int // rounds, connections or requests
	workers int
	cap     time.Duration // when to stop and report what was done; 0: never
	// start returns when the part that is measured may begin, of both processes
	// and of the link. Only bulk calls it: the others begin when they like.
	start func() error
}

// A job is one workload at the dialling end. It returns what it measured; the
// caller adds what the process knows of itself.
type job func(t *Transport, o clientOptions) (Result, error)

var jobs = map[string]job{
	"bulk": bulk, "pingpong": pingPong, "connect": connect, "idle": idle, "added": added,
	"http1k": httpGet(1 << 10), "http1m": httpGet(1 << 20),
}

// runClient is the process at the dialling end. It stays until its input ends,
// so that its connections live while the other end is measured.
func runClient(t *Transport, work string, o clientOptions) error {
	do := jobs[work]
	if do == nil {
		return fmt.Errorf("workload %q is not known", work)
	}
	log.SetOutput(io.Discard)
	pattern()
	selfSigned()
	lines := bufio.NewScanner(os.Stdin)
	o.start = func() error {
		tell("READY", nil)
		if !lines.Scan() {
			return errors.New("nobody said that it may begin")
		}
		return nil
	}
	res, err := do(t, o)
	if err != nil {
		res.Err = err.Error()
	}
	if res.Stat.Mono == 0 {
		res.Stat = selfStat(false)
	}
	tell("RESULT", res)
	for lines.Scan() {
	}
	return nil
}

// begin starts the clock and the count of CPU.
func begin() Result {
	cpuBaseline = cpuNow()
	return Result{Start: monoNow(), M: make(map[string]float64)}
}

func (r *Result) seconds() float64 { return float64(monoNow()-r.Start) / 1e9 }

// expiry fires when the time is up; never, if there is no cap.
func (o clientOptions) expiry() <-chan time.Time {
	if o.cap == 0 {
		return nil
	}
	return time.After(o.cap)
}

// within bounds a dial by limit, whatever the transport's own idea of one is.
func within(limit time.Duration, dial func(addr string) (net.Conn, error), addr string) (net.Conn, error) {
	type dialled struct {
		c   net.Conn
		err error
	}
	result := make(chan dialled, 1)
	go func() {
		c, err := dial(addr)
		result <- dialled{c, err}
	}()
	select {
	case d := <-result:
		return d.c, d.err
	case <-time.After(limit):
		return nil, fmt.Errorf("dial: no answer in %v", limit)
	}
}

func dialAll(t *Transport, addr string, n int) ([]net.Conn, error) {
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := within(time.Minute, t.open, addr)
		if err != nil {
			return nil, fmt.Errorf("dial: %w", err)
		}
		conns[i] = c
	}
	return conns, nil
}
