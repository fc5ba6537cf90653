package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"strconv"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mspnet"
)

// http sends the sample by an HTTP request and by a response: a server of
// net/http that serves an MSP listener, and a transport of net/http that dials
// with MSP.
func (t *trial) http(ctx context.Context) ([]*result, error) {
	lc := mspnet.ListenConfig{Node: t.far}
	l, err := lc.Listen(ctx, "msp", mdpconn.Addr{Port: tryHTTPPort}.String())
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(t.serveHTTP), ErrorLog: log.New(io.Discard, "", 0)}
	go server.Serve(l) // its error is that of Close
	defer server.Close()
	transport := &http.Transport{DialContext: t.dialer.DialContext}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	url := "http://" + t.far.Primary().String() + "/"

	put, err := t.put(ctx, client, url)
	if err != nil {
		return nil, fmt.Errorf("HTTP PUT: %w", err)
	}
	get, err := t.get(ctx, client, url)
	if err != nil {
		return nil, fmt.Errorf("HTTP GET: %w", err)
	}
	return []*result{put, get}, nil
}

// sumTrailer is where the server tells the checksum of what it has sent.
const sumTrailer = "Sample-Sha256"

// serveHTTP takes the sample, and answers with its checksum, or gives it.
func (t *trial) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		_, sum, err := receiveFrom(r.Body, t.bar)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		io.WriteString(w, hex.EncodeToString(sum[:]))
		return
	}
	w.Header().Set("Trailer", sumTrailer)
	sum, err := t.sample.sendTo(w)
	if err != nil {
		panic(http.ErrAbortHandler) // so that the client does not take it for whole
	}
	w.Header().Set(sumTrailer, hex.EncodeToString(sum[:]))
}

func (t *trial) put(ctx context.Context, client *http.Client, url string) (*result, error) {
	body, err := t.sample.open()
	if err != nil {
		return nil, err
	}
	defer body.Close()
	r := &result{name: "HTTP PUT", bytes: t.sample.size}
	hashed := newHashingReader(body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, hashed)
	if err != nil {
		return nil, err
	}
	req.ContentLength = t.sample.size
	start := time.Now()
	answer, _, err := do(client, req, func(body io.Reader) (string, error) {
		b, err := io.ReadAll(io.LimitReader(body, 1024))
		return string(b), err
	})
	if err != nil {
		return nil, err
	}
	r.took = time.Since(start)
	r.sent = hashed.sum()
	r.got, err = parseSum(answer)
	return r, err
}

func (t *trial) get(ctx context.Context, client *http.Client, url string) (*result, error) {
	r := &result{name: "HTTP GET"}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	_, trailer, err := do(client, req, func(body io.Reader) (_ string, err error) {
		r.bytes, r.got, err = receiveFrom(body, t.bar)
		return "", err
	})
	if err != nil {
		return nil, err
	}
	r.took = time.Since(start)
	r.sent, err = parseSum(trailer.Get(sumTrailer))
	return r, err
}

// do makes a request and has read take the body of its answer.
func do(client *http.Client, req *http.Request, read func(io.Reader) (string, error)) (string, http.Header, error) {
	resp, err := client.Do(req)
	if err != nil {
		return "", nil, err
	}
	defer resp.Body.Close()
	text, err := read(resp.Body)
	if err != nil {
		return "", nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return "", nil, fmt.Errorf("status %s: %s", resp.Status, strconv.Quote(text))
	}
	return text, resp.Trailer, nil
}

func parseSum(s string) (c checksum, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(c) {
		return c, fmt.Errorf("%q is no SHA-256", s)
	}
	return checksum(b), nil
}
