package stocktest

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mesh.example/msp/engine/msp"
	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/overlay"
	"mesh.example/msp/mdpconn/servald"
)

// A Record is what was captured between the nodes A, B, C and N.
type Record struct {
	Identities map[string]*mdpconn.Identity // C2 is the second identity of C
	Packets    []Packet                     // in order of capture within a link
}

// A Packet is one recorded UDP packet.
type Packet struct {
	N              int
	Scenario, Link string
	From           string        // the node that sent it
	Broadcast      bool          // it went to everybody on the link
	At             time.Duration // since the link's capture began
	Data           []byte
}

// A Session is what passed between stock's MSP programs and their daemons.
type Session struct {
	Name    string
	Clients map[string][]Datagram // in order
}

// A Datagram is one message between a client and its daemon.
type Datagram struct {
	Sent bool          // by the client
	At   time.Duration // since the session began
	servald.Message
}

// ReadRecord reads the recorded packets.
func ReadRecord(t testing.TB) *Record {
	t.Helper()
	var file struct {
		Identities map[string]struct {
			Seed string `json:"sign_seed"`
			SID  string
		}
		Packets []struct {
			N                  int
			Scenario, Link     string
			From, To, Hex      string
			Milliseconds       float64 `json:"t_ms"`
			Src, Dst, Topology string
		}
	}
	readJSON(t, "mdpconn/overlay/testdata/overlay.json", &file)
	r := &Record{Identities: map[string]*mdpconn.Identity{}}
	for name, i := range file.Identities {
		id, err := mdpconn.IdentityFromSeed(unhex(t, i.Seed))
		if err != nil || !strings.EqualFold(id.SID().String(), i.SID) {
			t.Fatalf("identity of %s: %v, %v, recorded is %s", name, id, err, i.SID)
		}
		r.Identities[name] = id
	}
	for _, p := range file.Packets {
		r.Packets = append(r.Packets, Packet{p.N, p.Scenario, p.Link, p.From, p.To == "broadcast", milliseconds(p.Milliseconds), unhex(t, p.Hex)})
	}
	if len(r.Packets) == 0 {
		t.Fatal("no packets are recorded")
	}
	return r
}

// ReadSessions reads the recorded sessions, and the SIDs of the nodes A and B.
func ReadSessions(t testing.TB) (a, b servald.SID, sessions map[string]*Session) {
	t.Helper()
	var file struct {
		A        string `json:"node_A_sid"`
		B        string `json:"node_B_sid"`
		Sessions []struct {
			Name      string
			Endpoints map[string][]struct {
				Direction, Hex string
				Milliseconds   float64 `json:"t_ms"`
			}
		} `json:"msp_sessions"`
	}
	readJSON(t, "mdpconn/servald/testdata/mdp-client.json", &file)
	sessions = map[string]*Session{}
	for _, in := range file.Sessions {
		s := &Session{Name: in.Name, Clients: map[string][]Datagram{}}
		for client, datagrams := range in.Endpoints {
			for _, d := range datagrams {
				m, err := servald.Parse(unhex(t, d.Hex))
				if err != nil {
					t.Fatalf("session %s: %v", in.Name, err)
				}
				s.Clients[client] = append(s.Clients[client], Datagram{d.Direction == "client->daemon", milliseconds(d.Milliseconds), m})
			}
		}
		sessions[s.Name] = s
	}
	return servald.SID(unhex(t, file.A)), servald.SID(unhex(t, file.B)), sessions
}

// sids gives the SIDs of all nodes.
func (r *Record) sids() (all overlay.SIDs) {
	for _, name := range slices.Sorted(maps.Keys(r.Identities)) {
		all = append(all, overlay.SID(r.Identities[name].SID()))
	}
	return all
}

// SID gives the SID of a node.
func (r *Record) SID(node string) mdpconn.SID { return r.Identities[node].SID() }

// all gives the identities of all nodes.
func (r *Record) all() []*mdpconn.Identity {
	return slices.Collect(maps.Values(r.Identities))
}

// readJSON reads a file of this module; tests run in the directory of their
// package.
func readJSON(t testing.TB, path string, v any) {
	t.Helper()
	root := "."
	for range 8 {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		root = filepath.Join(root, "..")
	}
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func milliseconds(ms float64) time.Duration {
	return time.Duration(ms * float64(time.Millisecond))
}

// open reads a recorded packet with everybody's keys.
func (r *Record) open(packet *Packet) ([]Heard, error) {
	ctx := overlay.Context{Resolver: r.sids()}
	if packet.Scenario == "point_to_point_link" {
		ends := map[string]string{"B": "C", "C": "B"}
		ctx.Transmitter, ctx.Receiver = overlay.SID(r.SID(packet.From)), overlay.SID(r.SID(ends[packet.From]))
	}
	var p overlay.Packet
	if err := p.Parse(packet.Data, ctx); err != nil {
		return nil, err
	}
	var heard []Heard
	for pl := (overlay.Payload{}); p.Next(&pl); {
		h := Heard{Payload: pl}
		if pl.Type == overlay.TypeData {
			if err := r.openData(&h); err != nil {
				return nil, err
			}
		}
		heard = append(heard, h)
	}
	return heard, p.Err()
}

func (r *Record) openData(h *Heard) (err error) {
	if h.Mode, err = h.Flags.Mode(); err != nil {
		return err
	}
	plain := h.Body
	switch h.Mode {
	case overlay.ModeCiphered:
		key := sharedKey(r.all(), h.Source.SID, h.Destination.SID)
		if key == nil {
			return fmt.Errorf("no key of %v and %v", h.Source, h.Destination)
		}
		plain, err = overlay.OpenBody(nil, key, h.Body)
	case overlay.ModeSigned:
		plain, _, err = overlay.SplitSigned(h.Body)
	}
	if err == nil {
		h.Ports, h.Data, err = overlay.ParsePorts(plain)
	}
	return err
}

// Said gives what a node says in a recorded stream, from port to port.
func (r *Record) Said(t testing.TB, scenario, from, to string, fromPort, toPort uint32) []byte {
	t.Helper()
	s := NewStream()
	want := stream{overlay.SID(r.SID(from)), overlay.SID(r.SID(to)), fromPort, toPort}
	for i := range r.Packets {
		if r.Packets[i].Scenario != scenario {
			continue
		}
		heard, err := r.open(&r.Packets[i])
		if err != nil {
			t.Fatal(err)
		}
		for k := range heard {
			if m, ok := heard[k].MSP(); ok && heard[k].stream() == want {
				s.Hear(m)
			}
		}
	}
	if len(s.Messages) == 0 {
		t.Fatalf("%s says nothing to %s in %s", from, to, scenario)
	}
	return s.Bytes()
}

// Said gives what a recorded client says on its connection.
func (s *Session) Said(client string) []byte {
	said := NewStream()
	for _, d := range s.Clients[client] {
		if p, err := msp.ParsePacket(d.Payload); err == nil && d.Sent {
			said.Hear(p)
		}
	}
	return said.Bytes()
}
