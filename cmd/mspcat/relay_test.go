package main

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A relay stands between a connecting mspcat and a listening one.
type relay struct {
	cut atomic.Bool // what carries much does not get through to the listening one any more

	near, far *net.UDPConn
	caller    atomic.Pointer[netip.AddrPort]
}

// relayTo puts a relay into a command that a listener has printed. Where there is IPv6 the
// connecting one is there: otherwise it finds the listening one by itself if the relay is slow.
func relayTo(t *testing.T, command []string) (r *relay, relayed []string) {
	t.Helper()
	ip := net.IPv4(127, 0, 0, 1)
	if hasIPv6() {
		ip = net.IPv6loopback
	}
	relayed = append(slices.Clone(command), "--bind", net.JoinHostPort(ip.String(), "0"))
	peer := &relayed[len(command)-1]
	far, err := net.Dial("udp4", strings.TrimPrefix(*peer, "udp:"))
	if err != nil {
		t.Fatal(err)
	}
	near, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip})
	if err != nil {
		t.Fatal(err)
	}
	r = &relay{near: near, far: far.(*net.UDPConn)}
	var running sync.WaitGroup
	running.Go(r.forth)
	running.Go(r.back)
	t.Cleanup(func() {
		r.near.Close()
		r.far.Close()
		running.Wait()
	})
	*peer = "udp:" + r.near.LocalAddr().String()
	return r, relayed
}

func (r *relay) forth() {
	const little = 200 // bytes: an abort, an acknowledgement
	b := make([]byte, 1<<16)
	for {
		n, from, err := r.near.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		r.caller.Store(&from)
		if n <= little || !r.cut.Load() {
			r.far.Write(b[:n]) // an error is a loss
		}
	}
}

func (r *relay) back() {
	b := make([]byte, 1<<16)
	for {
		n, err := r.far.Read(b)
		if err != nil {
			return
		}
		r.near.WriteToUDPAddrPort(b[:n], *r.caller.Load())
	}
}
