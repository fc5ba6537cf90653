package servaldtest

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"mesh.example/msp/mdpconn/servald"
)

// Recorded is ../testdata/mdp-client.json.
type recorded struct {
	A        string `json:"node_A_sid"`
	B        string `json:"node_B_sid"`
	APICases []struct {
		Name      string
		Datagrams []recordedDatagram
	} `json:"api_cases"`
	Sessions []struct {
		Name      string
		Endpoints map[string][]recordedDatagram
	} `json:"msp_sessions"`
}

type recordedDatagram struct {
	T         float64 `json:"t_ms"`
	Direction string
	Hex       string
	Note      string
	Route     *struct{} `json:"route_record"`

	client string // which of the clients
}

func (d *recordedDatagram) bytes(t *testing.T) []byte {
	t.Helper()
	b, err := hex.DecodeString(d.Hex)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readRecorded(t *testing.T) *recorded {
	t.Helper()
	switch {
	case runtime.GOOS == "windows":
		t.Skip("this system has no unixgram sockets")
	case binary.NativeEndian.Uint16([]byte{1, 0}) != 1:
		t.Skip("the recorded ports are little-endian, this host's are not")
	}
	b, err := os.ReadFile("../testdata/mdp-client.json")
	if err != nil {
		t.Fatal(err)
	}
	r := new(recorded)
	if err := json.Unmarshal(b, r); err != nil {
		t.Fatal(err)
	}
	return r
}

func sidOf(t *testing.T, text string) servald.SID {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 32 {
		t.Fatalf("SID %q", text)
	}
	return servald.SID(b)
}

// A replay plays recorded clients against daemons A and B.
type replay struct {
	t       *testing.T
	daemons map[string]*Daemon
	clients map[string]*net.UnixConn
	deaf    string // a client of which nothing that it got was recorded
}

func newReplay(t *testing.T, file *recorded) *replay {
	t.Helper()
	mesh := NewMesh()
	t.Cleanup(mesh.Close)
	r := &replay{t: t, daemons: map[string]*Daemon{}, clients: map[string]*net.UnixConn{}}
	for name, sid := range map[string]string{"A": file.A, "B": file.B} {
		d, err := mesh.Start(sidOf(t, sid))
		if err != nil {
			t.Fatal(err)
		}
		r.daemons[name] = d
	}
	return r
}

// client gives the socket of a client of a daemon.
func (r *replay) client(daemon, name string) *net.UnixConn {
	r.t.Helper()
	if c := r.clients[name]; c != nil {
		return c
	}
	d := r.daemons[daemon]
	local, err := servald.ClientName(d.Socket, strings.ReplaceAll(name, " ", "-"))
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := net.DialUnix("unixgram", &net.UnixAddr{Name: local, Net: "unixgram"}, &net.UnixAddr{Name: d.Socket, Net: "unixgram"})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	r.clients[name] = c
	return c
}

// play plays datagrams in order, and wants the daemon's to be as recorded.
func (r *replay) play(daemonOf func(client string) string, datagrams []recordedDatagram) {
	r.t.Helper()
	for i := range datagrams {
		d := &datagrams[i]
		c := r.client(daemonOf(d.client), d.client)
		if d.Direction == "client->daemon" {
			if _, err := c.Write(d.bytes(r.t)); err != nil {
				r.t.Fatalf("datagram %d (%s): %v", i, d.Note, err)
			}
			continue
		}
		got, want := r.read(c), d.bytes(r.t)
		if string(got) != string(want) {
			r.t.Fatalf("datagram %d, to %s (%s): the daemon sent\n%x, want\n%x", i, d.client, d.Note, got, want)
		}
	}
	for name, c := range r.clients {
		if name != r.deaf {
			r.wantSilence(name, c)
		}
	}
}

func (r *replay) read(c *net.UnixConn) []byte {
	r.t.Helper()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, 2000)
	n, err := c.Read(b)
	if err != nil {
		r.t.Fatalf("the daemon sent nothing: %v", err)
	}
	return b[:n]
}

