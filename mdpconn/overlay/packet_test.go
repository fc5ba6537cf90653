package overlay

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// read gives all payloads of a packet, and where each ends.
func read(b []byte, ctx Context) (p Packet, payloads []Payload, ends []int) {
	if p.Parse(b, ctx) != nil {
		return p, nil, nil
	}
	for pl := (Payload{}); p.Next(&pl); {
		payloads = append(payloads, pl)
		ends = append(ends, len(b)-len(p.rest))
	}
	return p, payloads, ends
}

// A truncated packet gives an error, save at the end of a payload, and the same
// payloads as before as far as they are complete.
func TestTruncatedVectors(t *testing.T) {
	v := vectors(t)
	seen := map[int]bool{}
	for i := range v.Packets {
		p := &v.Packets[i]
		ctx := v.context(t, p)
		whole := unhex(t, p.Hex)
		if n := len(whole); n > 300 && seen[n] {
			continue // the long ones are all alike
		} else {
			seen[n] = true
		}
		_, want, ends := read(whole, ctx)
		var q Packet
		if err := q.Parse(whole, ctx); err != nil {
			t.Fatal(err)
		}
		head := len(whole) - len(q.rest)
		for n := range whole {
			got, payloads, _ := read(whole[:n], ctx)
			complete, boundary := 0, n == head
			for _, end := range ends {
				if end <= n {
					complete++
					boundary = boundary || end == n
				}
			}
			if q.Encapsulation == Single { // the body just ends earlier
				if n >= head && got.Err() == nil && len(payloads) == 1 {
					k := len(payloads[0].Body)
					payloads[0].Body = want[0].Body[:k]
					want := want[0]
					want.Body = want.Body[:k]
					if diff := cmp.Diff(want, payloads[0]); diff != "" {
						t.Fatalf("packet %d, first %d bytes: %s", p.N, n, diff)
					}
				}
				continue
			}
			if (got.Err() == nil) != boundary {
				t.Errorf("packet %d, first %d bytes: error %v", p.N, n, got.Err())
			}
			if diff := cmp.Diff(want[:complete], payloads[:len(payloads):len(payloads)], equateNil); diff != "" {
				t.Fatalf("packet %d, first %d bytes: %s", p.N, n, diff)
			}
		}
	}
}

var equateNil = cmp.FilterValues(func(a, b []Payload) bool { return len(a) == 0 && len(b) == 0 }, cmp.Ignore())

// Cut off anywhere, a list within a body gives its first items.
func TestTruncatedBodies(t *testing.T) {
	l := newLab(t)
	lists := map[string]struct {
		bodies [][]byte
		read   func([]byte) []string
	}{
		"link state": {vectorBodies(t, dataTo(PortLinkState)), func(b []byte) (out []string) {
			ls := NewLinkState(b, BodyContext(l.a, l.all()))
			for r := (LinkRecord{}); ls.Next(&r); {
				out = append(out, r.String())
			}
			return out
		}},
		"explain": {[][]byte{unhex(t, "021e2202560c011efd20"+hex.EncodeToString(l.a[:]))}, func(b []byte) (out []string) {
			e := NewExplain(b)
			for item := (ExplainItem{}); e.Next(&item); {
				out = append(out, item.String())
			}
			return out
		}},
		"trace": {vectorBodies(t, dataTo(PortTrace)), func(b []byte) (out []string) {
			trace, _ := ParseTrace(b, l.all())
			for _, a := range trace {
				out = append(out, a.String())
			}
			return out
		}},
	}
	for name, list := range lists {
		if len(list.bodies) == 0 {
			t.Errorf("%s: no bodies", name)
		}
		for _, b := range list.bodies {
			all := list.read(b)
			for i := range b {
				got := list.read(b[:i])
				if len(got) >= len(all) || !slices.Equal(got, all[:len(got)]) {
					t.Errorf("%s: first %d bytes of %x: %v, want less than %v", name, i, b, got, all)
				}
			}
		}
	}
}

