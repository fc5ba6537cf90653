package mdpconn_test

import (
	"net"
	"net/netip"
	"sync"
	"testing"

	"mesh.example/msp/mdpconn"
)

// A pipeLink is one end of a link without loss or delay, between two nodes. The
// memory of packets goes round, so that nothing is allocated.
type pipeLink struct {
	addr   netip.AddrPort
	other  *pipeLink
	in     chan []byte
	free   chan []byte
	closed chan struct{}
	once   sync.Once
}

func newPipe() (a, b *pipeLink) {
	end := func(host byte) *pipeLink {
		l := &pipeLink{
			addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, host}), 4110),
			in:   make(chan []byte, 256), free: make(chan []byte, 256), closed: make(chan struct{}),
		}
		for range cap(l.free) {
			l.free <- make([]byte, 2048)
		}
		return l
	}
	a, b = end(1), end(2)
	a.other, b.other = b, a
	return a, b
}

func (l *pipeLink) ReadPackets(ps []mdpconn.Packet) (n int, err error) {
	select {
	case p := <-l.in:
		for {
			ps[n].Data = ps[n].Data[:copy(ps[n].Data[:cap(ps[n].Data)], p)]
			ps[n].Addr = l.other.addr
			n++
			l.free <- p[:cap(p)]
			if n == len(ps) {
				return n, nil
			}
			select {
			case p = <-l.in:
			default:
				return n, nil
			}
		}
	case <-l.closed:
		return 0, net.ErrClosed
	}
}

func (l *pipeLink) WritePackets(ps []mdpconn.Packet) (int, error) {
	for i := range ps {
		select {
		case p := <-l.other.free:
			l.other.in <- p[:copy(p, ps[i].Data)]
		case <-l.closed:
			return i, net.ErrClosed
		case <-l.other.closed: // as if lost
		}
	}
	return len(ps), nil
}

func (l *pipeLink) LocalAddr() netip.AddrPort    { return l.addr }
func (l *pipeLink) Broadcasts() []netip.AddrPort { return []netip.AddrPort{l.other.addr} }
func (l *pipeLink) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// A counter is a handler that counts and releases.
type counter chan int

func (c counter) HandleDatagrams(batch []mdpconn.Datagram) {
	for i := range batch {
		batch[i].Release()
	}
	c <- len(batch)
}

// benchPair makes two nodes that know each other's endpoint, and a socket of each.
func benchPair(b *testing.B, la, lb mdpconn.Link, addr netip.AddrPort) (na, nb *mdpconn.Node, aa, ab mdpconn.Addr, ca, cb counter) {
	b.Helper()
	node := func(l mdpconn.Link) (*mdpconn.Node, mdpconn.Addr, counter) {
		c := mdpconn.Config{}
		if l != nil {
			c.Links = []mdpconn.Link{l}
		} else {
			c.UDP = []string{"127.0.0.1:0"}
		}
		n, err := mdpconn.NewNode(c)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { n.Close() })
		h := make(counter, 1<<16)
		s, err := n.Bind(mdpconn.Addr{}, h)
		if err != nil {
			b.Fatal(err)
		}
		return n, s.LocalAddr(), h
	}
	na, aa, ca = node(la)
	nb, ab, cb = node(lb)
	if !addr.IsValid() {
		addr = nb.LinkAddrs()[0]
	}
	na.AddHint(ab.SID, addr)
	for na.Path(aa.SID, ab.SID).Endpoint != addr || !nb.Path(ab.SID, aa.SID).Endpoint.IsValid() {
		na.Send([]mdpconn.Datagram{{Local: aa, Remote: ab, Data: []byte("x")}})
		<-cb
		nb.Send([]mdpconn.Datagram{{Local: ab, Remote: aa, Data: []byte("x")}})
		<-ca
	}
	return
}

// BenchmarkSend measures enciphering, carrying and deciphering of batches.
func BenchmarkSend(b *testing.B) {
	for _, bench := range []struct {
		name string
		size int
	}{{"64", 64}, {"1029", 1029}} {
		b.Run(bench.name, func(b *testing.B) {
			la, lb := newPipe()
			na, _, aa, ab, _, cb := benchPair(b, la, lb, lb.addr)
			const size = 16
			batch := make([]mdpconn.Datagram, size)
			for i := range batch {
				batch[i] = mdpconn.Datagram{Local: aa, Remote: ab, Data: make([]byte, bench.size)}
			}
			b.SetBytes(int64(bench.size))
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += size {
				if _, err := na.Send(batch); err != nil {
					b.Fatal(err)
				}
				for k := 0; k < size; {
					k += <-cb
				}
			}
		})
	}
}

// BenchmarkRoundTrip measures one datagram there and back.
func BenchmarkRoundTrip(b *testing.B) {
	for _, link := range []string{"pipe", "udp"} {
		b.Run(link, func(b *testing.B) {
			var na, nb *mdpconn.Node
			var aa, ab mdpconn.Addr
			var ca, cb counter
			if link == "pipe" {
				la, lb := newPipe()
				na, nb, aa, ab, ca, cb = benchPair(b, la, lb, lb.addr)
			} else {
				na, nb, aa, ab, ca, cb = benchPair(b, nil, nil, netip.AddrPort{})
			}
			there := []mdpconn.Datagram{{Local: aa, Remote: ab, Data: make([]byte, 100)}}
			back := []mdpconn.Datagram{{Local: ab, Remote: aa, Data: make([]byte, 100)}}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				na.Send(there)
				<-cb
				nb.Send(back)
				<-ca
			}
		})
	}
}
