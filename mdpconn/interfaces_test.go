package mdpconn_test

import (
	"bytes"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
)

// A fakeHost has interfaces that a test sets.
type fakeHost struct {
	mu    sync.Mutex
	addrs map[string]netip.Prefix
}

func (h *fakeHost) set(addrs map[string]netip.Prefix) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.addrs = addrs
}

// interfaceNode makes a node on a host with interfaces.
func interfaceNode(t *testing.T, network *memnet.Network, h *fakeHost, specs ...mdpconn.Interface) *mdpconn.Node {
	t.Helper()
	n, err := mdpconn.NewNode(mdpconn.OnHost(mdpconn.Config{Interfaces: specs}, mdpconn.TestHost{
		Addrs: func() map[string]netip.Prefix {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.addrs
		},
		Open: func(a netip.AddrPort) (mdpconn.Link, error) { return network.Listen(a) },
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func reaches(n *mdpconn.Node, sid mdpconn.SID) bool {
	for _, r := range n.Routes() {
		if r.SID == sid {
			return true
		}
	}
	return false
}

// Interfaces come and go: what is chosen is opened within five seconds, closed
// when it is gone, and neighbours there are forgotten at once.
func TestInterfacesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		host := new(fakeHost)
		n := interfaceNode(t, network, host, mdpconn.Interface{Match: "eth*", Type: mdpconn.Ethernet})
		other, _ := newRelay(t, network, mdpconn.Config{Announce: mdpconn.AnnounceAlways})
		if len(n.LinkAddrs()) != 0 {
			t.Fatal("there is an interface yet")
		}
		host.set(map[string]netip.Prefix{"eth1": netip.MustParsePrefix("10.0.9.1/8"), "wlan0": netip.MustParsePrefix("10.0.9.2/8")})
		time.Sleep(12 * time.Second)
		if a := n.LinkAddrs(); len(a) != 1 || a[0] != netip.MustParseAddrPort("10.0.9.1:4110") {
			t.Fatalf("links at %v, want eth1's", a)
		}
		if !reaches(n, other.Primary()) {
			t.Error("the neighbour is not reached")
		}
		if k := n.Stats().Tables.QueuedLimit; k != 100 {
			t.Errorf("%d packets may wait, want 100 of one interface", k)
		}
		host.set(nil)
		time.Sleep(5*time.Second + time.Millisecond)
		if len(n.LinkAddrs()) != 0 || n.Stats().Tables.Neighbours != 0 {
			t.Errorf("links at %v and %d neighbours are left", n.LinkAddrs(), n.Stats().Tables.Neighbours)
		}
		host.set(map[string]netip.Prefix{"eth1": netip.MustParsePrefix("10.0.9.1/8")})
		time.Sleep(10 * time.Second)
		if !reaches(n, other.Primary()) {
			t.Error("the neighbour is not reached again")
		}
	})
}

// On packet radio two idle nodes are silent for most of the time, and keep each
// other nevertheless.
func TestRadioTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		var nodes [2]*mdpconn.Node
		for i, at := range []string{"10.0.9.1/8", "10.0.9.2/8"} {
			host := &fakeHost{addrs: map[string]netip.Prefix{"ax0": netip.MustParsePrefix(at)}}
			nodes[i] = interfaceNode(t, network, host, mdpconn.Interface{Match: "ax0", Type: mdpconn.Radio})
			nodes[i].Announce()
		}
		time.Sleep(time.Minute)
		tape := record(t, network)
		for k := range 10 {
			time.Sleep(time.Minute)
			if !reaches(nodes[0], nodes[1].Primary()) || !reaches(nodes[1], nodes[0].Primary()) {
				t.Fatalf("after %d minutes they do not reach each other", k+1)
			}
		}
		tape.mu.Lock()
		defer tape.mu.Unlock()
		// 40 ticks of each, and 40 records until link state rests; repeated
		// advertisements may add a few.
		if k := len(tape.packets); k < 2*38 || k > 2*120 {
			t.Errorf("%d packets in ten minutes", k)
		}
	})
}