// Two payloads for the same neighbour, the first address of the second unknown:
// what follows is still read (docs/overlay.md §4.1).
func TestUnresolvedPayloadDoesNotEndPacket(t *testing.T) {
	l := newLab(t)
	b := unhex(t, "0101"+"022345"+"00"+
		"05"+"0177"+"01"+"0003"+"0e0741"+ // destination unknown
		"05"+"fe"+"02"+"0003"+"0e0741"+ // the same
		"05"+"fc"+"03"+"0003"+"0e0741"+ // not a point-to-point link
		"04"+"0199"+"0162"+"04"+"0003"+"0e0741"+ // source unknown
		"01"+"0162"+"0188"+"7f"+"05"+"0003"+"0e0741"+ // next hop unknown
		"16"+"0162"+"06"+"0003"+"0e0741"+ // CIPHERED alone, and broadcast
		"05"+"0162"+"07"+"0003"+"0e0741")
	p, payloads, _ := read(b, Context{Resolver: l.all()})
	if p.Err() != nil || len(payloads) != 7 {
		t.Fatalf("%d payloads, %v, want 7", len(payloads), p.Err())
	}
	wants := []string{"destination ?0177(unknown)", "destination ?fe(no-context)", "destination ?fc(no-context)",
		"source ?0199(unknown)", "next hop ?0188(unknown)", "CIPHERED goes with SIGNED"}
	for i, want := range wants {
		wantError(t, payloads[i].Check(), want)
	}
	if err := payloads[6].Check(); err != nil || payloads[6].Destination.SID != l.b || payloads[6].Seq != 7 {
		t.Errorf("last payload %v, %v", payloads[6], err)
	}
	var questions []string
	for _, pl := range payloads {
		for a := range pl.Addresses() {
			if q, ok := a.Question(); ok {
				questions = append(questions, q.String())
			}
		}
	}
	if diff := cmp.Diff([]string{"ask 77", "ask-you", "ask 99", "ask 88"}, questions); diff != "" {
		t.Error(diff)
	}
}

func TestUnresolvedSenderMakesPayloadsUnusable(t *testing.T) {
	l := newLab(t)
	p, payloads, _ := read(unhex(t, "0101"+"0177"+"00"+"05"+"0162"+"01"+"0003"+"0e0741"), Context{Resolver: l.all()})
	if p.Err() != nil || len(payloads) != 1 || p.Sender.Resolved() {
		t.Fatalf("%v: %d payloads, %v", &p, len(payloads), p.Err())
	}
	wantError(t, payloads[0].Check(), "source ?(no-context)")

	// Nor may they be relayed as one's own.
	ctx := Context{}
	b, err := AppendEnvelope(nil, &Envelope{Version: 1, Sender: To(l.n)}, &ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, err = AppendPayload(b, &payloads[0], &ctx)
	wantError(t, err, "source")
}

func TestPacketString(t *testing.T) {
	v := vectors(t)
	for _, test := range []struct {
		n    int
		want string
	}{
		{15, "v1 OVERLAY from 23458761… UNICAST|SEQ if 0 seq 2 | data #5 23458761…→6219FB04… SENDER_SAME|ONE_HOP|CIPHERED|SIGNED|ACK_SOON 42 bytes | data #6 23458761…→* SENDER_SAME|TO_BROADCAST|ONE_HOP 9 bytes"},
	} {
		for i := range v.Packets {
			if v.Packets[i].N != test.n {
				continue
			}
			p, _, _ := read(unhex(t, v.Packets[i].Hex), v.context(t, &v.Packets[i]))
			if got := p.String(); got != test.want {
				t.Errorf("packet %d:\n got %s\nwant %s", test.n, got, test.want)
			}
		}
	}
	var p Packet
	if got := p.String(); got != "no packet" {
		t.Errorf("zero packet: %q", got)
	}
	if p.Parse([]byte{9, 9}, Context{}) == nil || p.String() != "bad packet: overlay: envelope version 9: want 0 or 1" {
		t.Errorf("got %q", p.String())
	}
}

// normal leaves of a payload what an encoder must keep.
func normal(p Payload) Payload {
	for _, a := range []*Address{&p.Source, &p.Destination, &p.NextHop} {
		*a = Address{SID: a.SID}
	}
	p.Flags &^= SenderSame | LegacyType
	p.Body = bytes.Clone(p.Body)
	return p
}

func FuzzPacket(f *testing.F) {
	v := vectors(f)
	for i := range v.Packets {
		f.Add(unhex(f, v.Packets[i].Hex), v.Packets[i].Scenario == "point_to_point_link")
	}
	l := newLab(f)
	f.Fuzz(func(t *testing.T, b []byte, p2p bool) {
		ctx := Context{Resolver: append(l.all(), SID{1, 2, 3}, SID{1, 2, 4})}
		if p2p {
			ctx.Transmitter, ctx.Receiver = l.c, l.b
		}
		p, payloads, ends := read(b, ctx)
		_ = p.String()
		if p.first.encapsulation == 0 {
			return
		}
		for i := range payloads {
			_ = payloads[i].Check()
		}
		write := ctx
		write.Resolver = nil // not for writing; contexts are compared below
		out, err := AppendEnvelope(nil, &p.Envelope, &write)
		if err != nil {
			return
		}
		head := len(b)
		var q Packet
		if q.Parse(b, ctx) == nil {
			head -= len(q.rest)
		}
		if len(out) > head && p.Sender.Code != CodeP2PYou {
			t.Fatalf("envelope %x grew to %x", b[:head], out)
		}
		var want []Payload
		for i := range payloads {
			before, n, start := write, len(out), head
			if i > 0 {
				start = ends[i-1]
			}
			if out, err = AppendPayload(out, &payloads[i], &write); err != nil {
				if len(out) != n || write != before {
					t.Fatalf("%v: %v, but something was written", payloads[i], err)
				}
				return // what follows may refer to it
			}
			if len(out)-n > ends[i]-start {
				t.Fatalf("payload %x grew to %x", b[start:ends[i]], out[n:])
			}
			want = append(want, normal(payloads[i]))
		}
		p2, got, _ := read(out, ctx)
		if p2.Err() != nil {
			t.Fatalf("%x: %v", out, p2.Err())
		}
		for i := range got {
			got[i] = normal(got[i])
		}
		if diff := cmp.Diff(want, got, equateNil); diff != "" {
			t.Fatal(diff)
		}
	})
}

// benchPacket is one MSP message of 1024 bytes to a direct neighbour.
func benchPacket(b testing.TB) ([]byte, Context) {
	v := vectors(b)
	for i := range v.Packets {
		if p := &v.Packets[i]; p.Scenario == "msp_20kB" && len(p.Hex) > 2100 {
			return unhex(b, p.Hex), v.context(b, p)
		}
	}
	b.Fatal("no large packet in the vectors")
	return nil, Context{}
}

func BenchmarkParse(b *testing.B) {
	data, ctx := benchPacket(b)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	var p Packet
	var pl Payload
	for b.Loop() {
		if err := p.Parse(data, ctx); err != nil {
			b.Fatal(err)
		}
		for p.Next(&pl) {
			if err := pl.Check(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	l := newLab(b)
	key, nonce := new([32]byte), new([NonceLen]byte)
	plaintext := sizedPorts(1032)
	env := Envelope{Version: 1, Sender: To(l.a), Flags: PacketUnicast | PacketSeq}
	pl := Payload{Destination: To(l.b), Flags: OneHop | AckSoon, Type: TypeData}
	body, err := SealBody(nil, key, nonce, plaintext)
	if err != nil {
		b.Fatal(err)
	}
	for _, sealed := range []bool{false, true} {
		b.Run(fmt.Sprintf("seal=%v", sealed), func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, MaxPacket)
			for b.Loop() {
				ctx := Context{}
				out, err := AppendEnvelope(buf, &env, &ctx)
				if err == nil && sealed {
					out, err = AppendSealedPayload(out, &pl, &ctx, key, nonce, plaintext)
				} else if err == nil {
					pl := pl
					pl.Flags |= Ciphered | Signed
					pl.Body = body
					out, err = AppendPayload(out, &pl, &ctx)
				}
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(out)))
			}
		})
	}
}

