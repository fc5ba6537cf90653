package servald

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
)

// The vec types mirror testdata/mdp-client.json.

type vecFile struct {
	APICases []struct {
		Name      string
		Datagrams []vecDatagram
	} `json:"api_cases"`
	Sessions []struct {
		Name      string
		Endpoints map[string][]vecDatagram
	} `json:"msp_sessions"`
}

type vecDatagram struct {
	Direction string
	Hex       string
	Header    *vecHeader
	Route     *vecRoute `json:"route_record"`
}

type vecHeader struct {
	LocalSID   string   `json:"local_sid"`
	LocalPort  uint32   `json:"local_port"`
	RemoteSID  string   `json:"remote_sid"`
	RemotePort uint32   `json:"remote_port"`
	Flags      byte     `json:"flags"`
	FlagNames  []string `json:"flag_names"`
	QoS        byte
	TTL        byte
	PayloadLen int `json:"payload_len"`
}

type vecRoute struct {
	SID       string
	IDFlags   byte     `json:"id_flags"`
	SignKey   string   `json:"sign_public_key"`
	Reachable byte     `json:"reachable"`
	Names     []string `json:"reachable_names"`
	HopCount  int      `json:"hop_count"`
	NextHop   string   `json:"next_hop"`
	PriorHop  string   `json:"prior_hop"`
	Index     byte     `json:"interface_index"`
	State     byte     `json:"interface_state"`
	Interface string   `json:"interface_name"`
}

// eachVector calls f for every recorded datagram.
func eachVector(t testing.TB, f func(where string, d *vecDatagram)) {
	t.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the recorded ports are little-endian, this host's are not")
	}
	b, err := os.ReadFile("testdata/mdp-client.json")
	if err != nil {
		t.Fatal(err)
	}
	var file vecFile
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	for _, c := range file.APICases {
		for i := range c.Datagrams {
			f(fmt.Sprintf("%s %d", c.Name, i), &c.Datagrams[i])
		}
	}
	for _, s := range file.Sessions {
		for name, datagrams := range s.Endpoints {
			for i := range datagrams {
				f(fmt.Sprintf("%s %s %d", s.Name, name, i), &datagrams[i])
			}
		}
	}
}

func (d *vecDatagram) bytes(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(d.Hex)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// refused are the recorded datagrams of clients that Append refuses: the daemon
// did too.
var refused = []string{"send_and_receive 10", "send_and_receive 14", "broadcast 5", "unknown_command 0"}

func TestRecordedDatagrams(t *testing.T) {
	n, routes := 0, 0
	eachVector(t, func(where string, d *vecDatagram) {
		n++
		b := d.bytes(t)
		m, err := Parse(b)
		if d.Header == nil {
			if err == nil {
				t.Errorf("%s: %d bytes were decoded, want an error", where, len(b))
			}
			return
		}
		if err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
		got := vecHeader{hex.EncodeToString(m.LocalSID[:]), m.LocalPort, hex.EncodeToString(m.RemoteSID[:]), m.RemotePort,
			byte(m.Flags), d.Header.FlagNames, m.Queue, m.TTL, len(m.Payload)}
		if fmt.Sprint(got) != fmt.Sprint(*d.Header) {
			t.Errorf("%s: decoded\n%v, want\n%v", where, got, *d.Header)
		}
		wantNames(t, where, m.Flags, d.Header.FlagNames)
		if again := m.AppendAny(nil); string(again) != string(b) {
			t.Errorf("%s: encoded again\n%x, want\n%x", where, again, b)
		}
		if d.Direction == "client->daemon" {
			again, err := m.Append([]byte{1})
			switch {
			case slices.Contains(refused, where):
				if err == nil || len(again) != 1 {
					t.Errorf("%s: Append gave %x, %v, want an error", where, again, err)
				}
			case err != nil || string(again[1:]) != string(b):
				t.Errorf("%s: Append gave %x, %v, want\n%x", where, again, err, b)
			}
		}
		if d.Route != nil {
			routes++
			wantRoute(t, where, m.Payload, d.Route)
		}
	})
	if n != 241 || routes != 8 {
		t.Errorf("%d datagrams with %d route records, want 241 and 8", n, routes)
	}
	t.Logf("checked %d datagrams with %d route records, both ways", n, routes)
}

func wantNames(t *testing.T, where string, f Flags, names []string) {
	t.Helper()
	want := "0"
	for i, name := range names {
		if i == 0 {
			want = name
		} else {
			want += "|" + name
		}
	}
	if f.String() != want {
		t.Errorf("%s: flags %v, want %s", where, f, want)
	}
}

func wantRoute(t *testing.T, where string, b []byte, want *vecRoute) {
	t.Helper()
	r, err := ParseRoute(b)
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	text := func(k [32]byte) string {
		if k == (SID{}) {
			return ""
		}
		return hex.EncodeToString(k[:])
	}
	got := vecRoute{SID: text(r.SID), Reachable: byte(r.Reach), Names: want.Names, HopCount: r.Hops,
		NextHop: text(r.NextHop), PriorHop: text(r.LastHop)}
	if r.SignKey != nil {
		got.SignKey = text(*r.SignKey)
		got.IDFlags |= 1
	}
	if r.Combined {
		got.IDFlags |= 2
	}
	if r.Interface != nil {
		got.Index, got.Interface = r.Interface.Index, r.Interface.Name
		if r.Interface.Up {
			got.State = 1
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(*want) {
		t.Errorf("%s: decoded\n%v, want\n%v", where, got, *want)
	}
	if again := r.Append(nil); string(again) != string(b) {
		t.Errorf("%s: encoded again\n%x, want\n%x", where, again, b)
	}
}
