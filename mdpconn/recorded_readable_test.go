package mdpconn_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
)

// TestRecordedReadable plays what stock node A sent in the clear to a node with
// the key of B: a broadcast of one hop reaches the socket that accepts it, and a
// question for services is answered in the bytes of B's own application.
func TestRecordedReadable(t *testing.T) {
	b, err := os.ReadFile("overlay/testdata/overlay.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Identities map[string]struct {
			SID      string
			SignSeed string `json:"sign_seed"`
		}
		Packets []struct {
			N   int
			Hex string
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	recorded := func(n int) []byte {
		for _, p := range file.Packets {
			if p.N == n {
				data, _ := hex.DecodeString(p.Hex)
				return data
			}
		}
		t.Fatalf("no packet %d", n)
		return nil
	}
	seed, _ := hex.DecodeString(file.Identities["B"].SignSeed)
	id, err := mdpconn.IdentityFromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	a, err := mdpconn.ParseSID(file.Identities["A"].SID)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		n, l := newNode(t, network, mdpconn.Config{Identities: []*mdpconn.Identity{id}})
		in := accepting(t, n, 18, mdpconn.AcceptPlain|mdpconn.AcceptBroadcasts)
		defer n.Announce()()
		register(t, n, "demo", 520)
		other := network.Link()
		other.Unguard()
		defer other.Close()
		tp := record(t, network)
		play := func(data []byte) {
			network.Inject(other.LocalAddr(), l.LocalAddr(), data)
			time.Sleep(time.Second)
		}
		play(tickOf(a)) // it names A in full
		play(recorded(178))
		got := in.want(t, "a broadcast of one hop", "\x80\x41\x00\x00\x00\x00\x00\x00\x00\x00")
		if d := got[0]; !d.Broadcast || d.Mode != mdpconn.Plain || d.Remote != (mdpconn.Addr{SID: a, Port: 18}) || d.Local != (mdpconn.Addr{SID: n.Primary(), Port: 18}) {
			t.Errorf("got %+v", d)
		}
		tp.take(anywhere, anywhere)
		play(recorded(176))
		var want, answer overlay.Packet
		var theirs, ours overlay.Payload
		known := overlay.SIDs{overlay.SID(a), overlay.SID(n.Primary())}
		if err := want.Parse(recorded(177), overlay.Context{Resolver: known}); err != nil || !want.Next(&theirs) {
			t.Fatal(err)
		}
		answered := false
		for _, p := range tp.take(l.LocalAddr(), other.LocalAddr()) {
			if answer.Parse(p.data, overlay.Context{Resolver: known}) != nil {
				continue
			}
			for answer.Next(&ours) {
				answered = answered || bytes.Equal(ours.Body, theirs.Body)
			}
		}
		if !answered {
			t.Errorf("the question was not answered by %q", theirs.Body)
		}
	})
}
