package mdpconn

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/crypto/nacl/secretbox"

	"mesh.example/msp/mdpconn/mdptest"
	"mesh.example/msp/mdpconn/overlay"
)

// A silentLink is a link that gives nothing, and takes everything but what no
// node may send.
type silentLink struct {
	sent   int
	guard  mdptest.Guard
	closed chan struct{}
}

func (l *silentLink) ReadPackets([]Packet) (int, error) {
	<-l.closed
	return 0, net.ErrClosed
}

func (l *silentLink) WritePackets(ps []Packet) (int, error) {
	for _, p := range ps {
		if err := l.guard.Check(p.Addr, p.Data); err != nil {
			panic(err)
		}
	}
	l.sent += len(ps)
	return len(ps), nil
}

func (l *silentLink) LocalAddr() netip.AddrPort    { return netip.MustParseAddrPort("10.0.0.1:4110") }
func (l *silentLink) Broadcasts() []netip.AddrPort { return nil }
func (l *silentLink) Close() error {
	close(l.closed)
	return nil
}

// A fuzzTarget is a node, its receiver, and a peer that the node holds.
type fuzzTarget struct {
	node *Node
	link *silentLink
	r    *receiver
	peer *Identity
	key  *[32]byte
}

func fuzzSeed(b byte) *Identity {
	seed := [SeedSize]byte{b}
	id, err := IdentityFromSeed(seed[:])
	if err != nil {
		panic(err)
	}
	return id
}

func (fuzzTarget) HandleDatagrams(batch []Datagram) {
	for i := range batch {
		if len(batch[i].Data) == 0 {
			panic("a datagram without data")
		}
		batch[i].Release()
	}
}

// newFuzzTarget makes a node without goroutines, so that an input is the only
// thing that happens.
func newFuzzTarget(t testing.TB) *fuzzTarget {
	f := &fuzzTarget{link: &silentLink{closed: make(chan struct{})}, peer: fuzzSeed(2)}
	n, err := newNode(Config{Identities: []*Identity{fuzzSeed(1)}, NoUDP: true, MaxPeers: 16})
	if err != nil {
		t.Fatal(err)
	}
	f.node = n
	n.challengePort = 0x34
	l := &nodeLink{link: f.link, id: 1}
	n.links = []*nodeLink{l}
	n.HandleUnbound(f)
	n.Announce()
	if _, err := n.RegisterService("chat", 5000); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Hold(Primary, f.peer.SID()); err != nil {
		t.Fatal(err)
	}
	f.r = newReceiver(n, f.link, l)
	if f.key, err = f.peer.SharedKey(n.Primary()); err != nil {
		t.Fatal(err)
	}
	return f
}

// seal makes a packet of the peer with one enciphered payload of any contents.
func (f *fuzzTarget) seal(plain []byte) []byte {
	var ctx overlay.Context
	b, _ := overlay.AppendEnvelope(nil, &overlay.Envelope{Version: 1, Sender: overlay.To(overlay.SID(f.peer.SID()))}, &ctx)
	var nonce boxNonce
	var scratch [16]byte
	newNonceTagger(f.key, f.peer.SID()).fill(&nonce, &scratch, time.Now())
	body := secretbox.Seal(nonce[:], plain, (*[nonceSize]byte)(&nonce), f.key)
	b = append(b, byte(overlay.SenderSame|overlay.OneHop|overlay.Ciphered|overlay.Signed), 32)
	own := f.node.Primary()
	b = append(b, own[:]...)
	b = append(b, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

// FuzzReceive gives a node any bytes as a packet, and any bytes enciphered by a
// peer it holds: nothing may panic, and no table may outgrow its limit.
func FuzzReceive(f *testing.F) {
	target := newFuzzTarget(f)
	own, peer := target.node.Primary(), target.peer.SID()
	f.Add(append(append([]byte{0, 1, 32}, peer[:]...), 0), false)
	f.Add(append(append([]byte{0, 1, 32}, own[:]...), 0), false)
	f.Add([]byte{0, 1, 2, peer[0], peer[1], 0}, false)
	f.Add([]byte{1, 1, 2, 0x23, 0x45, 0, 0x87, 0x60, 1, 0, 3, 2, own[0], own[1]}, false)
	f.Add(target.seal([]byte{0x0e, 0x82, 0x02, 'x'}), false)
	f.Add([]byte{0x0e, 0x82, 0x02, 'x'}, true)
	f.Add([]byte{0x03, 0x02}, true)
	f.Add(append([]byte{0x68, 0x07}, make([]byte, tokenSize)...), true) // a challenge that comes back
	question := []byte{0x16, 0x02, '*'}                                 // for services, from the port of link state
	f.Add(question, true)
	f.Add(append(append(append(append([]byte{1, 1, 32}, peer[:]...), 0, 0x05, 32), own[:]...), append([]byte{0, 0, 3}, question...)...), false)
	f.Add([]byte{0x03}, true)
	f.Add([]byte{}, false)
	from := netip.MustParseAddrPort("10.0.0.2:4110")
	f.Fuzz(func(t *testing.T, data []byte, sealed bool) {
		if sealed {
			if len(data) > bufferSize-200 {
				return
			}
			data = target.seal(data)
		}
		if len(data) > bufferSize {
			data = data[:bufferSize]
		}
		target.r.now = time.Now()
		target.link.sent = 0
		target.r.handlePacket(from, data)
		target.r.out.deliver()
		s := target.node.Stats().Tables
		if s.Peers > s.PeersLimit || s.Strangers > s.StrangerLimit || s.Held != 1 || s.Heard > s.HeardLimit || s.Waiting > s.WaitingLimit {
			t.Fatalf("tables: %+v", s)
		}
		if target.link.sent > 1+len(data)/2 {
			t.Fatalf("%d packets sent for %d bytes", target.link.sent, len(data))
		}
	})
}
