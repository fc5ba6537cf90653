package session

import (
	"encoding/binary"
	"testing"
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

func nonceOf(n int) (nonce [24]byte) {
	binary.BigEndian.PutUint64(nonce[8:], uint64(n))
	return nonce
}

// TestStrikes: [MSX-10.8] a nonce is taken once, up to ten seconds before and after the
// sender's clock, and remembered for twenty.
func TestStrikes(t *testing.T) {
	var s Strikes
	alice, bob := overlay.SID{1}, overlay.SID{2}
	for _, test := range []struct {
		why   string
		sid   overlay.SID
		nonce int
		age   time.Duration
		at    time.Duration
		want  Verdict
	}{
		{"first", alice, 1, 0, 0, Fresh},
		{"again", alice, 1, 0, time.Second, Repeated},
		{"another", alice, 2, 0, time.Second, Fresh},
		{"another sender's", bob, 1, 0, time.Second, Fresh},
		{"too old", alice, 3, 10*time.Second + 1, time.Second, Aged},
		{"just not", alice, 3, 10 * time.Second, time.Second, Fresh},
		{"ahead", alice, 4, -10*time.Second - 1, time.Second, Aged},
		{"just not", alice, 4, -10 * time.Second, time.Second, Fresh},
		{"still remembered", alice, 4, 10 * time.Second, 21 * time.Second, Repeated},
		{"forgotten, and too old", alice, 4, 10*time.Second + 1, 21*time.Second + 1, Aged},
	} {
		if got := s.Take(test.sid, nonceOf(test.nonce), test.age, start.Add(test.at)); got != test.want {
			t.Errorf("%s: %v, want %v", test.why, got, test.want)
		}
	}
	if s.Take(bob, nonceOf(9), 0, start.Add(time.Hour)); s.Len() != 1 || len(s.senders) != 1 || len(s.order) != 1 {
		t.Errorf("an hour later: %d remembered, of %d senders, %d in the queue", s.Len(), len(s.senders), len(s.order))
	}
}

// TestStrikesAreBounded: [MSX-10.8] the register is bounded, and so is what one sender
// takes of it. When it is full nothing is delivered rather than something twice.
func TestStrikesAreBounded(t *testing.T) {
	var s Strikes
	taken := 0
	for sender := range byte(6) {
		for i := range strikeShare + 10 {
			if v := s.Take(overlay.SID{sender}, nonceOf(i), 0, start); v == Fresh {
				taken++
			} else if v != Crowded || i < strikeShare && sender < 4 {
				t.Fatalf("sender %d, datagram %d: %v", sender, i, v)
			}
		}
	}
	if taken != StrikeSize || s.Len() != StrikeSize {
		t.Errorf("%d taken, %d remembered, want %d", taken, s.Len(), StrikeSize)
	}
	if v := s.Take(overlay.SID{1}, nonceOf(5), 0, start); v != Repeated {
		t.Errorf("repeated when full: %v", v)
	}
	later := start.Add(strikeKeeping + 1)
	if v := s.Take(overlay.SID{5}, nonceOf(5), 0, later); v != Fresh || s.Len() != 1 {
		t.Errorf("later: %v, %d remembered", v, s.Len())
	}
}

// No datagram is fresh twice, whatever its age is said to be, as long as the
// sender's clock does not go back.
func FuzzStrikes(f *testing.F) {
	f.Add([]byte{1, 2, 3, 1, 200, 2, 1})
	f.Fuzz(func(t *testing.T, steps []byte) {
		var s Strikes
		now, fresh := start, make(map[byte]bool)
		for i := 0; i+1 < len(steps); i += 2 {
			now = now.Add(time.Duration(steps[i]) * 100 * time.Millisecond)
			id := steps[i+1]
			made := start.Add(time.Duration(id) * time.Second) // each has its time
			if s.Take(overlay.SID{1}, nonceOf(int(id)), now.Sub(made), now) == Fresh {
				if fresh[id] {
					t.Fatalf("datagram %d is fresh twice", id)
				}
				fresh[id] = true
			}
		}
	})
}
