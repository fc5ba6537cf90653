package main

import (
	"net"
	"sync"
)

// held keeps the idle connections of this process, without a goroutine of ours.
var held heldConns

type heldConns struct {
	mu    sync.Mutex
	conns []net.Conn
}

func (h *heldConns) add(c net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns = append(h.conns, c)
}
