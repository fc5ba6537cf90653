package overlay

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"
)

func TestSIDsResolve(t *testing.T) {
	known := SIDs{{1, 2, 3}, {1, 2, 4}, {5}, {5}}
	for _, test := range []struct {
		prefix string
		sid    SID
		want   Resolution
	}{
		{"01", SID{}, Ambiguous},
		{"0102", SID{}, Ambiguous},
		{"010203", SID{1, 2, 3}, Resolved},
		{"05", SID{5}, Resolved}, // known twice is known
		{"02", SID{}, Unknown},
	} {
		sid, got := known.Resolve(unhex(t, test.prefix))
		if sid != test.sid || got != test.want {
			t.Errorf("%s: %v %v, want %v %v", test.prefix, sid, got, test.sid, test.want)
		}
	}
}

// addressStep is one address of a packet, and what the context makes of it.
type addressStep struct {
	wire  string
	state Resolution
	sid   SID
}

func TestParseAddress(t *testing.T) {
	l := newLab(t)
	key := vectors(t).Identities["C"].SignPublicKey
	p2p := Context{Resolver: l.all(), Transmitter: l.b, Receiver: l.c, version: 1}
	plain := Context{Resolver: l.all(), version: 1}
	full := func(s SID) string { return "20" + hex.EncodeToString(s[:]) }
	zeros := full(SID{})
	for _, test := range []struct {
		why   string
		ctx   Context
		steps []addressStep
	}{
		{"each form sets previous", plain, []addressStep{
			{full(l.a), Resolved, l.a}, {"fe", Resolved, l.a},
			{"0162", Resolved, l.b}, {"fe", Resolved, l.b}, {"fe", Resolved, l.b},
			{"fb" + key, Resolved, l.c}, {"fe", Resolved, l.c},
		}},
		{"nothing to refer to", plain, []addressStep{
			{"fe", NoContext, SID{}}, {"ff", NoContext, SID{}}, {"fc", NoContext, SID{}}, {"fd", NoContext, SID{}},
		}},
		{"SELF sets previous", BodyContext(l.n, l.all()), []addressStep{
			{"fe", NoContext, SID{}}, {"0123", Resolved, l.a}, {"ff", Resolved, l.n}, {"fe", Resolved, l.n},
		}},
		{"P2P codes set previous", p2p, []addressStep{
			{"fd", Resolved, l.c}, {"fe", Resolved, l.c}, {"fc", Resolved, l.b}, {"fe", Resolved, l.b},
		}},
		{"version 0 has no P2P codes", Context{Transmitter: l.b, Receiver: l.c}, []addressStep{
			{"fd", NoContext, SID{}}, {"fc", NoContext, SID{}},
		}},
		{"PREVIOUS never means the one before an unknown address", plain, []addressStep{
			{"0123", Resolved, l.a}, {"0177", Unknown, SID{}}, {"fe", NoContext, SID{}},
			{"0123", Resolved, l.a}, {zeros, Refused, SID{}}, {"fe", NoContext, SID{}},
		}},
		{"sign key that is no point", plain, []addressStep{{"fb02" + zeros[4:], Refused, SID{}}}},
		{"ambiguous", Context{Resolver: SIDs{{1, 1}, {1, 2}}}, []addressStep{{"0101", Ambiguous, SID{}}}},
		{"no resolver", Context{}, []addressStep{{"0123", Unknown, SID{}}}},
	} {
		ctx := test.ctx
		for i, step := range test.steps {
			b := unhex(t, step.wire)
			a, rest, err := ParseAddress(append(slices.Clip(b), 0xaa), &ctx)
			if err != nil || len(rest) != 1 || a.State != step.state || a.SID != step.sid || !bytes.Equal(a.Wire, b) {
				t.Errorf("%s: step %d: %+v, rest %x, %v, want %+v", test.why, i, a, rest, err, step)
			}
		}
	}
}

func TestParseAddressMalformed(t *testing.T) {
	for code := range 256 {
		n := Code(code).size()
		legal := code >= 1 && code <= 32 || code >= 0xfb
		if legal != (n >= 0) {
			t.Errorf("code %#x: size %d", code, n)
		}
		b := append([]byte{byte(code)}, make([]byte, 32)...)
		ctx := BodyContext(newLab(t).a, nil)
		before := ctx
		if !legal {
			_, _, err := ParseAddress(b, &ctx)
			wantError(t, err, fmt.Sprintf("%#02x", code))
		}
		for i := range n {
			_, _, err := ParseAddress(b[:1+i], &ctx)
			wantError(t, err, "cut off")
		}
		if _, _, err := ParseAddress(nil, &ctx); err == nil || ctx != before {
			t.Errorf("code %#x: context changed by an error, or none for nothing", code)
		}
	}
}

