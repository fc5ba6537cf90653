package main

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// connect makes n connections and measures each from Dial to the first byte of
// the reply.
func connect(t *Transport, o clientOptions) (Result, error) {
	res := begin()
	took, failed, capped := o.turns(func() (float64, error) { return connectOnce(t, o.addr) })
	res.Capped = capped
	res.M["seconds"] = res.seconds()
	res.M["failed"] = float64(len(failed))
	latencies(took, res.M)
	if len(took) == 0 {
		return res, fmt.Errorf("no connection worked: %w", errors.Join(failed...))
	}
	return res, nil
}

func connectOnce(t *Transport, addr string) (float64, error) {
	const limit = 20 * time.Second
	start := monoNow()
	c, err := within(limit, t.Dial, addr)
	if err != nil {
		return 0, err
	}
	defer func() { go c.Close() }()
	c.SetDeadline(time.Now().Add(limit))
	if _, err := c.Write(header(wantByte, 0)); err != nil {
		return 0, fmt.Errorf("write: %w", err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		return 0, fmt.Errorf("first byte: %w", err)
	}
	return float64(monoNow() - start), nil
}
