package mdpconn_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/nacl/secretbox"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
)

// An inbox is a handler that queues what it gets.
type inbox chan mdpconn.Datagram

func newInbox() inbox { return make(inbox, 1000) }

func (b inbox) HandleDatagrams(batch []mdpconn.Datagram) {
	for _, d := range batch {
		select {
		case b <- d:
		default:
			d.Release()
		}
	}
}

// want takes the datagrams that have arrived and compares their data.
func (b inbox) want(t *testing.T, why string, data ...string) []mdpconn.Datagram {
	t.Helper()
	synctest.Wait()
	var got []mdpconn.Datagram
	var texts []string
	for len(b) > 0 {
		d := <-b
		got = append(got, d)
		texts = append(texts, string(d.Data))
	}
	if fmt.Sprint(texts) != fmt.Sprint(data) {
		t.Fatalf("%s: got %q, want %q", why, texts, data)
	}
	return got
}

// newNode makes a node that does not relay, closed at the end of the test. Like
// newRelay it makes one without session keys: what they change has tests of its
// own (sessions_test.go).
func newNode(t *testing.T, network *memnet.Network, config mdpconn.Config) (*mdpconn.Node, *memnet.Link) {
	t.Helper()
	config.Relay = mdpconn.RelayOff
	return newRelay(t, network, config)
}

