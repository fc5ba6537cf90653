package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// pingPong sends n times 64 bytes and waits for their echo, on each of the
// workers' connections. The handshake is before the clock.
func pingPong(t *Transport, o clientOptions) (Result, error) {
	pingers, err := dialPingers(t, o)
	if err != nil {
		return Result{}, err
	}
	res := begin()
	done := make(chan error, len(pingers))
	var stop atomic.Bool
	for _, p := range pingers {
		go func() { done <- p.rounds(o.n, &stop) }()
	}
	expiry := o.expiry()
	for range pingers {
		select {
		case e := <-done:
			err = errors.Join(err, e)
		case <-expiry:
			res.Capped = true
			stop.Store(true)
		}
		if res.Capped {
			break
		}
	}
	var all []float64
	for _, p := range pingers {
		all = append(all, p.soFar(res.Capped)...)
	}
	res.M["seconds"] = res.seconds()
	res.M["rounds_per_s"] = float64(len(all)) / res.M["seconds"]
	latencies(all, res.M)
	return res, err
}

type pinger struct {
	c       net.Conn
	out, in [pingLen]byte
	since   atomic.Int64 // when the round under way began; 0: none is

	mu   sync.Mutex
	took []float64 // ns, guarded by mu
}

func dialPingers(t *Transport, o clientOptions) ([]*pinger, error) {
	conns, err := dialAll(t, o.addr, o.workers)
	if err != nil {
		return nil, err
	}
	var pingers []*pinger
	for i, c := range conns {
		p, err := newPinger(c, byte(i))
		if err != nil {
			return nil, err
		}
		pingers = append(pingers, p)
	}
	return pingers, nil
}

// newPinger makes one round, so that nothing of the handshake is left to do.
func newPinger(c net.Conn, fill byte) (*pinger, error) {
	p := &pinger{c: c}
	for i := range p.out {
		p.out[i] = fill + byte(i)
	}
	if _, err := c.Write(header(wantEcho, 0)); err != nil {
		return nil, err
	}
	_, err := p.round()
	return p, err
}

// round is one request and its reply; it returns nanoseconds.
func (p *pinger) round() (float64, error) {
	p.out[0]++
	start := monoNow()
	if _, err := p.c.Write(p.out[:]); err != nil {
		return 0, fmt.Errorf("ping: %w", err)
	}
	if _, err := io.ReadFull(p.c, p.in[:]); err != nil {
		return 0, fmt.Errorf("pong: %w", err)
	}
	if !bytes.Equal(p.in[:], p.out[:]) {
		return 0, errors.New("pong: the echo differs")
	}
	return float64(monoNow() - start), nil
}

func (p *pinger) rounds(n int, stop *atomic.Bool) error {
	for range n {
		if stop.Load() {
			return nil
		}
		p.since.Store(monoNow())
		d, err := p.round()
		p.since.Store(0)
		if err != nil {
			return err
		}
		p.mu.Lock()
		p.took = append(p.took, d)
		p.mu.Unlock()
	}
	return nil
}

// soFar returns the rounds made. If the time was up, one that is stalled counts
// with what it has taken until now.
func (p *pinger) soFar(capped bool) []float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := append([]float64(nil), p.took...)
	if since := p.since.Load(); capped && since > 0 {
		all = append(all, float64(monoNow()-since))
	}
	return all
}