// The order of tests is that of docs/overlay.md §4.1.
func TestAppendAddress(t *testing.T) {
	l := newLab(t)
	key := unhex(t, vectors(t).Identities["C"].SignPublicKey)
	full := func(s SID) string { return "20" + hex.EncodeToString(s[:]) }
	type step struct {
		a    Address
		want string
	}
	for _, test := range []struct {
		why   string
		ctx   Context
		steps []step
	}{
		{"full, then previous", Context{}, []step{{To(l.a), full(l.a)}, {To(l.a), "fe"}, {To(l.b), full(l.b)}, {To(l.a), full(l.a)}}},
		{"sender is SELF, not PREVIOUS", BodyContext(l.a, nil), []step{{To(l.a), "ff"}, {To(l.a), "ff"}}},
		{"abbreviation only where the context has nothing", BodyContext(l.a, nil), []step{
			{Address{Code: 2, SID: l.b}, "026219"}, {Address{Code: 1, SID: l.b}, "fe"}, {Address{Code: 31, SID: l.a}, "ff"},
		}},
		{"complete SID on demand", BodyContext(l.a, nil), []step{{Address{Code: CodeSID, SID: l.a}, full(l.a)}, {Address{Code: CodeSID, SID: l.a}, full(l.a)}}},
		{"sign key", Context{}, []step{
			{Address{Code: CodeSignKey, SID: l.c, Wire: append([]byte{0xfb}, key...)}, "fb" + hex.EncodeToString(key)}, {To(l.c), "fe"},
		}},
		{"P2P before SELF and PREVIOUS", Context{Transmitter: l.a, Receiver: l.b, sender: l.a, version: 1}, []step{
			{To(l.a), "fc"}, {To(l.b), "fd"}, {To(l.b), "fd"}, {Address{Code: 1, SID: l.c}, "011e"}, {To(l.c), "fe"},
		}},
		{"P2P not in version 0", Context{Transmitter: l.a, Receiver: l.b, sender: l.a}, []step{{To(l.a), "ff"}, {Address{Code: 1, SID: l.b}, "0162"}}},
		{"a code from another context", Context{}, []step{{Address{Code: CodePrevious, SID: l.a}, full(l.a)}, {Address{Code: CodeSelf, SID: l.a}, "fe"}}},
	} {
		ctx := test.ctx
		for i, s := range test.steps {
			got, err := AppendAddress([]byte("x"), s.a, &ctx)
			if err != nil || hex.EncodeToString(got) != "78"+s.want {
				t.Errorf("%s: step %d: %x, %v, want %s", test.why, i, got, err, s.want)
			}
		}
	}
}

func TestAppendAddressRefuses(t *testing.T) {
	l := newLab(t)
	key := unhex(t, vectors(t).Identities["C"].SignPublicKey)
	for _, test := range []struct {
		a    Address
		want string
	}{
		{Address{}, "first 31 bytes are zero"},
		{Address{Code: CodeSelf}, "first 31 bytes are zero"},
		{Address{SID: lowOrder[0]}, "low order"},
		{Address{Code: 33, SID: l.a}, "0x21"},
		{Address{Code: 0xfa, SID: l.a}, "0xfa"},
		{Address{Code: CodeSignKey, SID: l.c}, "0 bytes"},
		{Address{Code: CodeSignKey, SID: l.a, Wire: append([]byte{0xfb}, key...)}, l.a.String()},
		{Address{Code: CodeSignKey, SID: l.a, Wire: make([]byte, 33)}, "low order"},
	} {
		ctx := Context{}
		dst := []byte("before")
		got, err := AppendAddress(dst, test.a, &ctx)
		wantError(t, err, test.want)
		wantUntouched(t, dst, got)
		if ctx != (Context{}) {
			t.Errorf("%v: context changed by an error", test.a)
		}
	}
}

func TestAddressString(t *testing.T) {
	l := newLab(t)
	for _, test := range []struct {
		a    fmt.Stringer
		want string
	}{
		{To(l.a), "23458761…"},
		{Address{Code: 1, Wire: []byte{1, 0x77}}, "?0177(unknown)"},
		{Code(0), "ILLEGAL(0x00)"},
		{Code(3), "ABBREV(3)"},
		{NoContext, "no-context"},
		{Resolution(9), "resolution(9)"},
	} {
		if got := test.a.String(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func FuzzAddress(f *testing.F) {
	l := newLab(f)
	for _, seed := range []string{"0162fe", "ff", "fdfc", "00", "21", "020102fefe", "20" + hex.EncodeToString(l.a[:])} {
		f.Add(unhex(f, seed))
	}
	begin := Context{Resolver: append(l.all(), SID{1, 2}, SID{1, 3}), Transmitter: l.b, Receiver: l.c, sender: l.n, previous: l.n, version: 1}
	f.Fuzz(func(t *testing.T, b []byte) {
		parse, write, again := begin, begin, begin
		for len(b) > 0 {
			a, rest, err := ParseAddress(b, &parse)
			if err != nil || !a.Resolved() {
				return
			}
			out, err := AppendAddress(nil, a, &write)
			if err != nil {
				t.Fatalf("%v: %v", a, err)
			}
			if len(out) > len(b)-len(rest) {
				t.Fatalf("%x grew to %x", a.Wire, out)
			}
			if a2, _, err := ParseAddress(out, &again); err != nil || a2.SID != a.SID {
				t.Fatalf("%v came back as %v, %v", a, a2, err)
			}
			b = rest
		}
	})
}
