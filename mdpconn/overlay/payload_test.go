package overlay

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// The samples of docs/overlay.md §5, heads as they stand there.
func TestPayloadHeaderSamples(t *testing.T) {
	l := newLab(t)
	for _, test := range []struct {
		head, want string
		check      func(*Payload) bool
	}{
		{"750162200046", "data #32 23458761…→6219FB04… SENDER_SAME|ONE_HOP|CIPHERED|SIGNED|ACK_SOON 70 bytes",
			func(p *Payload) bool { return p.TTL == 1 && p.Remaining() == 0 && !p.Flooded() }},
		{"71011e01623f1b0037", "data #27 23458761…→1E221CD1… via 6219FB04… ttl 31 queue 1 SENDER_SAME|CIPHERED|SIGNED|ACK_SOON 55 bytes",
			func(p *Payload) bool { return p.Remaining() == 30 && p.Queue == QueueManagement }},
		{"74011e01232b0037", "data #43 1E221CD1…→23458761… ONE_HOP|CIPHERED|SIGNED|ACK_SOON 55 bytes",
			func(p *Payload) bool { return p.Source.SID == l.c }},
		{"4367c6697351ff4aec7f72000f", "data #114 23458761…→* id 67c6697351ff4aec ttl 31 queue 3 SENDER_SAME|TO_BROADCAST|ACK_SOON 15 bytes",
			(*Payload).Flooded},
		{"42012367c6697351ff4aec7e9e000f", "data #158 23458761…→* id 67c6697351ff4aec ttl 30 queue 3 TO_BROADCAST|ACK_SOON 15 bytes",
			(*Payload).Flooded},
		{"8760010003", "explain #1 23458761…→* SENDER_SAME|TO_BROADCAST|ONE_HOP|LEGACY_TYPE 3 bytes",
			func(p *Payload) bool { return p.Type == TypeExplain && !p.Flooded() }},
	} {
		ctx := Context{Resolver: l.all(), sender: l.a, version: 1, encapsulation: Overlay}
		b := append(unhex(t, test.head), make([]byte, 80)...)
		var p Payload
		if _, err := parsePayload(b, &p, &ctx); err != nil {
			t.Errorf("%s: %v", test.head, err)
			continue
		}
		if p.String() != test.want || !test.check(&p) {
			t.Errorf("%s:\n got %v\nwant %s", test.head, p, test.want)
		}
	}
}

// Bit 7 of the TTL byte and bit 0x08 of the flags mean nothing; and whoever
// appends to a body does not write over the next payload.
func TestPayloadUnusedBits(t *testing.T) {
	l := newLab(t)
	b := unhex(t, "010102234500"+"09"+"0162"+"0162"+"ff"+"01"+"0002"+"0f78"+"05"+"0162"+"02"+"0002"+"0f79")
	var p Packet
	var pl Payload
	if err := p.Parse(b, Context{Resolver: l.all()}); err != nil || !p.Next(&pl) {
		t.Fatal(err, p.Err())
	}
	if pl.TTL != MaxTTL || pl.Queue != QueueOrdinary || pl.Check() != nil {
		t.Errorf("got %v, %v", pl, pl.Check())
	}
	_ = append(pl.Body, 0, 0, 0, 0, 0)
	if !p.Next(&pl) || string(pl.Body) != "\x0fy" {
		t.Errorf("got %v, %x, %v", pl, pl.Body, p.Err())
	}
}

func TestParsePayloadMalformed(t *testing.T) {
	l := newLab(t)
	for _, test := range []struct{ hex, want string }{
		{"05", "address is cut off"},
		{"050162", "cut off"},
		{"05016201", "cut off"},
		{"0501620100", "cut off"},
		{"050162010001", "body of 1 bytes, but 0"},
		{"05016201ffff00", "body of 65535 bytes, but 1"},
		{"0500010000", "0x00"},
		{"0521010000", "0x21"},
		{"0400016201", "0x00"},
		{"0101620001", "0x00"},
		{"01016201627f", "cut off"},
		{"010162fe", "cut off"},
		{"03010203040506", "cut off"},
		{"030102030405060708", "cut off"},
		{"87", "cut off"},
		{"8760", "cut off"},
	} {
		var p Packet
		if err := p.Parse(unhex(t, "010102234500"+test.hex), Context{Resolver: l.all()}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if p.Next(new(Payload)) {
				t.Errorf("%s: a payload", test.hex)
			}
		}
		wantError(t, p.Err(), test.want)
	}
}

