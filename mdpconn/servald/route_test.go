package servald

import (
	"bytes"
	"reflect"
	"testing"
)

var someRoutes = []Route{
	{SID: sidA, Reach: Unreachable},
	{SID: sidA, Reach: Self, Combined: true},
	{SID: sidA, Reach: Self, Combined: true, SignKey: &[32]byte{1}, Interface: &Interface{Index: 3, Up: true, Name: "eth0"}},
	{SID: sidB, Reach: ByUnicast, Hops: 1, SignKey: &[32]byte{2}, Interface: &Interface{Name: ""}},
	{SID: sidB, Reach: ByBroadcast, Hops: 1, Interface: &Interface{Up: true, Name: "wlan0"}},
	{SID: sidB, Reach: Indirect, Hops: 2, NextHop: sidA},
	{SID: sidB, Reach: Indirect, Hops: 255, NextHop: sidA, LastHop: SID{9}},
}

func TestRoutes(t *testing.T) {
	for _, r := range someRoutes {
		b := r.Append(nil)
		got, err := ParseRoute(b)
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%v: decoded %v, %v", &r, &got, err)
		}
		behind := 0 // bytes that may be missing: the way of an own or unreachable SID
		if (r.Reach == Self || r.Reach == Unreachable) && r.Interface != nil {
			behind = len(b) - len((&Route{SID: r.SID, SignKey: r.SignKey}).Append(nil))
		}
		for n := range b {
			if _, err := ParseRoute(b[:n]); err == nil && n != len(b)-behind {
				t.Errorf("%v: %d of %d bytes were decoded, want an error", &r, n, len(b))
			}
		}
	}
}

func TestRouteText(t *testing.T) {
	for i, want := range []string{
		"A1000000… unreachable hops=0",
		"A1000000… self hops=0",
		`A1000000… self hops=0 on "eth0"`,
		`B1000000… unicast hops=1 on ""`,
		`B1000000… broadcast hops=1 on "wlan0"`,
		"B1000000… indirect hops=2 via A1000000…",
		"B1000000… indirect hops=255 via A1000000…",
	} {
		if got := someRoutes[i].String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := Reach(3).String(); got != "0x3" {
		t.Errorf("got %s for an unknown reach", got)
	}
}

func FuzzRoute(f *testing.F) {
	eachVector(f, func(_ string, d *vecDatagram) {
		if d.Route != nil {
			f.Add(d.bytes(f)[HeaderLen:])
		}
	})
	for _, r := range someRoutes {
		f.Add(r.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRoute(b)
		if err != nil {
			return
		}
		_ = r.String()
		again := r.Append(nil)
		if len(again) > len(b)+2 { // an own SID's hop count without an interface
			t.Fatalf("%x grew to %x", b, again)
		}
		r2, err := ParseRoute(again)
		if err != nil || !bytes.Equal(r2.Append(nil), again) {
			t.Fatalf("%x, encoded again %x: %v, %v", b, again, &r2, err)
		}
	})
}
