package mdpconn

import (
	"encoding/hex"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/curve25519"
)

// sidA is a good SID.
const sidA = "234587616F1C377DC8D71B17F505A27CC7568699425A33B6D2AC291FBB724C6D"

// sidOf gives the SID that is this number.
func sidOf(t testing.TB, n *big.Int) SID {
	t.Helper()
	var s SID
	n.FillBytes(s[:])
	slices.Reverse(s[:])
	return s
}

// field is 2^255-19.
var field = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))

func TestParseSID(t *testing.T) {
	want, err := hex.DecodeString(sidA)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{sidA, strings.ToLower(sidA)} {
		got, err := ParseSID(text)
		if err != nil || !slices.Equal(got[:], want) {
			t.Errorf("ParseSID(%q) = %v, %v", text, got, err)
		}
		if got.String() != sidA {
			t.Errorf("String() = %q, want upper case %q", got.String(), sidA)
		}
	}
}

func TestParseSIDRefuses(t *testing.T) {
	for _, test := range []struct{ text, wantInError string }{
		{"", `"" has 0 characters, expected 64`},
		{sidA[1:], sidA[1:]},
		{sidA + "0", "65 characters"},
		{" " + sidA[1:], "no hexadecimal digit"},
		{sidA[:63] + "G", "no hexadecimal digit"},
		{sidA[:62] + "\n0", `\n0`},
		{strings.Repeat("x", 100000), "100000 characters"},
		{strings.Repeat("0", 64), "first 31 bytes"},
		{strings.Repeat("0", 62) + "01", "first 31 bytes"},
		{strings.Repeat("0", 62) + "7F", "first 31 bytes"},
		{strings.Repeat("F", 64), "top bit"},
		{sidA[:62] + "ED", "top bit"}, // sidA with its top bit set
		{"ED" + strings.Repeat("F", 60) + "7F", "2^255-19"},
		{"01" + strings.Repeat("0", 62), "low order"},
	} {
		sid, err := ParseSID(test.text)
		wantError(t, "ParseSID", err, test.wantInError)
		if sid != (SID{}) {
			t.Errorf("ParseSID gave %v with an error", sid)
		}
		kept, wantKept := SID{1, 2, 3}, SID{1, 2, 3}
		wantError(t, "UnmarshalText", kept.UnmarshalText([]byte(test.text)), test.wantInError)
		if kept != wantKept {
			t.Errorf("UnmarshalText changed the SID to %v before its error", kept)
		}
	}
}

// wantError fails unless err is a short, one-line error of ours that contains
// the text.
func wantError(t testing.TB, what string, err error, contains string) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("%s: no error, want one with %q", what, contains)
	case !strings.Contains(err.Error(), contains),
		!strings.HasPrefix(err.Error(), "mdpconn: "),
		strings.ContainsAny(err.Error(), "\r\n"),
		len(err.Error()) > 500:
		t.Errorf("%s: error %q, want one short line with %q", what, err, contains)
	}
}

func TestCheckAroundTheField(t *testing.T) {
	for d := int64(-40); d <= 40; d++ {
		s := sidOf(t, new(big.Int).Add(field, big.NewInt(d)))
		good := d < 0 && d != -1 // 2^255-20 has low order
		if err := s.Check(); (err == nil) != good {
			t.Errorf("Check of 2^255-19%+d = %v, want good %v", d, err, good)
		}
	}
	// A byte below 0xff anywhere makes it canonical.
	for i := 1; i < 31; i++ {
		s := sidOf(t, new(big.Int).Add(field, big.NewInt(3)))
		s[i]--
		if err := s.Check(); err != nil {
			t.Errorf("Check: %v, but it is below 2^255-19", err)
		}
	}
}

func TestLowOrderPointsAreSuch(t *testing.T) {
	secret := make([]byte, 32)
	secret[3] = 7
	for _, s := range lowOrderPoints {
		if key, err := curve25519.X25519(secret, s[:]); err == nil {
			t.Errorf("X25519 with %v is %x, not zero: it is no point of low order", s, key)
		}
		if s.Check() == nil {
			t.Errorf("Check passes %v", s)
		}
		if s.aboveField() {
			t.Errorf("%v is not canonical", s)
		}
	}
}

