package overlay

import (
	"encoding/hex"
	"testing"
)

func TestTrace(t *testing.T) {
	l := newLab(t)
	full := func(s SID) string { return "20" + hex.EncodeToString(s[:]) }
	b, err := AppendTrace(nil, l.c, l.a)
	if err == nil {
		b, err = AppendTrace(b, l.a) // in full, though it is the same again
	}
	if want := full(l.c) + full(l.a) + full(l.a); err != nil || hex.EncodeToString(b) != want {
		t.Errorf("%x, %v, want %s", b, err, want)
	}
	trace, err := ParseTrace(append(b, unhex(t, "feff01620177")...), l.all())
	if err != nil || len(trace) != 7 {
		t.Fatalf("%v, %v", trace, err)
	}
	want := "trace 1E221CD1… 23458761… 23458761… 23458761… ?ff(no-context) 6219FB04… ?0177(unknown)"
	if trace.String() != want {
		t.Errorf("got %q, want %q", trace, want)
	}
	for _, bad := range []string{"00", full(l.a) + "21", "20ab", full(l.a) + "02ab"} {
		if trace, err := ParseTrace(unhex(t, bad), nil); err == nil {
			t.Errorf("%s: %v", bad, trace)
		}
	}
	got, err := AppendTrace(b, l.a, SID{})
	wantError(t, err, "first 31 bytes")
	wantUntouched(t, b, got)
}

func FuzzTrace(f *testing.F) {
	for _, b := range vectorBodies(f, dataTo(PortTrace)) {
		f.Add(b)
	}
	f.Add([]byte{1, 0x23, 0xfe, 0xff})
	known := newLab(f).all()
	f.Fuzz(func(t *testing.T, b []byte) {
		trace, err := ParseTrace(b, known)
		if err != nil {
			return
		}
		_ = trace.String()
		var out []byte
		for _, a := range trace {
			if !a.Resolved() {
				return
			}
			if out, err = AppendTrace(out, a.SID); err != nil {
				t.Fatal(err)
			}
		}
		again, err := ParseTrace(out, known)
		if err != nil || len(again) != len(trace) || len(out) != 33*len(trace) {
			t.Fatalf("%v came back as %v, %v", trace, again, err)
		}
		for i := range trace {
			if again[i].SID != trace[i].SID {
				t.Fatalf("%v came back as %v", trace, again)
			}
		}
	})
}
