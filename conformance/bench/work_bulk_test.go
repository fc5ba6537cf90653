package main

import (
	"errors"
	"testing"
)

// tcpServer is a server over TCP for the test's time, and what it receives.
func tcpServer(t *testing.T) (tcp *Transport, addr string, received *bulkCount) {
	t.Helper()
	tcp, err := findTransport("tcp-cubic")
	if err != nil {
		t.Fatal(err)
	}
	l, err := tcp.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	received = new(bulkCount)
	go acceptAll(l, received)
	return tcp, l.Addr().String(), received
}

// TestBulkBeginsWithOpenStreams: what is measured is the transfer, on streams
// that have all passed a byte both ways.
func TestBulkBeginsWithOpenStreams(t *testing.T) {
	tcp, addr, received := tcpServer(t)
	const streams, size = 20, 20000
	var begun int64
	res, err := bulk(tcp, clientOptions{addr: addr, size: size, streams: streams, start: func() error {
		received.mu.Lock()
		opened := len(received.bytes)
		received.mu.Unlock()
		if bytes, _, _ := received.state(); opened != streams || bytes != 0 {
			t.Errorf("%d streams are open and have moved %d bytes, want %d and 0", opened, bytes, streams)
		}
		begun = monoNow()
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if begun == 0 || res.Start < begun {
		t.Error("the clock was started before all streams were open")
	}
	if bytes, bad, _ := received.state(); bytes != size || bad {
		t.Errorf("the server had %d bytes, wrong ones: %v; want %d", bytes, bad, size)
	}
}

func TestBulkThatMayNotBegin(t *testing.T) {
	tcp, addr, _ := tcpServer(t)
	refused := errors.New("not now")
	if _, err := bulk(tcp, clientOptions{addr: addr, size: 1, streams: 1, start: func() error { return refused }}); err != refused {
		t.Errorf("error is %v, want %v", err, refused)
	}
}