// The number of points of low order, by their definition: u is of an order
// that divides 8 if three doublings lead to infinity.
func TestLowOrderPointsAreAll(t *testing.T) {
	// Doubling on the Kummer line: u' = (u^2-1)^2 / 4u(u^2+Au+1), so infinity
	// comes from u = 0 and the roots of u^2+Au+1 (which has none), u = 0 from
	// u = ±1, and ±1 from the roots of (u^2-1)^2 = ±4u(u^2+Au+1).
	a := big.NewInt(486662)
	mod := func(n *big.Int) *big.Int { return n.Mod(n, field) }
	mul := func(x, y *big.Int) *big.Int { return mod(new(big.Int).Mul(x, y)) }
	numerator := func(u *big.Int) *big.Int {
		v := mod(new(big.Int).Sub(mul(u, u), big.NewInt(1)))
		return mul(v, v)
	}
	denominator := func(u *big.Int) *big.Int {
		v := new(big.Int).Add(mul(u, u), mul(a, u))
		return mul(big.NewInt(4), mul(u, v.Add(v, big.NewInt(1))))
	}
	if new(big.Int).ModSqrt(mod(new(big.Int).Sub(mul(a, a), big.NewInt(4))), field) != nil {
		t.Error("u^2+Au+1 has roots: there are more points of order 2")
	}
	for _, s := range lowOrderPoints {
		b := s
		slices.Reverse(b[:])
		u := new(big.Int).SetBytes(b[:])
		for n := 0; u != nil && u.Sign() != 0; n++ {
			if n == 3 {
				t.Errorf("%v is not of low order", s)
				break
			}
			inverse := new(big.Int).ModInverse(denominator(u), field)
			if inverse == nil {
				break // infinity
			}
			u = mul(numerator(u), inverse)
		}
	}
	// (u^2-1)^2 - 4u(u^2+Au+1) = u^4 - 4u^3 - (4A+2)u^2 - 4u + 1; with w = u+1/u
	// that is w^2 - 4w - 4A-4, so w = 2 ± sqrt(4A+8). For -1 likewise
	// w = -2 ± sqrt(8-4A). Each w gives two u if w^2-4 is a square.
	roots := 0
	for _, sign := range []int64{1, -1} {
		square := new(big.Int).Add(big.NewInt(8), mul(big.NewInt(4*sign), a))
		if sign < 0 {
			square = new(big.Int).Sub(big.NewInt(8), mul(big.NewInt(4), a))
		}
		r := new(big.Int).ModSqrt(mod(square), field)
		if r == nil {
			continue
		}
		for _, root := range []*big.Int{r, new(big.Int).Neg(r)} {
			w := mod(new(big.Int).Add(big.NewInt(2*sign), root))
			if new(big.Int).ModSqrt(mod(new(big.Int).Sub(mul(w, w), big.NewInt(4))), field) != nil {
				roots += 2
			}
		}
	}
	if want := 3 + roots; len(lowOrderPoints) != want { // 0, 1, -1 and these
		t.Errorf("there are %d points of low order, the list has %d", want, len(lowOrderPoints))
	}
}

func TestSIDText(t *testing.T) {
	var v struct{ SID SID }
	in := `{"SID":"` + sidA + `"}`
	if err := json.Unmarshal([]byte(in), &v); err != nil {
		t.Fatal(err)
	}
	if out, err := json.Marshal(v); err != nil || string(out) != in {
		t.Errorf("json: %s, %v, want %s", out, err, in)
	}
	if text, err := Primary.MarshalText(); err != nil || string(text) != strings.Repeat("0", 64) {
		t.Errorf("MarshalText of Primary: %s, %v", text, err)
	}
}

func FuzzParseSID(f *testing.F) {
	f.Add(sidA)
	f.Add(strings.ToLower(sidA))
	f.Add(strings.Repeat("F", 64))
	f.Add("ec" + strings.Repeat("f", 60) + "7f")
	f.Fuzz(func(t *testing.T, text string) {
		sid, err := ParseSID(text)
		if err != nil {
			wantError(t, "ParseSID", err, "expected")
			return
		}
		if !strings.EqualFold(sid.String(), text) {
			t.Errorf("ParseSID(%q) prints as %v", text, sid)
		}
		if err := sid.Check(); err != nil {
			t.Errorf("ParseSID passed what Check refuses: %v", err)
		}
		one := make([]byte, 32)
		one[5] = 1
		if _, err := curve25519.X25519(one, sid[:]); err != nil {
			t.Errorf("%v has no shared keys: %v", sid, err)
		}
	})
}
