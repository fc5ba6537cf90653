package main

import (
	"fmt"
	"io"
	"time"
)

// idle opens n connections, sends a byte each way on each, leaves them alone and
// measures what they cost. Keep-alives run, where the transport has them.
func idle(t *Transport, o clientOptions) (Result, error) {
	before := selfStat(true)
	res := begin()
	opens, failed, capped := o.turns(func() (float64, error) { return 0, openIdle(t, o.addr) })
	res.Capped = capped
	res.M["open_seconds"] = res.seconds()
	time.Sleep(2 * time.Second) // what follows an opening is not idleness
	res.M["idle_cpu"] = idleCPU(idleSpan)
	res.Stat = selfStat(true)
	opened := float64(len(opens))
	res.M["opened"], res.M["failed"] = opened, float64(o.n)-opened
	if opened > 0 {
		perConn(res.M, "", before, res.Stat, opened)
	}
	if len(failed) > 0 {
		return res, fmt.Errorf("%d of %d connections failed: %w", len(failed), o.n, failed[0])
	}
	return res, nil
}

// perConn puts the growth from before to after, for each connection, into m.
func perConn(m map[string]float64, prefix string, before, after ProcStat, conns float64) {
	m[prefix+"rss_per_conn"] = float64(after.RSS-before.RSS) / conns
	m[prefix+"heap_per_conn"] = float64(after.Heap-before.Heap) / conns
	m[prefix+"goroutines_per_conn"] = float64(after.Goroutines-before.Goroutines) / conns
}

// openIdle opens a connection that stays open as long as the process.
func openIdle(t *Transport, addr string) error {
	c, err := within(30*time.Second, t.Dial, addr)
	if err != nil {
		return err
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err = c.Write(header(wantHold, 0)); err == nil {
		_, err = io.ReadFull(c, make([]byte, 1))
	}
	if err != nil {
		c.Close()
		return err
	}
	c.SetDeadline(time.Time{})
	held.add(c)
	return nil
}
