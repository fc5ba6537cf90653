package overlay

import (
	"encoding/hex"
	"testing"
)

// The tick of docs/overlay.md §2.2, and the forms of the header after it.
func TestEnvelope(t *testing.T) {
	l := newLab(t)
	for _, test := range []struct {
		hex string
		env Envelope
		s   string
	}{
		{"000102234500", Envelope{Encapsulation: Overlay, Sender: Address{Code: 2, SID: l.a}},
			"v0 OVERLAY from 23458761… 0x0 if 0"},
		{"0102026219070105", Envelope{Version: 1, Encapsulation: Single, Sender: Address{Code: 2, SID: l.b},
			Flags: PacketUnicast | PacketInterface | PacketSeq, Interface: 1, Seq: 5},
			"v1 SINGLE from 6219FB04… UNICAST|INTERFACE|SEQ if 1 seq 5"},
	} {
		ctx := Context{Resolver: l.all()}
		got, rest, err := ParseEnvelope(unhex(t, test.hex+"aabb"), &ctx)
		if err != nil || hex.EncodeToString(rest) != "aabb" {
			t.Fatalf("%s: rest %x, %v", test.hex, rest, err)
		}
		if got.String() != test.s {
			t.Errorf("%s: %q, want %q", test.hex, got, test.s)
		}
		b, err := AppendEnvelope(nil, &test.env, &ctx)
		if err != nil || hex.EncodeToString(b) != test.hex {
			t.Errorf("%v: %x, %v, want %s", test.env, b, err, test.hex)
		}
		for i := range len(test.hex) / 2 {
			_, _, err := ParseEnvelope(unhex(t, test.hex[:2*i]), &ctx)
			if err == nil {
				t.Errorf("%s: no error for the first %d bytes", test.hex, i)
			}
		}
	}
}

func TestEnvelopeSenderOnPointToPointLink(t *testing.T) {
	l := newLab(t)
	for _, test := range []struct {
		a    Address
		want string
	}{
		{Address{Code: 1, SID: l.a}, "0101012300"}, // a normal address (docs/overlay.md §4.4)
		{Address{Code: CodeP2PMe, SID: l.a}, "0101fc00"},
	} {
		ctx := Context{Resolver: l.all(), Transmitter: l.a, Receiver: l.b}
		b, err := AppendEnvelope(nil, &Envelope{Version: 1, Sender: test.a}, &ctx)
		if err != nil || hex.EncodeToString(b) != test.want {
			t.Errorf("%x, %v, want %s", b, err, test.want)
		}
		if e, _, err := ParseEnvelope(b, &ctx); err != nil || e.Sender.SID != l.a {
			t.Errorf("%x: sender %v, %v, want A", b, e.Sender, err)
		}
	}
}

func TestParseEnvelopeMalformed(t *testing.T) {
	for _, test := range []struct{ hex, want string }{
		{"", "ends within"},
		{"01", "ends within"},
		{"0201012300", "version 2"},
		{"0100012300", "encapsulation 0"},
		{"0103012300", "encapsulation 3"},
		{"01010000", "0x00"},
		{"01012100", "0x21"},
		{"0101fa00", "0xfa"},
		{"010102ff", "cut off"},
		{"01010123", "ends within"}, // stock reads on as if all flags were set (docs/overlay.md §11)
		{"0101012302", "ends within"},
		{"0101012304", "ends within"},
		{"010101230601", "ends within"},
	} {
		_, _, err := ParseEnvelope(unhex(t, test.hex), &Context{})
		wantError(t, err, test.want)
	}
}

func TestAppendEnvelopeRefuses(t *testing.T) {
	l := newLab(t)
	for _, test := range []struct {
		env  Envelope
		want string
	}{
		{Envelope{Version: 2, Sender: To(l.a)}, "version 2"},
		{Envelope{Encapsulation: 3, Sender: To(l.a)}, "encapsulation 3"},
		{Envelope{Interface: 16, Sender: To(l.a)}, "interface 16"},
		{Envelope{Flags: 0x08, Sender: To(l.a)}, "0x8"},
		{Envelope{}, "SID 00"},
	} {
		ctx := BodyContext(l.b, nil)
		before, dst := ctx, []byte("before")
		got, err := AppendEnvelope(dst, &test.env, &ctx)
		wantError(t, err, test.want)
		wantUntouched(t, dst, got)
		if ctx != before {
			t.Errorf("%v: context changed by an error", test.env)
		}
	}
}

func TestFlagString(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{PacketFlags(0).String(), "0x0"},
		{PacketFlags(0x85).String(), "UNICAST|SEQ|0x80"},
		{PayloadFlags(0x7f).String(), "SENDER_SAME|TO_BROADCAST|ONE_HOP|CIPHERED|SIGNED|ACK_SOON|0x8"},
		{LinkFlags(0x40).String(), "0x40"},
		{Encapsulation(7).String(), "encapsulation(7)"},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}
