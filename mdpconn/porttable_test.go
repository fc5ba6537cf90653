package mdpconn

import (
	"slices"
	"testing"
)

// TestRecentPortsAreNotGivenAgain: a peer looks twice at a connection in the place of
// one that has just ended, and many end ([MSP-1.6]).
func TestRecentPortsAreNotGivenAgain(t *testing.T) {
	var table portTable
	table.init()
	given := make(map[Port]int)
	for i := range 3 * recentPorts {
		p := table.randomPort()
		if last, ok := given[p]; ok && i-last <= recentPorts {
			t.Fatalf("port %d was given again after %d others, want %d at least", p, i-last-1, recentPorts)
		}
		given[p] = i
	}
	if n := len(table.every); n != recentPorts {
		t.Errorf("%d ports are kept from being given, want %d", n, recentPorts)
	}
	for _, n := range table.every {
		if n != 1 {
			t.Fatalf("a port that nobody bound counts %d times, want once", n)
		}
	}
}

// TestPortsBeyondTheShortOnes: a node with a million connections dials on.
func TestPortsBeyondTheShortOnes(t *testing.T) {
	var table portTable
	table.init()
	table.every = make(map[Port]int, endShortPorts)
	for p := firstRandomPort; p < endShortPorts; p++ {
		table.every[p] = 1
	}
	var got []Port
	for range 100 {
		got = append(got, table.randomPort())
	}
	if least, most := slices.Min(got), slices.Max(got); least < endShortPorts || most > MaxPort || most < 1<<29 {
		t.Errorf("ports %d … %d, want them all over %d … %d", least, most, endShortPorts, MaxPort)
	}
}
