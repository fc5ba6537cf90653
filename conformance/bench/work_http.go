package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// httpGet gets a body of size bytes n times over kept connections, comparing
// every body with the one expected.
func httpGet(size int) job {
	return func(t *Transport, o clientOptions) (Result, error) {
		g := newGetter(t, o.addr, size)
		for range 2 { // the connection is made before the clock starts
			if _, err := g.get(); err != nil {
				return Result{}, fmt.Errorf("warm up: %w", err)
			}
		}
		res := begin()
		took, failed, capped := o.turns(g.get)
		res.Capped = capped
		res.M["seconds"] = res.seconds()
		res.M["req_per_s"] = float64(len(took)) / res.M["seconds"]
		res.M["mb_per_s"] = float64(len(took)) * float64(size) / 1e6 / res.M["seconds"]
		latencies(took, res.M)
		if len(failed) > 0 {
			return res, fmt.Errorf("%d of %d requests failed: %w", len(failed), len(failed)+len(took), failed[0])
		}
		return res, nil
	}
}

type getter struct {
	client http.Client
	url    string
	want   []byte
}

func newGetter(t *Transport, addr string, size int) *getter {
	return &getter{
		client: http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
			DialContext:         func(context.Context, string, string) (net.Conn, error) { return t.Dial(addr) },
			DisableCompression:  true,
			MaxIdleConnsPerHost: 64,
		}},
		url:  "http://bench/" + strconv.Itoa(size),
		want: pattern()[:size],
	}
}

// get returns how long a request took, in nanoseconds.
func (g *getter) get() (float64, error) {
	start := monoNow()
	resp, err := g.client.Get(g.url)
	if err != nil {
		return 0, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return 0, err
	}
	took := float64(monoNow() - start)
	if resp.StatusCode != http.StatusOK || !bytes.Equal(body, g.want) {
		return 0, fmt.Errorf("got status %d and %d bytes, not what was sent", resp.StatusCode, len(body))
	}
	return took, nil
}