// newRelay makes a node on a link of its own, closed at the end of the test.
func newRelay(t *testing.T, network *memnet.Network, config mdpconn.Config) (*mdpconn.Node, *memnet.Link) {
	t.Helper()
	l := network.Link()
	config.Links = []mdpconn.Link{l}
	config.NoSessions = !sessionKeys
	n, err := mdpconn.NewNode(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n, l
}

// sessionKeys, from the environment, has all tests use session keys: those that
// count packets of the published form fail then.
var sessionKeys = os.Getenv("MSPTEST_SESSIONS") != ""

func bind(t *testing.T, n *mdpconn.Node, a mdpconn.Addr) (*mdpconn.Socket, inbox) {
	t.Helper()
	b := newInbox()
	s, err := n.Bind(a, b)
	if err != nil {
		t.Fatal(err)
	}
	return s, b
}

func send(t *testing.T, n *mdpconn.Node, from, to mdpconn.Addr, data ...string) {
	t.Helper()
	var batch []mdpconn.Datagram
	for _, d := range data {
		batch = append(batch, mdpconn.Datagram{Local: from, Remote: to, Data: []byte(d)})
	}
	if k, err := n.Send(batch); k != len(batch) || err != nil {
		t.Fatalf("sent %d of %d: %v", k, len(batch), err)
	}
}

// A tape records the packets that enter a network.
type tape struct {
	mu      sync.Mutex
	packets []taped
}

type taped struct {
	at       time.Time
	from, to netip.AddrPort
	data     []byte
}

func record(t *testing.T, network *memnet.Network) *tape {
	tp := new(tape)
	t.Cleanup(network.Tap(func(e memnet.Event) {
		if e.Injected {
			return
		}
		tp.mu.Lock()
		defer tp.mu.Unlock()
		tp.packets = append(tp.packets, taped{time.Now(), e.From, e.To, append([]byte(nil), e.Data...)})
	}))
	return tp
}

// take gives what was recorded since the last take, of what went between two
// addresses; an invalid one stands for any.
func (tp *tape) take(from, to netip.AddrPort) (got []taped) {
	synctest.Wait()
	tp.mu.Lock()
	defer tp.mu.Unlock()
	for _, p := range tp.packets {
		if (!from.IsValid() || p.from == from) && (!to.IsValid() || p.to == to) {
			got = append(got, p)
		}
	}
	tp.packets = nil
	return got
}

var anywhere netip.AddrPort

// payloads parses a packet of which every address is full, or known to r.
func payloads(t *testing.T, data []byte) (sender mdpconn.SID, got []overlay.Payload) {
	t.Helper()
	var p overlay.Packet
	if err := p.Parse(data, overlay.Context{}); err != nil {
		t.Fatalf("packet %x: %v", data, err)
	}
	for pl := (overlay.Payload{}); p.Next(&pl); {
		got = append(got, pl)
	}
	if p.Err() != nil {
		t.Fatalf("packet %x: %v", data, p.Err())
	}
	return mdpconn.SID(p.Sender.SID), got
}

// packet makes a packet of full SIDs.
func packet(t *testing.T, sender mdpconn.SID, payloads ...overlay.Payload) []byte {
	t.Helper()
	var ctx overlay.Context
	b, err := overlay.AppendEnvelope(nil, &overlay.Envelope{Version: 1, Sender: overlay.To(overlay.SID(sender)), Flags: overlay.PacketUnicast}, &ctx)
	for i := range payloads {
		if err == nil {
			b, err = overlay.AppendPayload(b, &payloads[i], &ctx)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tickOf makes the tick of a SID.
func tickOf(sid mdpconn.SID) []byte {
	b := append([]byte{0, 1, 32}, sid[:]...)
	return append(b, 0)
}

// sealed makes an enciphered payload.
func sealed(t *testing.T, key *[32]byte, to mdpconn.SID, ports overlay.Ports, data string) overlay.Payload {
	t.Helper()
	plain, err := overlay.AppendPorts(nil, ports)
	if err != nil {
		t.Fatal(err)
	}
	var nonce [24]byte
	rand.Read(nonce[:])
	nonce[0] &= 0x7f
	body, err := overlay.SealBody(nil, key, &nonce, append(plain, data...))
	if err != nil {
		t.Fatal(err)
	}
	return overlay.Payload{
		Flags:       overlay.OneHop | overlay.Ciphered | overlay.Signed,
		Destination: overlay.To(overlay.SID(to)), Type: overlay.TypeData, Body: body,
	}
}

// plainPayloads makes data payloads that are not enciphered: plain and signed.
func plainPayloads(t *testing.T, to mdpconn.SID) (pls []overlay.Payload) {
	t.Helper()
	plain, _ := overlay.AppendPorts(nil, overlay.Ports{Destination: 1000, Source: 2000})
	plain = append(plain, "readable"...)
	_, key, _ := ed25519.GenerateKey(nil)
	signed, err := overlay.SignBody(nil, key, plain)
	if err != nil {
		t.Fatal(err)
	}
	for flags, body := range map[overlay.PayloadFlags][]byte{0: plain, overlay.Signed: signed} {
		pls = append(pls, overlay.Payload{
			Flags: overlay.OneHop | flags, Destination: overlay.To(overlay.SID(to)), Type: overlay.TypeData, Body: body,
		})
	}
	return pls
}

// emptied makes an enciphered payload without data, which overlay refuses to
// make.
func emptied(t *testing.T, key *[32]byte, to mdpconn.SID, ports overlay.Ports) overlay.Payload {
	t.Helper()
	plain, err := overlay.AppendPorts(nil, ports)
	if err != nil {
		t.Fatal(err)
	}
	var nonce [24]byte
	rand.Read(nonce[1:])
	return overlay.Payload{
		Flags:       overlay.OneHop | overlay.Ciphered | overlay.Signed,
		Destination: overlay.To(overlay.SID(to)), Type: overlay.TypeData,
		Body: secretbox.Seal(nonce[:], plain, &nonce, key),
	}
}

// rawPacket makes a packet of one payload that overlay might refuse to make.
func rawPacket(sender mdpconn.SID, p overlay.Payload) []byte {
	b := append([]byte{1, 1, 32}, sender[:]...)
	b = append(b, 1, byte(p.Flags|overlay.SenderSame), 32)
	b = append(b, p.Destination.SID[:]...)
	b = append(b, p.Seq)
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.Body)))
	return append(b, p.Body...)
}

// identity makes an identity.
func identity(t *testing.T) *mdpconn.Identity {
	t.Helper()
	id, err := mdpconn.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// connected makes two nodes that know each other's endpoint and hold each other,
// and a socket of each.
type connected struct {
	network *memnet.Network
	a, b    *mdpconn.Node
	la, lb  *memnet.Link
	sa, sb  *mdpconn.Socket
	ia, ib  inbox
}

func connect(t *testing.T, ca, cb mdpconn.Config) *connected {
	t.Helper()
	c := &connected{network: memnet.New(memnet.Config{})}
	c.a, c.la = newNode(t, c.network, ca)
	c.b, c.lb = newNode(t, c.network, cb)
	c.sa, c.ia = bind(t, c.a, mdpconn.Addr{Port: 1000})
	c.sb, c.ib = bind(t, c.b, mdpconn.Addr{Port: 2000})
	hold(t, c.a, c.b)
	hold(t, c.b, c.a)
	c.a.AddHint(c.b.Primary(), c.lb.LocalAddr())
	c.talk(t, "at the beginning")
	c.wantEndpoints(t, "at the beginning")
	return c
}

// talk sends a datagram each way.
func (c *connected) talk(t *testing.T, when string) {
	t.Helper()
	send(t, c.a, c.sa.LocalAddr(), c.sb.LocalAddr(), "there "+when)
	c.ib.want(t, "b "+when, "there "+when)
	send(t, c.b, c.sb.LocalAddr(), c.sa.LocalAddr(), "back "+when)
	c.ia.want(t, "a "+when, "back "+when)
}

func (c *connected) wantEndpoints(t *testing.T, when string) {
	t.Helper()
	synctest.Wait()
	if p := c.a.Path(c.a.Primary(), c.b.Primary()); p.Endpoint != c.lb.LocalAddr() {
		t.Fatalf("%s: a has endpoint %v of b, want %v", when, p.Endpoint, c.lb.LocalAddr())
	}
	if p := c.b.Path(c.b.Primary(), c.a.Primary()); p.Endpoint != c.la.LocalAddr() {
		t.Fatalf("%s: b has endpoint %v of a, want %v", when, p.Endpoint, c.la.LocalAddr())
	}
}

func hold(t *testing.T, n, other *mdpconn.Node) (release func()) {
	t.Helper()
	release, err := n.Hold(mdpconn.Primary, other.Primary())
	if err != nil {
		t.Fatal(err)
	}
	return release
}
