package overlay

import (
	"encoding/hex"
	"reflect"
	"testing"
)

func TestExplainMalformed(t *testing.T) {
	for _, test := range []struct {
		hex  string
		good int // items before the error
		want string
	}{
		{"00", 0, "0x00"},
		{"21", 0, "0x21"},
		{"fc", 0, "0xfc"},
		{"fe", 0, "0xfe"},
		{"ff", 0, "0xff"},
		{"02ab", 0, "cut off"},
		{"02abcdfd05", 2, "cut off"},
		{"20" + "00", 0, "cut off"},
		{"01abfb", 1, "cut off"},
	} {
		e, n := NewExplain(unhex(t, test.hex)), 0
		for item := (ExplainItem{}); e.Next(&item); {
			n++
		}
		if n != test.good {
			t.Errorf("%s: %d items, want %d", test.hex, n, test.good)
		}
		wantError(t, e.Err(), test.want)
	}
}

// A SID that must not be used is not learned; what is told after it is.
func TestExplainPassesOverBadSIDs(t *testing.T) {
	l := newLab(t)
	zero := hex.EncodeToString(make([]byte, 32))
	e := NewExplain(unhex(t, "20"+zero+"fb"+zero+"20"+hex.EncodeToString(l.a[:])+"20"+zero))
	var item ExplainItem
	if !e.Next(&item) || item.Kind != TellSID || item.SID != l.a || e.Next(&item) || e.Err() != nil {
		t.Errorf("%v, %v, want that A exists", item, e.Err())
	}
	if got, want := e.String(), "explain tell 23458761…"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAppendExplainItemRefuses(t *testing.T) {
	for _, test := range []struct {
		item ExplainItem
		want string
	}{
		{ExplainItem{}, "kind 0"},
		{ExplainItem{Kind: 5}, "kind 5"},
		{ExplainItem{Kind: AskPrefix}, "0 bytes"},
		{ExplainItem{Kind: AskPrefix, Prefix: make([]byte, 32)}, "32 bytes"},
		{ExplainItem{Kind: TellSID}, "first 31 bytes"},
		{ExplainItem{Kind: TellSignKey}, "not 32 bytes"},
		{ExplainItem{Kind: TellSignKey, SignKey: make([]byte, 32)}, "low order"},
	} {
		dst := []byte("before")
		got, err := AppendExplainItem(dst, test.item)
		wantError(t, err, test.want)
		wantUntouched(t, dst, got)
	}
}

func TestQuestion(t *testing.T) {
	sid := newLab(t).a
	for _, a := range []Address{
		To(sid),
		{Code: CodePrevious, Wire: []byte{0xfe}, State: NoContext},
		{Code: CodeP2PYou, Wire: []byte{0xfd}, State: NoContext},
		{Code: CodeSID, Wire: make([]byte, 33), State: Refused},
		{State: NoContext}, // SENDER_SAME
	} {
		if q, ok := a.Question(); ok {
			t.Errorf("%v: %v, want none", a, q)
		}
	}
	a := Address{Code: 2, Wire: []byte{2, 0xab, 0xcd}, State: Ambiguous}
	if q, ok := a.Question(); !ok || q.String() != "ask ABCD" {
		t.Errorf("%v: %v", a, q)
	}
}

func FuzzExplain(f *testing.F) {
	v := vectors(f)
	for i := range v.Packets {
		_, payloads, _ := read(unhex(f, v.Packets[i].Hex), v.context(f, &v.Packets[i]))
		for _, p := range payloads {
			if p.Type == TypeExplain {
				f.Add(p.Body)
			}
		}
	}
	f.Add([]byte{1, 0xab, 0xfd, 0})
	read := func(b []byte) (items []ExplainItem, err error) {
		e := NewExplain(b)
		_ = e.String()
		for item := (ExplainItem{}); e.Next(&item); {
			items = append(items, item)
		}
		return items, e.Err()
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		items, _ := read(b)
		var out []byte
		for _, item := range items {
			var err error
			if out, err = AppendExplainItem(out, item); err != nil {
				t.Fatal(err)
			}
		}
		if len(out) > len(b) {
			t.Fatalf("%x grew to %x", b, out)
		}
		if again, err := read(out); err != nil || !reflect.DeepEqual(items, again) {
			t.Fatalf("%v came back as %v, %v", items, again, err)
		}
	})
}
