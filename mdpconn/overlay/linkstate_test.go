package overlay

import (
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The samples of docs/overlay.md §8.2, from A.
func TestLinkRecordSamples(t *testing.T) {
	l := newLab(t)
	for _, test := range []struct {
		hex, want string
		record    LinkRecord
	}{
		{"0c19ff0101620004" + "00000007", "linkstate 23458761… v1 from 6219FB04… HAS_INTERFACE|UNICAST|HAS_ACK if 0 ack 4/00000007",
			LinkRecord{Flags: LinkInterface | LinkUnicast | LinkAck, Receiver: To(l.a), Version: 1,
				Transmitter: Address{Code: 1, SID: l.b}, Ack: Ack{4, 7}}},
		{"082002621902ff00", "linkstate 6219FB04… v2 from 23458761… HAS_DROP_RATE drop 0",
			LinkRecord{Flags: LinkDropRate, Receiver: Address{Code: 2, SID: l.b}, Version: 2, Transmitter: To(l.a)}},
		{"0722026219ff20", "linkstate 6219FB04… v255 NO_PATH|HAS_DROP_RATE drop 32",
			LinkRecord{Flags: LinkNoPath | LinkDropRate, Receiver: Address{Code: 2, SID: l.b}, Version: 255, DropRate: NoPathDropRate}},
	} {
		ls := NewLinkState(unhex(t, test.hex), BodyContext(l.a, l.all()))
		var r LinkRecord
		if !ls.Next(&r) || r.Check() != nil || ls.Next(&LinkRecord{}) || ls.Err() != nil {
			t.Errorf("%s: %v, %v", test.hex, r, ls.Err())
		}
		if got := ls.String(); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.hex, got, test.want)
		}
		ctx := BodyContext(l.a, nil)
		if b, err := AppendLinkRecord([]byte("x"), &test.record, &ctx); err != nil || hex.EncodeToString(b) != "78"+test.hex {
			t.Errorf("%v: %x, %v, want %s", test.record, b, err, test.hex)
		}
	}
}

func TestLinkStateTruncatedAndMalformed(t *testing.T) {
	l := newLab(t)
	long := "0d39ff01016200040000000705"
	b := unhex(t, long)
	for i := range b[1:] {
		ls := NewLinkState(b[:1+i], BodyContext(l.a, l.all()))
		if ls.Next(&LinkRecord{}) {
			t.Errorf("a record in the first %d bytes", 1+i)
		}
		wantError(t, ls.Err(), "longer than the body")
		short := append([]byte{byte(1 + i)}, b[1:1+i]...) // a length that fits, but not the fields
		ls = NewLinkState(short, BodyContext(l.a, l.all()))
		if ls.Next(&LinkRecord{}) || ls.Err() == nil {
			t.Errorf("%x: a record, or no error", short)
		}
	}
	for _, test := range []struct{ hex, want string }{
		{"0100", "shorter than its fields"},
		{"0420000100", "0x00"},
		{"0720ff010021ff", "0x00"},
		{"0720210100ff00", "0x21"},
		{"ff00", "longer than the body"},
	} {
		ls := NewLinkState(unhex(t, test.hex), BodyContext(l.a, l.all()))
		for range 2 {
			if ls.Next(&LinkRecord{}) {
				t.Errorf("%s: a record", test.hex)
			}
		}
		wantError(t, ls.Err(), test.want)
	}
}

// Unknown bytes of a record are skipped, unknown flags ignored, unknown
// addresses do not end the list, interface numbers do not, a length of 0 does.
func TestLinkStateSkips(t *testing.T) {
	l := newLab(t)
	b := unhex(t, "0a"+"20"+"026219"+"02"+"ff"+"00"+"aabb"+
		"08"+"20"+"027777"+"02"+"ff"+"00"+
		"07"+"20"+"ff"+"02"+"0199"+"00"+
		"06"+"c1"+"ff"+"01"+"ff"+"10"+
		"00"+"ffff")
	ls := NewLinkState(b, BodyContext(l.a, l.all()))
	wants := []string{"", "receiver ?027777(unknown)", "transmitter ?0199(unknown)", ""}
	var r LinkRecord
	for _, want := range wants {
		if !ls.Next(&r) {
			t.Fatal(ls.Err())
		}
		if want != "" {
			wantError(t, r.Check(), want)
		} else if err := r.Check(); err != nil {
			t.Error(err)
		}
	}
	if r.Interface != 16 || ls.Next(&r) || ls.Err() != nil {
		t.Errorf("%v, %v", r, ls.Err())
	}
}

