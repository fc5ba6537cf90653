package conformance

import (
	"net"
	"net/http"
	"testing"

	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mspnet"
)

// serve serves HTTP with s on the server at address, until the end of the test.
func (w *world) serve(t testing.TB, s *http.Server, address string) {
	t.Helper()
	w.serveBy(t, s, address, s.Serve)
}

func (w *world) serveBy(t testing.TB, s *http.Server, address string, serve func(net.Listener) error) {
	t.Helper()
	l := w.listenOn(t, mspnet.ListenConfig{}, address)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := serve(l); err != http.ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
}

// httpClient gives an HTTP client whose connections start at the client node.
func (w *world) httpClient(t testing.TB) (*http.Client, *http.Transport) {
	t.Helper()
	tr := &http.Transport{DialContext: (&mspnet.Dialer{Node: w.client}).DialContext}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}, tr
}

// url is the server's, with the port behind the SID as given.
func (w *world) url(portAndPath string) string {
	return "http://" + w.server.Primary().String() + portAndPath
}

// instant is a network without delay, for tests in real time.
func instant(t testing.TB) *world { return newWorld(t, memnet.Config{Seed: 1}) }

// peerOf gives the SID in the address of a connection's peer.
func peerOf(c net.Conn) string {
	sid, ok := mspnet.PeerSID(c.RemoteAddr().String())
	if !ok {
		return "no SID in " + c.RemoteAddr().String()
	}
	return sid.String()
}
