package conformance

import (
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"mesh.example/msp/internal/stocktest"
	"mesh.example/msp/mdpconn"
)

// session gives a recorded session, and how long the connector took to give up.
func session(t *testing.T, name string) (s *stocktest.Session, lasted time.Duration) {
	t.Helper()
	_, _, sessions := stocktest.ReadSessions(t)
	s = sessions[name]
	if s == nil {
		t.Fatalf("no session %q is recorded", name)
	}
	all := s.Clients[connector]
	if len(all) == 0 {
		t.Fatalf("session %s has no connector", name)
	}
	return s, all[len(all)-1].At
}

const connector = "connector (node A)"

// near reports whether a recorded time is what the protocol says, by the clock of
// the machine that recorded it.
func near(recorded, want time.Duration) bool {
	return recorded > want-50*time.Millisecond && recorded < want+50*time.Millisecond
}

// TestStockSilence: a stock node on which nobody has bound the port says nothing,
// and the application is told after 10 s, as recorded.
func TestStockSilence(t *testing.T) {
	if _, lasted := session(t, "refused_no_binding"); !near(lasted, silence) {
		t.Errorf("stock's connector gave up after %v, want %v", lasted, silence)
	}
	t.Run("we connect", func(t *testing.T) {
		amongStock(t, "A", mdpconn.Config{}, func(t *testing.T, l *stockLab) {
			defer l.node.Announce()()
			b := l.met("B")
			start := time.Now()
			c := l.dial(262, "B", 514)
			_, err := c.Read(make([]byte, 1))
			wantOpError(t, "reading", err, syscall.ETIMEDOUT, true)
			wantAfter(t, "the end", start, silence)
			if heard := b.Heard(262, 514); heard.Packets == 0 || heard.Stop {
				t.Errorf("stock heard %d packets of the connection, STOP %v", heard.Packets, heard.Stop)
			}
			l.wantReachable(b)
		})
	})
	t.Run("nothing listens here, and we say so", func(t *testing.T) {
		amongStock(t, "B", mdpconn.Config{}, func(t *testing.T, l *stockLab) {
			s, _ := session(t, "refused_no_binding")
			defer l.node.Announce()()
			bound := l.listen("90") // the engine answers for ports that are not bound
			defer bound.Close()
			a := l.met("A")
			a.PlaySession(s, connector, true, 0).Done()
			pass(time.Second)
			if heard := a.Heard(514, 262); !heard.Stop || heard.Packets != 1 {
				t.Errorf("stock's connector heard %d packets, STOP %v, want one STOP", heard.Packets, heard.Stop)
			}
		})
	})
	t.Run("nothing listens here, in silence", func(t *testing.T) {
		amongStock(t, "B", mdpconn.Config{Silent: true}, func(t *testing.T, l *stockLab) {
			s, lasted := session(t, "refused_no_binding")
			defer l.node.Announce()()
			bound := l.listen("90")
			defer bound.Close()
			a := l.met("A")
			a.PlaySession(s, connector, true, lasted).Done()
			if heard := a.Heard(514, 262); heard.Packets != 0 {
				t.Errorf("stock's connector heard %d packets, want silence", heard.Packets)
			}
		})
	})
}

// TestStockVanishes: the application is told 10 s after the last packet of a stock
// peer that was killed, as recorded.
func TestStockVanishes(t *testing.T) {
	const lastHeard = 1513400 * time.Microsecond
	s, lasted := session(t, "peer_vanishes")
	if !near(lasted, lastHeard+silence) {
		t.Errorf("stock's connector gave up after %v, want %v", lasted, lastHeard+silence)
	}
	first, then := s.Said(connector)[:14], s.Said(connector)[14:]
	t.Run("we connect", func(t *testing.T) {
		amongStock(t, "A", mdpconn.Config{}, func(t *testing.T, l *stockLab) {
			defer l.node.Announce()()
			b := l.met("B")
			play := b.PlaySession(s, connector, false, lasted)
			c := l.dial(265, "B", 515)
			write(t, c, first)
			pass(2980 * time.Millisecond)
			write(t, c, then)
			play.Done()
			n, err := c.Read(make([]byte, 1))
			if n != 0 || err == io.EOF {
				t.Errorf("read %d, %v", n, err)
			}
			wantOpError(t, "reading", err, syscall.ETIMEDOUT, true)
			if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.ETIMEDOUT) {
				t.Errorf("writing: %v, want ETIMEDOUT", err)
			}
			if heard := b.Heard(265, 515); string(heard.Bytes()) != string(first)+string(then) {
				t.Errorf("stock heard %q", heard.Bytes())
			}
		})
	})
	t.Run("we listen", func(t *testing.T) {
		amongStock(t, "B", mdpconn.Config{}, func(t *testing.T, l *stockLab) {
			ln := l.listen("515")
			defer ln.Close()
			a := l.met("A")
			play := a.PlaySession(s, connector, true, 2*time.Second)
			c := accept(t, ln)
			wantRead(t, "stock's line", c, first)
			play.Done()
			start := time.Now()
			_, err := c.Read(make([]byte, 1))
			wantOpError(t, "reading", err, syscall.ETIMEDOUT, true)
			if took := time.Since(start); took > silence || took < silence-100*time.Millisecond {
				t.Errorf("told after %v, want %v", took, silence)
			}
		})
	})
}
