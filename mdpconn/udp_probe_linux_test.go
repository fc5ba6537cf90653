package mdpconn

import (
	"errors"
	"slices"
	"testing"
)

// TestProbeWhole: a probe goes whole or not at all, and what others write before
// and after it may go in fragments, as packets that stock knows have to.
func TestProbeWhole(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			const mtu = 1300 // of IP; IPv6 has 1280 at least
			from, to := narrowPair(t, address, mtu)
			large := slices.Repeat([]int{1400}, 20)
			carry(t, from, to, large...)
			if err := from.WriteProbe(Packet{Addr: to.LocalAddr(), Data: make([]byte, 1400)}); !errors.Is(err, errTooLarge) {
				t.Errorf("a probe larger than the device takes: %v, want %v", err, errTooLarge)
			}
			if err := from.WriteProbe(Packet{Addr: to.LocalAddr(), Data: make([]byte, 1252)}); err != nil {
				t.Errorf("a probe that the device takes: %v", err)
			}
			ps := []Packet{{Data: make([]byte, 2048)}}
			if k, err := to.ReadPackets(ps); k != 1 || err != nil || len(ps[0].Data) != 1252 {
				t.Errorf("%d packets of %d bytes arrive, %v; want the one probe of 1252", k, len(ps[0].Data), err)
			}
			carry(t, from, to, large...)
		})
	}
}
