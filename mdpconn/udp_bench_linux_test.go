package mdpconn

import (
	"net/netip"
	"testing"
)

// BenchmarkUDP measures packets that are written with one call, and read, over
// sockets on the loopback device: to one address, where the kernel can join them,
// to as many as there are packets, where it cannot, and one alone.
func BenchmarkUDP(b *testing.B) {
	for _, bench := range []struct {
		name           string
		packets, hosts int
		size           int
	}{
		{"one address", 32, 1, 1200},
		{"many addresses", 32, 32, 1200},
		{"many addresses, small", 32, 32, 100},
		{"alone", 1, 1, 1200},
	} {
		b.Run(bench.name, func(b *testing.B) {
			var links [2]*udpLink
			for i, address := range []string{"127.0.0.1:0", "0.0.0.0:0"} {
				l, err := listenUDP(netip.MustParseAddrPort(address))
				if err != nil {
					b.Fatal(err)
				}
				defer l.Close()
				links[i] = l
			}
			from, to := links[0], links[1]
			out, in := make([]Packet, bench.packets), make([]Packet, readPackets)
			for i := range out {
				host := netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + i%bench.hosts)})
				out[i] = Packet{Addr: netip.AddrPortFrom(host, to.local.Port()), Data: make([]byte, bench.size)}
			}
			for i := range in {
				in[i].Data = make([]byte, bufferSize)
			}
			b.SetBytes(int64(bench.size))
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += len(out) {
				if _, err := from.WritePackets(out); err != nil {
					b.Fatal(err)
				}
				for got := 0; got < len(out); {
					k, err := to.ReadPackets(in)
					if err != nil {
						b.Fatal(err)
					}
					got += k
				}
			}
		})
	}
}
