package msp

import (
	"testing"
	"time"
)

// TestNoEndlessAnswers: [MSP-5.3.5] an ack-only packet "MUST NOT be answered; two ends
// would go on for ever", nor may the answers to openings and probes lead to that:
// on a path of any length an idle connection sends its keep-alives and no more.
func TestNoEndlessAnswers(t *testing.T) {
	for trip := 10 * ms; trip < 4*time.Second; trip += trip/8 + ms {
		s := newSim(t, 1)
		s.delay = func() time.Duration { return trip / 2 }
		client, server := s.add('C', Config{}), s.add('S', Config{})
		if _, err := server.Listen(addr('S', 80), 8); err != nil {
			t.Fatal(err)
		}
		c, err := client.Dial(s.now, addr('C', 257), addr('S', 80), 10*ms)
		if err != nil {
			t.Fatal(err)
		}
		s.run(20*time.Second, never) // the opening is over
		before := s.n
		s.run(150*time.Second, never)
		if n := s.n - before; n > 2*101 || n < 2*99 || c.Cause() != Open {
			t.Errorf("round trip %v: %d packets in 150 s of idleness, want 200; %v", trip, n, c.Cause())
		}
	}
}
