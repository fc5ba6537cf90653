package main

import (
	"net/netip"
	"testing"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mspnet"
)

func TestConnectLine(t *testing.T) {
	sid, err := mdpconn.ParseSID(testSID)
	if err != nil {
		t.Fatal(err)
	}
	addr := mspnet.Addr{Addr: mdpconn.Addr{SID: sid, Port: 7000}}
	for _, test := range []struct{ name, udp, want string }{
		{"mspcat", "192.0.2.1:4110", "mspcat connect " + testSID + " 7000 --peer udp:192.0.2.1:4110"},
		{"./my mspcat", "[::1]:9", "'./my mspcat' connect " + testSID + " 7000 --peer 'udp:[::1]:9'"},
		{"mspcat", "", "mspcat connect " + testSID + " 7000"},
		{"/tmp/go-build123/b001/exe/mspcat", "", "go run mesh.example/msp/cmd/mspcat connect " + testSID + " 7000"},
		{"/tmp/go-build123/b001/mspcat.test", "", "/tmp/go-build123/b001/mspcat.test connect " + testSID + " 7000"},
	} {
		addr.UDP = netip.AddrPort{}
		if test.udp != "" {
			addr.UDP = netip.MustParseAddrPort(test.udp)
		}
		p := &program{name: test.name}
		if got := p.connectLine(addr, new(via)); got != test.want {
			t.Errorf("got %s\nwant %s", got, test.want)
		}
	}
}

func TestShellQuote(t *testing.T) {
	for in, want := range map[string]string{
		"/a/b-c_d.e": "/a/b-c_d.e",
		"a b":        "'a b'",
		"it's":       `'it'\''s'`,
		"$HOME":      "'$HOME'",
	} {
		if got := shellQuote(in); got != want {
			t.Errorf("shellQuote(%q) = %s, want %s", in, got, want)
		}
	}
}