// What ends a stock servald cannot be written (docs/overlay.md §11), nor what is
// not defined.
func TestAppendPayloadRefuses(t *testing.T) {
	l := newLab(t)
	oneHop := Payload{Flags: OneHop, Destination: To(l.b), Type: TypeData, Body: []byte{0x0f, 'x'}}
	change := func(f func(*Payload)) Payload { p := oneHop; f(&p); return p }
	for _, test := range []struct {
		p    Payload
		want string
	}{
		{change(func(p *Payload) { p.Flags |= ToBroadcast | Ciphered | Signed }), "TO_BROADCAST|ONE_HOP|CIPHERED|SIGNED"},
		{change(func(p *Payload) { p.Flags |= ToBroadcast | Ciphered }), "TO_BROADCAST|ONE_HOP|CIPHERED"},
		{change(func(p *Payload) { p.Flags |= Ciphered }), "CIPHERED goes with SIGNED"},
		{change(func(p *Payload) { p.Flags |= 8 }), "0x8"},
		{change(func(p *Payload) { p.Type = 0 }), "type 0"},
		{change(func(p *Payload) { p.Type = TypeExplain; p.Flags |= Signed }), "please-explain"},
		{change(func(p *Payload) { p.Flags = 0; p.NextHop = To(l.b) }), "TTL 0"},
		{change(func(p *Payload) { p.Flags = 0; p.NextHop = To(l.b); p.TTL = 32 }), "TTL 32"},
		{change(func(p *Payload) { p.Flags = 0; p.NextHop = To(l.b); p.TTL = 1; p.Queue = 4 }), "queue 4"},
		{change(func(p *Payload) { p.Flags = 0; p.TTL = 1 }), "next hop"},
		{change(func(p *Payload) { p.Destination = Address{} }), "destination"},
		{change(func(p *Payload) { p.Destination.Code = 0x21 }), "0x21"},
		{change(func(p *Payload) { p.Source = Address{Wire: []byte{1, 2}, Code: 1} }), "source ?0102(unknown)"},
		{change(func(p *Payload) { p.Source = Address{SID: SID{1}} }), "low order"},
		{change(func(p *Payload) { p.Body = nil }), "cut off"},
		{change(func(p *Payload) { p.Body = []byte{0x0f} }), "no application data"},
		{change(func(p *Payload) { p.Body = []byte{0x0e, 0x07} }), "no application data"},
		{change(func(p *Payload) { p.Body = sizedPorts(1200) }), "1200 bytes"},
		{change(func(p *Payload) { p.Type = TypeExplain; p.Body = bytes.Repeat([]byte{byte(CodeP2PYou)}, 1200) }), "1200 bytes"},
		{change(func(p *Payload) { p.Flags |= Ciphered | Signed; p.Body = make([]byte, 1200) }), "1200 bytes"},
		{change(func(p *Payload) { p.Flags |= Ciphered | Signed; p.Body = make([]byte, SealOverhead+1) }), "no application data"},
		{change(func(p *Payload) { p.Flags |= Ciphered | Signed; p.Body = make([]byte, SealOverhead-1) }), "shorter than 40"},
		{change(func(p *Payload) { p.Flags |= Signed; p.Body = append([]byte{0x0f}, make([]byte, SignatureLen)...) }), "no application data"},
		{change(func(p *Payload) { p.Flags |= Signed; p.Body = make([]byte, SignatureLen-1) }), "shorter than 64"},
	} {
		ctx := Context{}
		dst, err := AppendEnvelope(nil, &Envelope{Version: 1, Sender: To(l.a)}, &ctx)
		if err != nil {
			t.Fatal(err)
		}
		before := ctx
		got, err := AppendPayload(dst, &test.p, &ctx)
		wantError(t, err, test.want)
		wantUntouched(t, dst, got)
		if ctx != before {
			t.Errorf("%v: context changed by an error", test.p)
		}
	}
}