// Reading and writing at packet rate makes no garbage.
func TestNoAllocations(t *testing.T) {
	data, ctx := benchPacket(t)
	l := newLab(t)
	key, nonce := new([32]byte), new([NonceLen]byte)
	plaintext := sizedPorts(1032)
	buf := make([]byte, 0, 2*MaxPacket)
	opened := make([]byte, 0, MaxPacket)
	env := Envelope{Version: 1, Sender: To(l.a)}
	pl := Payload{Destination: To(l.b), Flags: OneHop, Type: TypeData}
	var p Packet
	for name, f := range map[string]func() error{
		"parse": func() error {
			var pl Payload
			err := p.Parse(data, ctx)
			for err == nil && p.Next(&pl) {
				err = pl.Check()
			}
			return err
		},
		"append": func() error {
			ctx := Context{}
			b, err := AppendEnvelope(buf, &env, &ctx)
			if err != nil {
				return err
			}
			n := len(b)
			if b, err = AppendSealedPayload(b, &pl, &ctx, key, nonce, plaintext); err != nil {
				return err
			}
			_, err = OpenBody(opened, key, b[n+1+33+1+2:])
			return err
		},
		"link state": func() error {
			ctx := BodyContext(l.a, nil)
			b, err := AppendLinkRecord(buf, &LinkRecord{Receiver: To(l.a), Transmitter: To(l.b), Flags: LinkAck}, &ctx)
			r := LinkRecord{}
			ls := NewLinkState(b, BodyContext(l.a, nil))
			for ls.Next(&r) {
			}
			if err == nil {
				err = ls.Err()
			}
			return err
		},
	} {
		var err error
		if n := testing.AllocsPerRun(100, func() { err = f() }); n != 0 || err != nil {
			t.Errorf("%s: %v allocations, %v", name, n, err)
		}
	}
}
