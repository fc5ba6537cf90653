package msp

import "testing"

// TestPollIsBounded: one Poll emits about pollBytes, however much is due, tells that
// there is more, and serves every connection before it serves one again.
func TestPollIsBounded(t *testing.T) {
	const conns, message = 20, 60_000
	s := newSim(t, 1)
	cfg := Config{Extended: true, PacketSize: func(Addr, Addr) int { return message + 100 }}
	client, server := s.add('C', cfg), s.add('S', cfg)
	if _, err := server.Listen(addr('S', 80), conns); err != nil {
		t.Fatal(err)
	}
	var dialled []*Conn
	for i := range conns {
		c, err := client.Dial(s.now, addr('C', uint32(70000+i)), addr('S', 80), 0)
		if err != nil {
			t.Fatal(err)
		}
		dialled = append(dialled, c)
	}
	s.run(1e9, never)
	for _, c := range dialled {
		for range 3 {
			if err := c.Send(make([]byte, message)); err != nil {
				t.Fatal(err)
			}
		}
	}
	sent := map[Addr]int{}
	polls := 0
	for ; client.Pending(); polls++ {
		bytes := 0
		client.Poll(s.now, func(local, _ Addr, data []byte) {
			bytes += len(data)
			sent[local] += len(data)
		})
		if bytes > pollBytes+message+100 {
			t.Fatalf("%d bytes in one Poll, want about %d", bytes, pollBytes)
		}
	}
	if most := conns*3*message/pollBytes + 2; polls < 5 || polls > most {
		t.Errorf("%d Polls, want at most %d", polls, most)
	}
	for a, n := range sent {
		if n < 2*message { // at least what may be in flight and leaves unpaced
			t.Errorf("%v: %d bytes were sent", a, n)
		}
	}
	if len(sent) != conns {
		t.Errorf("%d connections were served, want %d", len(sent), conns)
	}
}
