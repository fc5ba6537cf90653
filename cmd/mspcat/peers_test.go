package main

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/servald"
	"mesh.example/msp/mdpconn/servald/servaldtest"
)

// wantFields finds the line of a table that begins with a word, and compares its
// first fields.
func wantFields(t *testing.T, table string, want ...string) {
	t.Helper()
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) >= len(want) && f[0] == want[0] {
			if got := f[:len(want)]; !reflect.DeepEqual(got, want) {
				t.Errorf("line %q, want %q", got, want)
			}
			return
		}
	}
	t.Errorf("no line of %q in:\n%s", want[0], table)
}

// Who announces itself is a neighbour, found without a hint.
func TestPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{Impairment: memnet.Impairment{Delay: time.Millisecond}})
		node := func(config mdpconn.Config) *mdpconn.Node {
			config.Links = []mdpconn.Link{network.Link()}
			n, err := mdpconn.NewNode(config)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { n.Close() })
			return n
		}
		sid := node(mdpconn.Config{Announce: mdpconn.AnnounceAlways}).Primary()
		print := func(asJSON bool) string {
			var stdout, stderr bytes.Buffer
			p := &program{stdout: &stdout, stderr: &stderr}
			ints := &interrupts{first: make(chan struct{})}
			if err := p.listPeers(node(mdpconn.Config{Relay: mdpconn.RelayOff}), &options{wait: peersWait}, ints, asJSON); err != nil || stderr.Len() > 0 {
				t.Errorf("%v, stderr %q", err, &stderr)
			}
			return stdout.String()
		}

		table := print(false)
		wantFields(t, table, "SID", "HOPS", "NEXT", "HOP", "ENDPOINT", "HEARD", "RTT")
		wantFields(t, table, sid.String(), "1", "direct")
		wantFields(t, table, "TABLE", "ENTRIES", "LIMIT")
		for _, name := range []string{"peers", "strangers", "hints", "neighbours", "routes"} {
			wantFields(t, table, name)
		}

		out, found := print(true), false
		for line := range strings.Lines(out) {
			var row peerRow
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if row.SID == sid {
				found = true
				if row.Hops != 1 || row.NextHop != row.SID || !row.Endpoint.IsValid() || row.Heard.IsZero() || row.RTT <= 0 {
					t.Errorf("row %+v of a neighbour lacks something", row)
				}
			}
		}
		if !found || !strings.Contains(out, `{"tables":{`) {
			t.Errorf("--json lacks the neighbour, or the tables:\n%s", out)
		}
	})
}

// An interface that is not there may come; meanwhile there is nobody.
func TestPeersNoInterface(t *testing.T) {
	status, stdout, stderr := runHere("", "peers", "-w", "100ms", "--interface", "nonesuch*:radio")
	if status != 0 || !strings.HasPrefix(stdout, "TABLE") {
		t.Errorf("status %d, stdout %q", status, stdout)
	}
	const want = "mspcat: no interface of this host is nonesuch*:radio: waiting for one\nmspcat: no peers: heard nobody in 100ms\n"
	if stderr != want {
		t.Errorf("stderr %q, want %q", stderr, want)
	}
}

// Through a daemon it is the daemon's route table.
func TestPeersViaServald(t *testing.T) {
	t.Parallel()
	daemons, flags := viaServald(t)
	near, far := servaldtest.RandomSID(), servaldtest.RandomSID()
	daemons[0].SetRoutes([]servald.Route{
		{SID: near, Reach: servald.ByUnicast, Hops: 1, NextHop: near},
		{SID: far, Reach: servald.Indirect, Hops: 3, NextHop: near},
		{SID: servaldtest.RandomSID()},
	})
	p := start(t, "peers", flags[0])
	table := string(p.readAll())
	p.wantStatus("printed", 0)
	wantFields(t, table, mdpconn.SID(near).String(), "1", "direct", "-", "-", "-")
	wantFields(t, table, mdpconn.SID(far).String(), "3", mdpconn.SID(near).String(), "-", "-", "-")

	daemons[0].SetRoutes([]servald.Route{{SID: servaldtest.RandomSID()}})
	p = start(t, "peers", flags[0])
	wantFields(t, string(p.readAll()), "TABLE")
	p.waitLine("no peers: servald reaches nobody")
	p.wantStatus("nobody is no failure", 0)
}

func TestPrintPeers(t *testing.T) {
	near, far := mdpconn.SID{31: 1}, mdpconn.SID{0: 2}
	now := time.Unix(1000, 0)
	at := netip.MustParseAddrPort("192.0.2.1:4110")
	got := string(printPeers([]peerRow{
		{near, 1, near, at, now.Add(-1234 * time.Millisecond), 0.0123},
		{far, 2, near, at, now, 0},
	}, mdpconn.TableStats{Peers: 1, PeersLimit: 4096}, now))
	wantFields(t, got, "hints", "0", "-") // no limit, no table
	wantFields(t, got, near.String(), "1", "direct", "192.0.2.1:4110", "1.2s", "ago", "12.3ms")
	wantFields(t, got, far.String(), "2", near.String(), "192.0.2.1:4110", "0s", "ago", "-")
	wantFields(t, got, "peers", "1", "4096")
}

// Every table that has a limit is printed.
func TestPeersPrintsAllLimits(t *testing.T) {
	var tables mdpconn.TableStats
	v, limits := reflect.ValueOf(&tables).Elem(), 0
	for i := range v.NumField() {
		if strings.HasSuffix(v.Type().Field(i).Name, "Limit") {
			limits++
		}
	}
	if got := len(tableRows(tables)); got != limits {
		t.Errorf("%d tables are printed, %d have a limit", got, limits)
	}
}
