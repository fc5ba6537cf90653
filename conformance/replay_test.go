package conformance

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mspnet"
)

// TestReplayedConnection: a connection that was recorded is not played back into
// the application, neither while its 4-tuple is remembered nor later.
func TestReplayedConnection(t *testing.T) {
	for _, later := range []time.Duration{time.Second, 30 * time.Second, 65 * time.Second, 10 * time.Minute} {
		t.Run(later.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) { replayed(t, w, later) })
		})
	}
}

func replayed(t *testing.T, w *world, later time.Duration) {
	var recorded []memnet.Event
	stop := w.net.Tap(func(e memnet.Event) {
		e.Data = append([]byte(nil), e.Data...)
		recorded = append(recorded, e)
	})
	l := w.listen(t)
	d := mspnet.Dialer{Node: w.client, Early: true}
	c, err := d.Dial("msp", w.target(port))
	if err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("POST /transfer?amount=1000"))
	c.(*mspnet.Conn).CloseWrite()
	s := accept(t, l)
	if b, err := io.ReadAll(s); string(b) != "POST /transfer?amount=1000" || err != nil {
		t.Fatalf("read %q, %v", b, err)
	}
	s.Close()
	c.Close()
	pass(later)
	stop()

	eve := w.net.Link()
	for _, e := range recorded {
		if e.To == w.serverLink.LocalAddr() {
			eve.WritePackets([]mdpconn.Packet{{Addr: e.To, Data: e.Data}})
			pass(time.Millisecond)
		}
	}
	l.SetDeadline(time.Now().Add(20 * time.Second))
	if c, err := l.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("accepted %v, %v from a recording", c, err)
	}
	w.dial(t) // the true client is as welcome as before
	l.SetDeadline(time.Time{})
	accept(t, l)
}
