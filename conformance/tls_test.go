package conformance

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	"mesh.example/msp/mspnet"
)

// tlsName is whom the certificate of the tests is for. A SID has 64 digits, one
// more than a label of a host name may have.
const tlsName = "server.test"

// certificate makes a self-signed one, and what trusts it.
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{tlsName},
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// crypto/tls and HTTP/2 wait for the network while they hold a mutex, at which
// virtual time stands still; so these tests run in real time.

// TestTLS: crypto/tls takes a Conn as it is, and its end of a stream is ours.
func TestTLS(t *testing.T) {
	w := instant(t)
	cert, pool := certificate(t)
	client, server := w.connect(t)
	sent := random(300_000)
	go func() {
		s := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{cert}})
		if _, err := io.Copy(s, s); err != nil { // echo
			t.Errorf("server: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("server: Close: %v", err)
		}
	}()
	c := tls.Client(client, &tls.Config{RootCAs: pool, ServerName: tlsName})
	go func() {
		if _, err := c.Write(sent); err != nil {
			t.Errorf("client: %v", err)
		}
		if err := c.CloseWrite(); err != nil {
			t.Errorf("client: CloseWrite: %v", err)
		}
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("client got %d bytes back, %v; want the %d sent", len(got), err, len(sent))
	}
	if err := c.Close(); err != nil {
		t.Errorf("client: Close: %v", err)
	}
	if c.RemoteAddr().String() != client.RemoteAddr().String() {
		t.Errorf("RemoteAddr through TLS is %v, want %v", c.RemoteAddr(), client.RemoteAddr())
	}
}

// TestHTTP2: HTTP/2 over TLS, as gRPC has it: one connection carries many calls
// at once, with bodies that flow both ways at the same time.
func TestHTTP2(t *testing.T) {
	w := instant(t)
	cert, pool := certificate(t)
	s := &http.Server{
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != 2 {
				t.Errorf("the handler got %v", r.Proto)
			}
			rw.WriteHeader(200)
			rw.(http.Flusher).Flush() // the client may wait for the header
			buf := make([]byte, 100)
			for {
				n, err := r.Body.Read(buf)
				rw.Write(buf[:n])
				rw.(http.Flusher).Flush()
				if err != nil {
					return
				}
			}
		}),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}},
	}
	w.serveTLS(t, s, ":443")
	tr := &http.Transport{
		DialContext:       (&mspnet.Dialer{Node: w.client}).DialContext,
		TLSClientConfig:   &tls.Config{RootCAs: pool, ServerName: tlsName},
		ForceAttemptHTTP2: true,
	}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	url := "https://" + w.server.Primary().String() + "/"
	calls := make(chan int, 3)
	for i := range cap(calls) {
		go func() {
			defer func() { calls <- i }()
			talk(t, client, url)
		}()
	}
	for range cap(calls) {
		<-calls
	}
}

// talk makes one call in which each message waits for the answer to the last.
func talk(t *testing.T, client *http.Client, url string) {
	body, feed := io.Pipe()
	resp, err := client.Post(url, "application/octet-stream", body)
	if err != nil {
		t.Errorf("POST: %v", err)
		return
	}
	defer resp.Body.Close()
	for i := range 10 {
		message := bytes.Repeat([]byte{byte(i)}, 50)
		if _, err := feed.Write(message); err != nil {
			t.Errorf("message %d: %v", i, err)
		}
		got := make([]byte, len(message))
		if _, err := io.ReadFull(resp.Body, got); err != nil || !bytes.Equal(got, message) {
			t.Errorf("message %d: got %v, %v", i, got, err)
		}
	}
	feed.Close()
	if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("end of the call: %d, %v; want 0, EOF", n, err)
	}
}

// serveTLS is serve with TLS.
func (w *world) serveTLS(t testing.TB, s *http.Server, address string) {
	t.Helper()
	w.serveBy(t, s, address, func(l net.Listener) error { return s.ServeTLS(l, "", "") })
}
