package mspnet

import (
	"net/netip"
	"strings"
	"testing"

	"mesh.example/msp/mdpconn"
)

// someSID is a valid SID: the base point 9 is not, so a key of a fixed seed.
var someSID = func() mdpconn.SID {
	id, err := mdpconn.IdentityFromSeed(make([]byte, mdpconn.SeedSize))
	if err != nil {
		panic(err)
	}
	return id.SID()
}()

func TestParseDial(t *testing.T) {
	sid := someSID.String()
	for _, tt := range []struct {
		in   string
		want target
		err  string // a part of the error; "" means none
	}{
		{sid + ":80", target{addr: mdpconn.Addr{SID: someSID, Port: 80}}, ""},
		{strings.ToLower(sid) + ":2147483647", target{addr: mdpconn.Addr{SID: someSID, Port: mdpconn.MaxPort}}, ""},
		{sid + ":80@10.0.0.1:4110", target{mdpconn.Addr{SID: someSID, Port: 80}, "10.0.0.1:4110"}, ""},
		{sid + ":80@[::1]:4110", target{mdpconn.Addr{SID: someSID, Port: 80}, "[::1]:4110"}, ""},
		{sid + ":80@host.example:4110", target{mdpconn.Addr{SID: someSID, Port: 80}, "host.example:4110"}, ""},
		{":80", target{addr: mdpconn.Addr{Port: 80}}, ""},
		{"", target{}, "expected"},
		{sid, target{}, "expected"},
		{sid + ":", target{}, "port"},
		{sid + ":0", target{}, "port"},
		{sid + ":2147483648", target{}, "port"},
		{sid[:63] + ":80", target{}, "64"},
		{sid[:62] + "zz:80", target{}, "64"},
		{strings.Repeat("f", 64) + ":80", target{}, ""},
		{"*:80", target{}, "SID:port"},
		{"example.com:80", target{}, "64"},
		{sid + ":80@10.0.0.1", target{}, "host:port"},
		{sid + ":80@", target{}, "host:port"},
	} {
		got, err := parseDial(tt.in)
		switch {
		case strings.HasPrefix(tt.in, "ffff"):
			if err == nil {
				t.Errorf("parseDial(%q): no error for a SID that is no key", tt.in)
			}
		case tt.err == "" && (err != nil || got != tt.want):
			t.Errorf("parseDial(%q) = %v, %v, want %v", tt.in, got, err, tt.want)
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("parseDial(%q): error %v, want one with %q", tt.in, err, tt.err)
		case err != nil && (strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), tt.in)):
			t.Errorf("parseDial(%q): error %q does not name the value on one line", tt.in, err)
		}
	}
}

func TestParseListen(t *testing.T) {
	sid := someSID.String()
	for _, tt := range []struct {
		in   string
		want target
		ok   bool
	}{
		{"", target{}, true},
		{":80", target{addr: mdpconn.Addr{Port: 80}}, true},
		{":0", target{}, true},
		{"*:80", target{addr: mdpconn.Addr{SID: mdpconn.All, Port: 80}}, true},
		{sid + ":80", target{addr: mdpconn.Addr{SID: someSID, Port: 80}}, true},
		{":80@0.0.0.0:4110", target{mdpconn.Addr{Port: 80}, "0.0.0.0:4110"}, true},
		{"127.0.0.1:0", target{udp: "127.0.0.1:0"}, true},
		{"[::1]:4110", target{udp: "[::1]:4110"}, true},
		{"localhost:4110", target{udp: "localhost:4110"}, true},
		{sid[:60] + ":80", target{}, false},
		{sid + ":x", target{}, false},
		{":80@x", target{}, false},
		{"nonsense", target{}, false},
	} {
		got, err := parseListen(tt.in)
		if (err == nil) != tt.ok || got != tt.want {
			t.Errorf("parseListen(%q) = %v, %v, want %v, ok %v", tt.in, got, err, tt.want, tt.ok)
		}
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{"", ":80", "*:80@h:1", someSID.String() + ":80@10.0.0.1:4110", "127.0.0.1:0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := parseDial(s); err == nil {
			if l, err := parseListen(s); err != nil || l != d {
				t.Errorf("%q can be dialled as %v, but listening on it gives %v, %v", s, d, l, err)
			}
		}
		parseListen(s)
		PeerSID(s)
	})
}

func TestAddrText(t *testing.T) {
	a := Addr{Addr: mdpconn.Addr{SID: someSID, Port: 80}}
	if got, want := a.String(), someSID.String()+":80"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	a.UDP = netip.MustParseAddrPort("10.1.2.3:4110")
	if got, want := a.String(), someSID.String()+":80@10.1.2.3:4110"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if a.Network() != "msp" {
		t.Errorf("network %q", a.Network())
	}
	for text, ok := range map[string]bool{a.String(): true, a.Addr.String(): true, ":80": false, "10.0.0.1:80": false, "": false} {
		if sid, got := PeerSID(text); got != ok || ok && sid != someSID {
			t.Errorf("PeerSID(%q) = %v, %v", text, sid, got)
		}
	}
}

func TestDefaultNode(t *testing.T) {
	ln, err := Listen("msp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	t.Cleanup(func() {
		defaultNode.node.Close()
		defaultNode.node = nil
	})
	if got := ln.Addr().(Addr).UDP; got.Addr() != netip.MustParseAddr("127.0.0.1") || got.Port() == 0 {
		t.Errorf("listening at %v, want a port of 127.0.0.1", got)
	}
	go func() {
		if c, err := ln.Accept(); err == nil {
			c.Write([]byte("x"))
			c.Close()
		}
	}()
	c, err := Dial("msp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := c.Read(make([]byte, 2)); n != 1 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	if err := Drain(t.Context(), nil); err != nil {
		t.Errorf("drain: %v", err)
	}
	if s := StatsOf(nil); s.MSP.Opened != 1 || s.MSP.Accepted != 1 {
		t.Errorf("stats %+v", s.MSP)
	}
}

// The default node reaches addresses of both families.
func TestDefaultNodeDialsIPv6(t *testing.T) {
	node, err := mdpconn.NewNode(mdpconn.Config{UDP: []string{"[::1]:0"}})
	if err != nil {
		t.Skipf("not run: no IPv6 here: %v", err)
	}
	defer node.Close()
	ln, err := (&ListenConfig{Node: node}).Listen(t.Context(), "msp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defaultNode.node.Close()
		defaultNode.node = nil
	})
	c, err := Dial("msp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestUnknownNetwork(t *testing.T) {
	for what, err := range map[string]error{
		"dial udp: unknown network udp":   func() error { _, err := Dial("udp", ":80"); return err }(),
		"listen tcp: unknown network tcp": func() error { _, err := Listen("tcp", ":80"); return err }(),
	} {
		if err == nil || err.Error() != what {
			t.Errorf("got %v, want %s", err, what)
		}
	}
}

// A listener that fails leaves no UDP socket behind.
func TestFailedListenOpensNoSocket(t *testing.T) {
	node, err := mdpconn.NewNode(mdpconn.Config{UDP: []string{"127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	lc := ListenConfig{Node: node}
	ln, err := lc.Listen(t.Context(), "msp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if _, err := lc.Listen(t.Context(), "msp", ":80@127.0.0.1:0"); err == nil {
		t.Error("no error for a port that is taken")
	}
	if n := len(node.LinkAddrs()); n != 1 {
		t.Errorf("%d UDP sockets, want the one of before", n)
	}
}