func TestAppendLinkRecordRefuses(t *testing.T) {
	l := newLab(t)
	for _, test := range []struct {
		r    LinkRecord
		want string
	}{
		{LinkRecord{Flags: 0x40, Receiver: To(l.a), Transmitter: To(l.b)}, "0x40"},
		{LinkRecord{Flags: LinkUnicast | LinkBroadcast, Receiver: To(l.a), Transmitter: To(l.b)}, "BROADCAST|UNICAST"},
		{LinkRecord{Version: 128, Receiver: To(l.a), Transmitter: To(l.b)}, "version 128"},
		{LinkRecord{Version: 255, Receiver: To(l.a), Transmitter: To(l.b)}, "version 255"},
		{LinkRecord{Version: 254, Flags: LinkNoPath, Receiver: To(l.a)}, "version 254"},
		{LinkRecord{Flags: LinkInterface, Interface: 16, Receiver: To(l.a), Transmitter: To(l.b)}, "interface 16"},
		{LinkRecord{Transmitter: To(l.b)}, "receiver"},
		{LinkRecord{Receiver: To(l.a)}, "transmitter"},
		{LinkRecord{Receiver: To(l.a), Transmitter: Address{Code: 99, SID: l.b}}, "0x63"},
	} {
		ctx := BodyContext(l.c, nil)
		before, dst := ctx, []byte("before")
		got, err := AppendLinkRecord(dst, &test.r, &ctx)
		wantError(t, err, test.want)
		wantUntouched(t, dst, got)
		if ctx != before {
			t.Errorf("%v: context changed by an error", test.r)
		}
	}
}

func FuzzLinkState(f *testing.F) {
	for _, b := range vectorBodies(f, dataTo(PortLinkState)) {
		f.Add(b)
	}
	l := newLab(f)
	begin := BodyContext(l.a, append(l.all(), SID{1, 2, 3}, SID{1, 2, 4}))
	read := func(b []byte) (records []LinkRecord, err error) {
		ls := NewLinkState(b, begin)
		_ = ls.String()
		for r := (LinkRecord{}); ls.Next(&r); {
			records = append(records, r)
		}
		return records, ls.Err()
	}
	normal := func(records []LinkRecord) (out []LinkRecord) {
		for _, r := range records {
			r.Receiver, r.Transmitter = To(r.Receiver.SID), To(r.Transmitter.SID)
			out = append(out, r)
		}
		return out
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		records, _ := read(b)
		var out []byte
		ctx := begin
		for i := range records {
			var err error
			if out, err = AppendLinkRecord(out, &records[i], &ctx); err != nil {
				records = records[:i] // what follows may refer to it
				break
			}
		}
		if len(out) > len(b) {
			t.Fatalf("%x grew to %x", b, out)
		}
		again, err := read(out)
		if diff := cmp.Diff(normal(records), normal(again)); diff != "" || err != nil {
			t.Fatalf("%x: %v\n%s", out, err, diff)
		}
	})
}

func BenchmarkLinkState(b *testing.B) {
	l := newLab(b)
	record := LinkRecord{Flags: LinkInterface | LinkUnicast | LinkAck, Receiver: To(l.a), Transmitter: To(l.b), Ack: Ack{4, 7}}
	known := Resolver(l.all())
	b.ReportAllocs()
	buf := make([]byte, 0, MaxLinkState)
	for b.Loop() {
		ctx := BodyContext(l.a, nil)
		out, err := AppendLinkRecord(buf, &record, &ctx)
		if err != nil {
			b.Fatal(err)
		}
		ls := NewLinkState(out, BodyContext(l.a, known))
		for r := (LinkRecord{}); ls.Next(&r); {
		}
		if ls.Err() != nil {
			b.Fatal(ls.Err())
		}
	}
}