// wantSilence asks for an unknown command: nothing may come before its answer.
func (r *replay) wantSilence(name string, c *net.UnixConn) {
	r.t.Helper()
	fence := servald.Message{RemotePort: 99}
	if _, err := c.Write(fence.AppendAny(nil)); err != nil {
		r.t.Fatal(err)
	}
	if m, err := servald.Parse(r.read(c)); err != nil || m.RemotePort != 99 || m.Flags != servald.Error {
		r.t.Errorf("client %s got %v, %v more than was recorded", name, &m, err)
	}
}

// firstPorts are the ports that the recorded daemons gave next.
var firstPorts = map[string]uint32{
	"bind_auto": 265, "bind_and_send": 266,
	"hello": 260, "bulk_20kB": 261, "refused_no_binding": 262, "refused_stop": 263, "peer_vanishes": 265,
}

// The client side of every recorded case, replayed: the daemon answers as
// recorded.
func TestRecordedCases(t *testing.T) {
	file := readRecorded(t)
	for _, c := range file.APICases {
		t.Run(c.Name, func(t *testing.T) {
			r := newReplay(t, file)
			a := r.daemons["A"]
			if p := firstPorts[c.Name]; p != 0 {
				a.SetNextPort(p)
			}
			var routes []servald.Route
			for i := range c.Datagrams {
				d := &c.Datagrams[i]
				d.client = "1"
				if c.Name == "bind_conflict" && (strings.Contains(d.Note, "client 2") || i == 7 || i > 2 && d.Direction != "client->daemon") {
					d.client = "2"
				}
				if d.Route != nil {
					route, err := servald.ParseRoute(d.bytes(t)[servald.HeaderLen:])
					if err != nil {
						t.Fatal(err)
					}
					routes = append(routes, route)
				}
			}
			a.SetRoutes(routes)
			r.play(func(string) string { return "A" }, c.Datagrams)
			for _, d := range r.daemons {
				if d.Ended() != "" {
					t.Errorf("a daemon was ended by %s", d.Ended())
				}
			}
			// All but the short datagram end by releasing everything, or bind nothing.
			if b := a.Bindings(); len(b) > 0 {
				t.Errorf("left bound: %v", b)
			}
		})
	}
}

// vanishing makes the datagrams of the listener that was killed, of which only
// what arrived was recorded.
func vanishing(t *testing.T, of []recordedDatagram) []recordedDatagram {
	t.Helper()
	made := func(at float64, m *servald.Message) recordedDatagram {
		return recordedDatagram{T: at, Direction: "client->daemon", Hex: hex.EncodeToString(m.AppendAny(nil)), client: "listener (node B)"}
	}
	var all []recordedDatagram
	for _, d := range of {
		m, err := servald.Parse(d.bytes(t))
		if err != nil {
			t.Fatal(err)
		}
		if d.Direction == "daemon->client" && m.Flags == 0 {
			m.LocalSID, m.LocalPort, m.RemoteSID, m.RemotePort = m.RemoteSID, m.RemotePort, m.LocalSID, m.LocalPort
			all = append(all, made(d.T-1, &m))
		}
	}
	bind := servald.Message{LocalPort: 515, Flags: servald.Bind}
	bound := bind
	bound.LocalSID = sidOf(t, readRecorded(t).B)
	answer := made(-1, &bound)
	answer.Direction = "daemon->client"
	end := made(2000, &servald.Message{Flags: servald.Close})
	return append([]recordedDatagram{made(-2, &bind), answer, end}, all...)
}

// Both ends of every recorded session, replayed: each gets from its daemon what
// was recorded.
func TestRecordedSessions(t *testing.T) {
	file := readRecorded(t)
	for _, s := range file.Sessions {
		t.Run(s.Name, func(t *testing.T) {
			r := newReplay(t, file)
			r.daemons["A"].SetNextPort(firstPorts[s.Name])
			var all []recordedDatagram
			for name, datagrams := range s.Endpoints {
				for _, d := range datagrams {
					d.client = name
					all = append(all, d)
				}
			}
			if s.Name == "peer_vanishes" {
				all = append(all, vanishing(t, all)...)
				r.deaf = "listener (node B)"
			}
			slices.SortStableFunc(all, func(a, b recordedDatagram) int { return cmp.Compare(a.T, b.T) })
			r.play(func(client string) string {
				if strings.Contains(client, "node B") {
					return "B"
				}
				return "A"
			}, all)
		})
	}
}
