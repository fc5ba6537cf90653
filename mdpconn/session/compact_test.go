package session

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"

	"mesh.example/msp/mdpconn/overlay"
)

func readItems(b []byte) (items []Item, err error) {
	r := NewItems(b)
	for item := (Item{}); r.Next(&item); {
		items = append(items, item)
	}
	return items, r.Err()
}

func TestItems(t *testing.T) {
	b, err := AppendDatagram(nil, overlay.Ports{Destination: 7, Source: 258}, []byte("abc"))
	if err != nil {
		t.Fatal(err)
	}
	b = AppendPing(b, [8]byte{1, 2, 3, 4, 5, 6, 7, 8})
	b = AppendPong(b, [8]byte{8})
	b = AppendClose(b)
	b, err = AppendDatagramToEnd(b, overlay.Ports{Destination: 2, Source: 2}, []byte("rest"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "01" + "0e8202" + "03" + "616263" + "03" + "0102030405060708" + "04" + "0800000000000000" + "05" + "02" + "05" + "72657374"
	if got := hex.EncodeToString(b); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	items, err := readItems(b)
	if err != nil || len(items) != 5 {
		t.Fatalf("%v, %v", items, err)
	}
	if got, want := NewItems(b).String(), "datagram :258→:7 3 bytes, ping 0102030405060708, pong 0800000000000000, close, datagram :2→:2 4 bytes"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	padded := AppendPadding(AppendPing(nil, [8]byte{}), 5)
	if items, err := readItems(padded); err != nil || len(items) != 2 || items[1].Kind != Padding || len(padded) != 14 {
		t.Errorf("padded: %v, %v", items, err)
	}
	if items, err := readItems(nil); err != nil || items != nil || NewItems(nil).String() != "empty" {
		t.Errorf("nothing: %v, %v", items, err)
	}
	allocs := testing.AllocsPerRun(100, func() {
		r := NewItems(b)
		for item := (Item{}); r.Next(&item); {
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// TestItemsMalformed: [MSX-11.1] what is unknown, cut short, names no port, or is
// padding that is not zero ends the reading; the items before it count.
func TestItemsMalformed(t *testing.T) {
	for _, test := range []struct {
		hex  string
		good int
		want string
	}{
		{"06", 0, "type 6"}, {"05" + "ff", 1, "type 255"},
		{"0000010000", 0, "not zero"},
		{"03" + "01020304050607", 0, "cut off"}, {"0400", 0, "cut off"},
		{"01", 0, "ports"}, {"010e", 0, "ports"}, {"0105", 0, "cut off"}, {"010502ff", 0, "cut off"},
		{"0105ffffffffffffffff00", 0, "cut off"}, {"0105" + "40", 0, "cut off"},
		{"0101" + "00", 0, "destination port 0"}, {"020e00", 0, "source port 0"},
		{"010500" + "02", 1, "ports"},
	} {
		items, err := readItems(unhex(t, test.hex))
		wantError(t, test.hex, err, test.want)
		if len(items) != test.good {
			t.Errorf("%s: %d items, want %d", test.hex, len(items), test.good)
		}
	}
	for _, appendTo := range []func([]byte, overlay.Ports, []byte) ([]byte, error){AppendDatagram, AppendDatagramToEnd, AppendRelayed} {
		got, err := appendTo([]byte("before"), overlay.Ports{Destination: 1}, nil)
		wantError(t, "port", err, "source port 0")
		if string(got) != "before" {
			t.Errorf("dst became %q", got)
		}
	}
}

func TestRelayedPlaintext(t *testing.T) {
	b, err := AppendRelayed(nil, overlay.Ports{Destination: 7, Source: 258}, []byte("abc"))
	if got := hex.EncodeToString(b); got != "0e8202616263" || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	if p, data, ok, err := ParseRelayed(b); !ok || err != nil || p.Source != 258 || string(data) != "abc" {
		t.Errorf("came back as %v, %q, %v, %v", p, data, ok, err)
	}
	if _, _, ok, err := ParseRelayed(nil); ok || err != nil {
		t.Errorf("nothing: %v, %v", ok, err)
	}
	for _, test := range []struct{ hex, want string }{{"0e", "cut off"}, {"01", "destination port 0"}, {"0e00", "source port 0"}} {
		_, _, ok, err := ParseRelayed(unhex(t, test.hex))
		wantError(t, test.hex, err, test.want)
		if ok {
			t.Errorf("%s is a datagram", test.hex)
		}
	}
}

func TestUnknown(t *testing.T) {
	b := AppendUnknown(nil, 0x01020304)
	if got := hex.EncodeToString(b); got != "4e01020304" {
		t.Errorf("got %s", got)
	}
	if id, ok := ParseUnknown(b); !ok || id != 0x01020304 {
		t.Errorf("got %x, %v", id, ok)
	}
	for _, b := range [][]byte{nil, b[:4], append(b, 0), {0x4d, 1, 2, 3, 4}} {
		if _, ok := ParseUnknown(b); ok {
			t.Errorf("%x was read", b)
		}
	}
	if got := Describe(b); got != "unknown session 01020304" {
		t.Errorf("got %q", got)
	}
}

func FuzzItems(f *testing.F) {
	f.Add(unhex(f, "010e82020361626303010203040506070805020572657374"))
	f.Add(unhex(f, "0408000000000000000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		items, err := readItems(b)
		_ = NewItems(b).String()
		var out []byte
		for _, item := range items {
			var err error
			switch item.Kind {
			case Padding:
				out = AppendPadding(out, 1+len(item.Data))
			case Datagram:
				out, err = AppendDatagram(out, item.Ports, item.Data)
			case DatagramToEnd:
				out, err = AppendDatagramToEnd(out, item.Ports, item.Data)
			case Ping:
				out = AppendPing(out, [8]byte(item.Data))
			case Pong:
				out = AppendPong(out, [8]byte(item.Data))
			case Close:
				out = AppendClose(out)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if len(out) > len(b) || err == nil && len(b) > 0 && len(out) == 0 {
			t.Fatalf("%x became %x", b, out)
		}
		if again, err := readItems(out); err != nil || !reflect.DeepEqual(items, again) {
			t.Fatalf("%v came back as %v, %v", items, again, err)
		}
	})
}

func FuzzRelayed(f *testing.F) {
	f.Add([]byte{0x0e, 0x82, 2, 'a'})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, data, ok, err := ParseRelayed(b)
		if !ok || err != nil {
			if len(b) > 0 && err == nil {
				t.Fatalf("%x is nothing, without an error", b)
			}
			return
		}
		out, err := AppendRelayed(nil, p, data)
		if err != nil || len(out) > len(b) {
			t.Fatalf("%x became %x, %v", b, out, err)
		}
		if p2, data2, ok, err := ParseRelayed(out); !ok || err != nil || p2 != p || !bytes.Equal(data2, data) {
			t.Fatalf("%v %x came back as %v %x, %v", p, data, p2, data2, err)
		}
	})
}
