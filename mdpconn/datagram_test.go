package mdpconn

import "testing"

func TestQueueCheck(t *testing.T) {
	for q := range 256 {
		err := Queue(q).Check()
		if q <= 4 {
			if err != nil {
				t.Errorf("Check of queue %d: %v", q, err)
			}
			continue
		}
		wantError(t, "Check", err, "expected 0 … 4")
	}
}

func TestReleaseGivesTheBufferBack(t *testing.T) {
	b := getBuffer()
	d := Datagram{Data: b.data[:3], buf: b}
	d.Release()
	if d.Data != nil || d.buf != nil || b.shares.Load() != 0 {
		t.Errorf("after Release: Data %v, shares %v", d.Data, b.shares.Load())
	}
	d.Release() // on the same copy it is harmless

	mine := Datagram{Data: []byte("mine")}
	mine.Release()
	if string(mine.Data) != "mine" {
		t.Error("Release took data that are not the node's")
	}
}
