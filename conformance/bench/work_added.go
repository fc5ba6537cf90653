package main

import (
	"errors"
	"slices"
	"time"
)

// added measures by how much our own bulk stream lengthens the round trip of a
// connection beside it: n rounds before, and n while it runs, 20 ms apart.
func added(t *Transport, o clientOptions) (Result, error) {
	conns, err := dialAll(t, o.addr, 2)
	if err != nil {
		return Result{}, err
	}
	p, err := newPinger(conns[0], 0)
	if err != nil {
		return Result{}, err
	}
	if err := openBulk(conns[1], o.size); err != nil {
		return Result{}, err
	}
	res := begin()
	alone, err := spacedRounds(p, o.n)
	if err != nil {
		return res, err
	}
	res.Start = monoNow() // of the bulk stream, for its rate
	bulkEnded := make(chan error, 1)
	go func() { bulkEnded <- sendBulk(conns[1], o.size) }()
	time.Sleep(time.Second) // past its start
	beside, err := spacedRounds(p, o.n)
	if err != nil {
		return res, err
	}
	select {
	case err := <-bulkEnded:
		return res, errors.Join(errors.New("the bulk stream ended before the rounds"), err)
	default:
	}
	base := quantile(alone, .5)
	res.M["base_us"], res.M["p50_us"], res.M["p99_us"] = base/1e3, quantile(beside, .5)/1e3, quantile(beside, .99)/1e3
	res.M["added_rtt"] = (quantile(beside, .5) - base) / base
	return res, nil
}

// spacedRounds returns n round trips in nanoseconds, sorted.
func spacedRounds(p *pinger, n int) ([]float64, error) {
	var took []float64
	for range n {
		d, err := p.round()
		if err != nil {
			return nil, err
		}
		took = append(took, d)
		time.Sleep(20 * time.Millisecond)
	}
	slices.Sort(took)
	return took, nil
}
