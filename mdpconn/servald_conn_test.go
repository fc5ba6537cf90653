package mdpconn_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/servald"
	"mesh.example/msp/mdpconn/servald/servaldtest"
)

// Nobody but the daemon gets something in: on Linux the kernel refuses it,
// elsewhere the node drops and counts it.
func TestServaldForeign(t *testing.T) {
	d := onServald(t, 1)[0]
	n := servaldNode(t, d, "mine")
	s, in := bind(t, n, mdpconn.Addr{Port: 80})
	name, _ := servald.ClientName(d.Socket, "mine")
	foreign, _ := servald.ClientName(d.Socket, "foreign")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: foreign, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m := servald.Message{LocalSID: servald.SID(s.LocalAddr().SID), LocalPort: 80, RemoteSID: servaldtest.RandomSID(), RemotePort: 1, Payload: []byte("forged")}
	_, err = c.WriteToUnix(m.AppendAny(nil), &net.UnixAddr{Name: name, Net: "unixgram"})
	send(t, n, s.LocalAddr(), s.LocalAddr(), "true")
	if got := take(t, "the daemon's", in); string(got.Data) != "true" {
		t.Errorf("got %q", got.Data)
	}
	if foreign := n.Stats().Servald.Foreign; !errors.Is(err, syscall.EPERM) && foreign != 1 {
		t.Errorf("sent with %v, %d counted, want EPERM or 1", err, foreign)
	}
}

// The daemon side of every recorded datagram, played to our client: data that is
// enciphered and not a broadcast reaches the handler of its port, the rest
// nobody.
func TestServaldRecorded(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("this system has no unixgram sockets")
	}
	b, err := os.ReadFile("servald/testdata/mdp-client.json")
	if err != nil {
		t.Fatal(err)
	}
	type datagram struct{ Direction, Hex string }
	var file struct {
		APICases []struct{ Datagrams []datagram }            `json:"api_cases"`
		Sessions []struct{ Endpoints map[string][]datagram } `json:"msp_sessions"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	var all []servald.Message
	add := func(ds []datagram) {
		for _, d := range ds {
			raw, _ := hex.DecodeString(d.Hex)
			if m, err := servald.Parse(raw); err == nil && d.Direction == "daemon->client" {
				all = append(all, m)
			}
		}
	}
	for _, c := range file.APICases {
		add(c.Datagrams)
	}
	for _, s := range file.Sessions {
		for _, ds := range s.Endpoints {
			add(ds)
		}
	}

	// A hand-driven daemon whose identities are those of both recorded ones.
	var own []servald.SID
	ports := map[mdpconn.Addr]inbox{}
	for _, m := range all {
		if m.LocalSID != servald.Internal && m.LocalSID != servald.Broadcast && !slices.Contains(own, m.LocalSID) {
			own = append(own, m.LocalSID)
		}
		if m.Flags == 0 && !m.IsCommand() {
			ports[mdpconn.Addr{SID: mdpconn.SID(m.LocalSID), Port: mdpconn.Port(m.LocalPort)}] = newInbox()
		}
	}
	mesh := servaldtest.NewMesh()
	defer mesh.Close()
	d, err := mesh.Start(own...)
	if err != nil {
		t.Fatal(err)
	}
	n := servaldNode(t, d, "recorded")
	for a, in := range ports {
		if _, err := n.Bind(a, in); err != nil {
			t.Fatal(err)
		}
	}
	delivered := 0
	for i := range all {
		m := &all[i]
		if err := d.Send("recorded", m); err != nil {
			t.Fatal(err)
		}
		if m.Flags != 0 || m.IsCommand() || m.LocalSID == servald.Broadcast {
			continue
		}
		delivered++
		local := mdpconn.Addr{SID: mdpconn.SID(m.LocalSID), Port: mdpconn.Port(m.LocalPort)}
		got := take(t, m.String(), ports[local])
		if got.Local != local || got.Remote != (mdpconn.Addr{SID: mdpconn.SID(m.RemoteSID), Port: mdpconn.Port(m.RemotePort)}) ||
			string(got.Data) != string(m.Payload) || got.TTL != m.TTL || byte(got.Queue) != m.Queue {
			t.Errorf("got %q from %v for %v, want %v", got.Data, got.Remote, got.Local, m)
		}
		got.Release()
	}
	if len(all) != 105 || delivered != 58 {
		t.Errorf("%d datagrams of the daemon, %d of them delivered, want 105 and 58", len(all), delivered)
	}
	for a, in := range ports {
		if len(in) > 0 {
			t.Errorf("%v got more than its own", a)
		}
	}
	// After all these answers that nobody asked for, asking still works.
	if _, err := n.Bind(mdpconn.Addr{Port: 9999}, newInbox()); err != nil {
		t.Error(err)
	}
	if s := n.Stats(); s.Servald.Refused == 0 || s.Dropped.Plain == 0 {
		t.Errorf("stats %+v", s)
	}
}