// The second interface and those behind it name themselves in every packet.
func TestInterfaceIndex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		tape := record(t, network)
		host := &fakeHost{addrs: map[string]netip.Prefix{"eth0": netip.MustParsePrefix("10.0.9.1/8")}}
		n := interfaceNode(t, network, host, mdpconn.Interface{Match: "eth*", Type: mdpconn.Ethernet})
		n.Announce()
		host.set(map[string]netip.Prefix{"eth0": netip.MustParsePrefix("10.0.9.1/8"), "eth1": netip.MustParsePrefix("10.0.9.2/8")})
		newRelay(t, network, mdpconn.Config{Announce: mdpconn.AnnounceAlways})
		time.Sleep(10 * time.Second)
		tape.mu.Lock()
		defer tape.mu.Unlock()
		seen := make(map[byte]int)
		for _, p := range tape.packets {
			var packet overlay.Packet
			if err := packet.Parse(p.data, overlay.Context{}); err != nil {
				t.Fatal(err)
			}
			want := byte(0)
			switch p.from.Addr().String() {
			case "10.0.9.1":
			case "10.0.9.2":
				want = 1
			default:
				continue
			}
			if packet.Interface != want {
				t.Fatalf("packet of interface %d from %v, want %d", packet.Interface, p.from, want)
			}
			seen[want]++
		}
		if seen[0] == 0 || seen[1] == 0 {
			t.Errorf("packets by interface: %v", seen)
		}
	})
}

// What goes out under session keys on the second interface arrives, and so do
// notices. The interface's index was written into them: nothing got through once
// there were keys, and a stranger's packet ended the program.
func TestSecondInterfaceUnderSessionKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		host := &fakeHost{addrs: map[string]netip.Prefix{"eth0": netip.MustParsePrefix("10.0.9.1/8")}}
		c := &connected{network: network}
		c.a = interfaceNode(t, network, host, mdpconn.Interface{Match: "eth*", Type: mdpconn.Ethernet})
		host.set(map[string]netip.Prefix{"eth0": netip.MustParsePrefix("10.0.9.1/8"), "eth1": netip.MustParsePrefix("10.0.9.2/8")})
		time.Sleep(6 * time.Second)
		eth0 := c.a.LinkAddrs()[0]
		network.SetDrop(func(e memnet.Event) bool { return e.From == eth0 || e.To == eth0 })
		c.lb = network.Link()
		var err error
		if c.b, err = mdpconn.NewNode(mdpconn.Config{Links: []mdpconn.Link{c.lb}}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.b.Close() })
		c.sa, c.ia = bind(t, c.a, mdpconn.Addr{Port: 1000})
		c.sb, c.ib = bind(t, c.b, mdpconn.Addr{Port: 2000})
		c.a.AddHint(c.b.Primary(), c.lb.LocalAddr())
		c.chat(t, 5*time.Second)
		if quietA, quietB := c.chat(t, 10*time.Second); quietA > 100*time.Millisecond || quietB > 100*time.Millisecond {
			t.Errorf("quiet for %v, %v", quietA, quietB)
		}
		if sent := c.a.Stats().Sessions.Sent; sent < 100 {
			t.Errorf("%d packets under session keys", sent)
		}
		strange := append([]byte{0x4d}, bytes.Repeat([]byte{30}, 40)...)
		tape := record(t, network)
		if _, err := network.Link().WritePackets([]mdpconn.Packet{{Addr: c.a.LinkAddrs()[1], Data: strange}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		tape.mu.Lock()
		defer tape.mu.Unlock()
		if !slices.ContainsFunc(tape.packets, func(p taped) bool { return string(p.data) == "\x4e\x1e\x1e\x1e\x1e" }) {
			t.Error("no notice to a packet of an unknown session")
		}
	})
}