func TestAppendSealedPayloadRefuses(t *testing.T) {
	l := newLab(t)
	oneHop := Payload{Flags: OneHop, Destination: To(l.b), Type: TypeData}
	for _, test := range []struct {
		change    func(*Payload)
		nonce     byte
		plaintext []byte
		want      string
	}{
		{func(p *Payload) { p.Flags |= ToBroadcast }, 0, sizedPorts(4), "TO_BROADCAST"},
		{func(p *Payload) { p.Type = TypeRhizome }, 0, sizedPorts(4), "rhizome"},
		{func(p *Payload) {}, 0x80, sizedPorts(4), "top bit"},
		{func(p *Payload) {}, 0, sizedPorts(3), "no application data"},
		{func(p *Payload) {}, 0, sizedPorts(MaxSealed + 1), "1200 bytes"},
		{func(p *Payload) { p.Destination = Address{} }, 0, sizedPorts(4), "destination"},
	} {
		ctx := Context{}
		dst, err := AppendEnvelope(nil, &Envelope{Version: 1, Sender: To(l.a)}, &ctx)
		if err != nil {
			t.Fatal(err)
		}
		before, p := ctx, oneHop
		test.change(&p)
		got, err := AppendSealedPayload(dst, &p, &ctx, new([32]byte), &[NonceLen]byte{test.nonce}, test.plaintext)
		wantError(t, err, test.want)
		wantUntouched(t, dst, got)
		if ctx != before {
			t.Errorf("%s: context changed by an error", test.want)
		}
	}
}

func TestSinglePacketHasOnePayload(t *testing.T) {
	l := newLab(t)
	ctx := Context{}
	p := Payload{Flags: OneHop, Destination: To(l.b), Type: TypeData, Body: []byte{0x0f, 'x'}}
	_, err := AppendPayload(nil, &p, &ctx)
	wantError(t, err, "without envelope")
	b, err := AppendEnvelope(nil, &Envelope{Version: 1, Encapsulation: Single, Sender: To(l.a)}, &ctx)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = AppendPayload(b, &p, &ctx); err != nil {
		t.Fatal(err)
	}
	_, err = AppendPayload(b, &p, &ctx)
	wantError(t, err, "second one in a SINGLE packet")
	if got := hex.EncodeToString(b); !strings.HasSuffix(got, "000f78") {
		t.Errorf("%s: want no length before the body", got)
	}
}

// A relay gives the payload on with its own context: explicit source, TTL less one.
func TestRelayedPayload(t *testing.T) {
	l := newLab(t)
	_, payloads, _ := read(unhex(t, "010102234500"+"41"+"011e"+"0162"+"7f"+"46"+"0002"+"0f78"), Context{Resolver: l.all()})
	if len(payloads) != 1 {
		t.Fatal("want one payload")
	}
	p := payloads[0]
	p.TTL, p.Seq, p.NextHop = p.Remaining(), 9, To(l.c)
	ctx := Context{}
	b, err := AppendEnvelope(nil, &Envelope{Version: 1, Sender: Address{Code: 1, SID: l.b}}, &ctx)
	if err != nil {
		t.Fatal(err)
	}
	p.Source.Code = 1
	if b, err = AppendPayload(b, &p, &ctx); err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(b), "0101016200"+"40"+"0123"+"011e"+"fe"+"7e"+"09"+"0002"+"0f78"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPayloadFlagsMode(t *testing.T) {
	for f := range 256 {
		f := PayloadFlags(f)
		mode, err := f.Mode()
		ciphered, signed, broadcast := f&Ciphered != 0, f&Signed != 0, f&ToBroadcast != 0
		switch {
		case ciphered && (!signed || broadcast):
			wantError(t, err, f.String())
		case err != nil || mode == ModeCiphered != ciphered || mode == ModePlain != (!ciphered && !signed):
			t.Errorf("%v: %v, %v", f, mode, err)
		}
	}
}
