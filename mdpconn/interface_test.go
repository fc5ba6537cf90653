package mdpconn

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestParseInterface(t *testing.T) {
	for text, want := range map[string]Interface{
		"eth0":               {Match: "eth0"},
		"wlan*:wifi":         {Match: "wlan*"},
		"eth*:ethernet":      {Match: "eth*", Type: Ethernet},
		"192.168.1.7:radio":  {Match: "192.168.1.7", Type: Radio},
		"192.0.2.0/24:":      {},
		"192.0.2.0/24":       {Match: "192.0.2.0/24"},
		"v:ethernet:4111":    {Match: "v", Type: Ethernet, Port: 4111},
		"":                   {},
		":wifi":              {},
		"eth0:cable":         {},
		"eth[":               {},
		"2001:db8::/32":      {},
		"192.0.2.0/33":       {},
		"eth0:wifi:0":        {},
		"eth0:wifi:65536":    {},
		"eth0:wifi:4110:500": {},
	} {
		got, err := ParseInterface(text)
		if got != want {
			t.Errorf("%q is %+v, want %+v", text, got, want)
		}
		if (err != nil) != (want == Interface{}) {
			t.Errorf("%q: error %v", text, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "expected") || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%q: error %q", text, err)
		}
		if err == nil {
			if again, err := ParseInterface(got.String()); again != got || err != nil {
				t.Errorf("%q: %v is read back as %+v, %v", text, got, again, err)
			}
		}
	}
}

// hostAt makes an address of a host with broadcasts.
func hostAt(name, network string) hostAddr {
	return hostAddr{name, netip.MustParsePrefix(network), true}
}

func TestChooseAddrs(t *testing.T) {
	host := []hostAddr{
		hostAt("lo", "127.0.0.1/8"), hostAt("eth0", "192.0.2.7/24"), hostAt("eth0", "198.51.100.1/24"),
		hostAt("eth1", "203.0.113.9/24"), hostAt("wlan0", "10.1.2.3/8"),
	}
	for _, c := range []struct{ specs, want string }{
		{"eth0", "192.0.2.7 wifi, 198.51.100.1 wifi"},
		{"eth*:ethernet", "192.0.2.7 ethernet, 198.51.100.1 ethernet, 203.0.113.9 ethernet"},
		{"203.0.113.9:radio", "203.0.113.9 radio"},
		{"192.0.2.0/24:ethernet", "192.0.2.7 ethernet"},
		{"10.1.0.0/16", "10.1.2.3 wifi"},
		{"192.0.2.7:radio eth*:ethernet", "192.0.2.7 radio, 198.51.100.1 ethernet, 203.0.113.9 ethernet"},
		{"eth7 192.0.2.8", ""},
		{"[lw]*", "127.0.0.1 wifi, 10.1.2.3 wifi"},
	} {
		var specs []Interface
		for _, s := range strings.Fields(c.specs) {
			i, err := ParseInterface(s)
			if err != nil {
				t.Fatal(err)
			}
			specs = append(specs, i)
		}
		var got []string
		for _, a := range chooseAddrs(specs, host) {
			got = append(got, fmt.Sprint(a.network.Addr(), " ", a.spec.Type))
		}
		if g := strings.Join(got, ", "); g != c.want {
			t.Errorf("%s chooses %s, want %s", c.specs, g, c.want)
		}
	}
}

func TestInterfaceTiming(t *testing.T) {
	for _, c := range []struct {
		spec      Interface
		tick      time.Duration
		reachable time.Duration
		most      int
		window    time.Duration
	}{
		{Interface{}, 500 * time.Millisecond, 2500 * time.Millisecond, 7, 5600 * time.Microsecond},
		{Interface{Type: Ethernet}, 500 * time.Millisecond, 2500 * time.Millisecond, 51, 5100 * time.Microsecond},
		{Interface{Type: Radio}, 15 * time.Second, 75 * time.Second, 6, 6 * time.Millisecond},
		{Interface{Tick: time.Second, PacketInterval: time.Second}, time.Second, 5 * time.Second, 1, time.Second},
	} {
		got := c.spec.timing()
		p := got.pace()
		if got.tick != c.tick || got.reachable() != c.reachable || p.most != c.most || p.window != c.window {
			t.Errorf("%+v: tick %v, reachable %v, %d packets in %v; want %v, %v, %d, %v", c.spec,
				got.tick, got.reachable(), p.most, p.window, c.tick, c.reachable, c.most, c.window)
		}
	}
}
