package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func ccControl(cc string) func(network, address string, c syscall.RawConn) error {
	return func(network, address string, c syscall.RawConn) error {
		var serr error
		err := c.Control(func(fd uintptr) {
			serr = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, cc)
		})
		if err != nil {
			return err
		}
		return serr
	}
}

func tcpListen(cc string) func(string) (net.Listener, error) {
	return func(addr string) (net.Listener, error) {
		lc := net.ListenConfig{Control: ccControl(cc)}
		return lc.Listen(context.Background(), "tcp4", addr)
	}
}

func tcpDial(cc string) func(string) (net.Conn, error) {
	return func(addr string) (net.Conn, error) {
		d := net.Dialer{Control: ccControl(cc), Timeout: 60 * time.Second}
		return d.Dial("tcp4", addr)
	}
}

// selfSigned makes one throw-away ECDSA P-256 certificate per process.
var selfSigned = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "bench"},
		DNSNames:     []string{"bench"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// The ALPN is for QUIC only, which requires one; net/http refuses to serve
// HTTP/1.1 on a TLS connection that negotiated something else.
func serverTLS(alpn ...string) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{selfSigned()}, NextProtos: alpn}
}

func clientTLS(alpn ...string) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, ServerName: "bench", NextProtos: alpn}
}

func init() {
	for _, cc := range []string{"cubic", "bbr"} {
		register(Transport{Name: "tcp-" + cc, Secure: "raw", LoopbackBytes: 2 << 30, Note: "kernel TCP, " + cc + " congestion control on both ends",
			Listen: tcpListen(cc), Dial: tcpDial(cc)})
		tl, td := tcpListen(cc), tcpDial(cc)
		register(Transport{Name: "tls-" + cc, Secure: "e2e", LoopbackBytes: 2 << 30, Note: "crypto/tls 1.3 over kernel TCP (" + cc + "), ECDSA P-256 certificate, no resumption",
			LoopbackOnly: cc == "bbr",
			Listen: func(addr string) (net.Listener, error) {
				l, err := tl(addr)
				if err != nil {
					return nil, err
				}
				return tls.NewListener(l, serverTLS()), nil
			},
			Dial: func(addr string) (net.Conn, error) {
				c, err := td(addr)
				if err != nil {
					return nil, err
				}
				tc := tls.Client(c, clientTLS())
				if err := tc.Handshake(); err != nil {
					c.Close()
					return nil, err
				}
				return tc, nil
			}})
	}
}
