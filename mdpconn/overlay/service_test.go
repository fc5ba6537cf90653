package overlay

import (
	"testing"
)

func TestService(t *testing.T) {
	for text, want := range map[string]Service{
		"demo.msp.port=520":           {"demo", "msp", 520},
		"demo.mdp.port=1":             {"demo", "mdp", 1},
		"a.msp.b.msp.port=2147483647": {"a.msp.b", "msp", MaxPort},
	} {
		got, err := ParseService([]byte(text))
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %v, %v", text, got, err)
		}
		b, err := AppendService([]byte("x"), want)
		if err != nil || string(b) != "x"+text {
			t.Errorf("%v: %q, %v", want, b, err)
		}
	}
	for _, text := range []string{
		"", "?", "=", "demo.msp.port", "demo.msp.port=", ".msp.port=5", "msp.port=5", "demo.port=5", "demo.udp.port=5",
		"demo.msp.port=0", "demo.msp.port=-1", "demo.msp.port=+1", "demo.msp.port=2147483648", "demo.msp.port=5\n",
		"demo.msp.port=5\x00", "de mo.msp.port=5", "d=e.msp.port=5", "\xff.msp.port=5", "demo.msp.portal=5", "demo.MSP.port=5",
		"demo.msp.port=1_0", "demo.msp.port=0x5",
	} {
		_, err := ParseService([]byte(text))
		wantError(t, err, "want NAME.msp.port=NUMBER")
	}
	for _, test := range []struct {
		s    Service
		want string
	}{
		{Service{"", "msp", 1}, "empty"},
		{Service{"a b", "msp", 1}, `"a b"`},
		{Service{"a", "tcp", 1}, `"tcp"`},
		{Service{"a", "msp", 0}, "port 0"},
		{Service{"a", "msp", 1 << 31}, "port 2147483648"},
	} {
		dst := []byte("before")
		got, err := AppendService(dst, test.s)
		wantError(t, err, test.want)
		wantUntouched(t, dst, got)
	}
}

func FuzzService(f *testing.F) {
	f.Add([]byte("demo.msp.port=520"))
	f.Add([]byte("a.b.mdp.port=007"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseService(b)
		if err != nil {
			return
		}
		out, err := AppendService(nil, s)
		if err != nil || len(out) > len(b) {
			t.Fatalf("%q grew to %q, %v", b, out, err)
		}
		if again, err := ParseService(out); err != nil || again != s {
			t.Fatalf("%v came back as %v, %v", s, again, err)
		}
	})
}
