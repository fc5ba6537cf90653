package memnet

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestTapTellsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Config{})
		var log []string
		remove := n.Tap(func(e Event) {
			log = append(log, fmt.Sprintf("%v %q %v", e.Time.Sub(n.start), e.Data, e))
		})
		time.Sleep(time.Second)
		send(t, a, b.LocalAddr(), "plain")
		n.SetImpairmentAll(Impairment{Delay: time.Second, Reorder: 1, ReorderBy: time.Second, Duplicate: 1})
		send(t, a, b.LocalAddr(), "late")
		n.SetImpairmentAll(Impairment{Loss: 1})
		send(t, a, b.LocalAddr(), "lost")
		n.SetImpairmentAll(Impairment{Rate: 8, QueueBytes: 1})
		send(t, b, a.LocalAddr(), "q")
		send(t, b, a.LocalAddr(), "r")
		n.SetImpairmentAll(Impairment{})
		send(t, a, netip.MustParseAddrPort("1.2.3.4:5"), "nobody")
		n.Inject(netip.MustParseAddrPort("6.6.6.6:6"), a.LocalAddr(), []byte("bad"))
		n.Tap(func(Event) {}) // another does no harm
		send(t, a, Broadcast, "all")
		b.Rebind()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		remove()
		send(t, a, Broadcast, "unseen")
		want := []string{
			`1s "plain" 10.0.0.1:4110 > 10.0.0.2:4110 5 bytes passed after 0s`,
			`1s "late" 10.0.0.1:4110 > 10.0.0.2:4110 4 bytes passed after 2s reordered`,
			`1s "late" 10.0.0.1:4110 > 10.0.0.2:4110 4 bytes passed after 2s duplicate`,
			`1s "lost" 10.0.0.1:4110 > 10.0.0.2:4110 4 bytes lost`,
			`1s "q" 10.0.0.2:4110 > 10.0.0.1:4110 1 bytes passed after 1s`,
			`1s "r" 10.0.0.2:4110 > 10.0.0.1:4110 1 bytes queue-dropped`,
			`1s "nobody" 10.0.0.1:4110 > 1.2.3.4:5 6 bytes unreachable`,
			`1s "bad" 6.6.6.6:6 > 10.0.0.1:4110 3 bytes passed after 0s injected`,
			`1s "all" 10.0.0.1:4110 > 10.255.255.255:4110 3 bytes passed after 0s`,
			`3s "late" 10.0.0.1:4110 > 10.0.0.2:4110 4 bytes unreachable reordered`,
			`3s "late" 10.0.0.1:4110 > 10.0.0.2:4110 4 bytes unreachable duplicate`,
		}
		for i := range max(len(log), len(want)) {
			switch {
			case i >= len(log):
				t.Errorf("event %d missing: %s", i, want[i])
			case i >= len(want):
				t.Errorf("event %d too many: %s", i, log[i])
			case log[i] != want[i]:
				t.Errorf("event %d:\n got %s\nwant %s", i, log[i], want[i])
			}
		}
	})
}

func TestSetDrop(t *testing.T) {
	n, a, b := pair(t, Config{})
	count := 0
	n.SetDrop(func(e Event) bool {
		count++
		return e.From == a.home && e.Receiver == b.home && string(e.Data) == "second"
	})
	for _, s := range []string{"first", "second", "third"} {
		send(t, a, b.LocalAddr(), s)
		send(t, b, a.LocalAddr(), s)
	}
	wantArrived(t, "one dropped", b, "first", "third")
	wantArrived(t, "none dropped", a, "first", "second", "third")
	if s := n.Stats(); s.Lost != 1 || count != 6 {
		t.Errorf("Stats() = %+v, %d calls; want 1 lost, 6 calls", s, count)
	}
	n.SetDrop(nil)
	send(t, a, b.LocalAddr(), "second")
	wantArrived(t, "no longer dropped", b, "second")
}
