package main

import (
	"fmt"
	"net"
	"strings"

	"github.com/xtaci/kcp-go/v5"
)

// KCP has no handshake and no key exchange: the key is pre-shared, and a
// session exists as soon as its first packet arrives.
var kcpKey = []byte("bench pre-shared key of 32 bytes")

func kcpCrypt(kind string) kcp.BlockCrypt {
	var b kcp.BlockCrypt
	var err error
	switch kind {
	case "aes":
		b, err = kcp.NewAESBlockCrypt(kcpKey)
	case "aesgcm":
		b, err = kcp.NewAESGCMCrypt(kcpKey)
	case "salsa20":
		b, err = kcp.NewSalsa20BlockCrypt(kcpKey)
	default:
		err = fmt.Errorf("unknown crypt %q", kind)
	}
	if err != nil {
		panic(err)
	}
	return b
}

func kcpTune(s *kcp.UDPSession, nc int) *kcp.UDPSession {
	s.SetNoDelay(1, 10, 2, nc)
	s.SetWindowSize(2048, 2048)
	s.SetStreamMode(true)
	s.SetWriteDelay(false)
	s.SetACKNoDelay(true)
	s.SetMtu(1400)
	return s
}

type kcpListener struct {
	*kcp.Listener
	nc int
}

func (l kcpListener) Accept() (net.Conn, error) {
	s, err := l.AcceptKCP()
	if err != nil {
		return nil, err
	}
	return kcpTune(s, l.nc), nil
}

func registerKCP(kind string, fec bool, nc int, loopbackOnly bool) {
	name, d, p := "kcp-"+kind, 0, 0
	note := "kcp-go, " + kind + " with a pre-shared key (no handshake, no forward secrecy), NoDelay(1,10,2,1) i.e. congestion control off, window 2048 packets, MTU 1400, stream mode"
	if nc == 0 {
		name += "-cc"
		note = strings.Replace(note, "NoDelay(1,10,2,1) i.e. congestion control off", "NoDelay(1,10,2,0) i.e. congestion control on", 1)
	}
	if fec {
		name, d, p = name+"-fec", 10, 3
		note += ", FEC 10:3"
	}
	register(Transport{Name: name, Secure: "psk", Note: note, LoopbackOnly: loopbackOnly,
		Listen: func(addr string) (net.Listener, error) {
			l, err := kcp.ListenWithOptions(addr, kcpCrypt(kind), d, p)
			if err != nil {
				return nil, err
			}
			l.SetReadBuffer(4 << 20)
			l.SetWriteBuffer(4 << 20)
			return kcpListener{l, nc}, nil
		},
		Dial: func(addr string) (net.Conn, error) {
			s, err := kcp.DialWithOptions(addr, kcpCrypt(kind), d, p)
			if err != nil {
				return nil, err
			}
			s.SetReadBuffer(4 << 20)
			s.SetWriteBuffer(4 << 20)
			return kcpTune(s, nc), nil
		}})
}

func init() {
	registerKCP("aes", false, 1, false)
	registerKCP("aes", false, 0, false)
	registerKCP("aesgcm", false, 1, true)
	registerKCP("salsa20", false, 1, true)
	registerKCP("aes", true, 1, false)
	registerKCP("salsa20", true, 1, true)
}
