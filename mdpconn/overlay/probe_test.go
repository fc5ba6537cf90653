package overlay

import (
	"bytes"
	"testing"
)

func TestProbe(t *testing.T) {
	b := unhex(t, "0102000fa10a620001")
	p, err := ParseProbe(b)
	if err != nil || p.Interface != 1 || p.String() != "probe if 1 02000fa10a620001" {
		t.Errorf("%v, %v", p, err)
	}
	if out := AppendProbe(nil, p); !bytes.Equal(out, b) {
		t.Errorf("got %x, want %x", out, b)
	}
	_, err = ParseProbe(nil)
	wantError(t, err, "no application data")
}

func FuzzProbe(f *testing.F) {
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := ParseProbe(b); err == nil && !bytes.Equal(AppendProbe(nil, p), b) {
			t.Fatalf("%x came back as %v", b, p)
		}
	})
}
