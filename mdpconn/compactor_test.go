package mdpconn

import (
	"testing"
	"time"

	"mesh.example/msp/mdpconn/session"
)

// TestRefusedBehindFullPacket: a datagram that is too large for any packet leaves a full
// one, which ends with a datagram to the end, as it is: what comes next is no part of that.
func TestRefusedBehindFullPacket(t *testing.T) {
	const from, to = 80, 40_000
	c := &compactor{limit: smallCompact}
	most := smallCompact - compactHead(from, to)
	for _, d := range []struct {
		size int
		fits bool
	}{{most - compactLeast + 1, true}, {most + 1, false}, {4, true}} {
		if c.add(from, to, make([]byte, d.size), NotECT, nil, time.Time{}) != d.fits {
			t.Errorf("%d bytes: fits %t, want %t", d.size, !d.fits, d.fits)
		}
	}
	var got []int
	for i := range c.n {
		items := session.NewItems(c.room[c.starts[i]+session.HeadSize : c.ends[i]])
		for item := (session.Item{}); items.Next(&item); {
			got = append(got, len(item.Data))
		}
	}
	if len(got) != 2 || got[0] != most-compactLeast+1 || got[1] != 4 {
		t.Errorf("datagrams of %d bytes in %d packets, want %d and 4 in two", got, c.n, most-compactLeast+1)
	}
}
