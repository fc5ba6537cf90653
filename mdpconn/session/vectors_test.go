package session

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/chacha20poly1305"

	"mesh.example/msp/mdpconn/overlay"
)

var update = flag.Bool("update", false, "write testdata/session.json anew")

const vectorFile = "testdata/session.json"

// The vec types mirror testdata/session.json. Keys, packets and so on are
// hexadecimal.

type vecFile struct {
	Description          string
	Initiator, Responder vecIdentity
	Exchanges            []vecExchange
	Notice               vecNotice
}

type vecIdentity struct{ Secret, SID string }

type vecNotice struct {
	ID     uint32
	Packet string
}

type vecExchange struct {
	Name                 string
	Initiator, Responder vecHello
	Cipher               string
	InitiatorKey         string // of what the initiator sends
	ResponderKey         string
	Packets              []vecPacket
}

type vecHello struct {
	Ephemeral string // secret
	ID        uint32
	Payload   string // in clear
	Hello     string
	Decoded   string
}

type vecPacket struct {
	From      string
	Form      string
	Counter   uint64
	Plaintext string
	Decoded   string
	Packet    string
}

// want computes the file by the package, from the inputs alone.
func wantVectors(t *testing.T) *vecFile {
	t.Helper()
	i, r := newIdentity(t, [32]byte{0: 0x11, 9: 7}), newIdentity(t, [32]byte{0: 0x22, 9: 8})
	x := hex.EncodeToString
	f := &vecFile{
		Description: "Key agreements and packets of docs/extension.md §9 to §12, made by this package and checked by a second implementation in the test.",
		Initiator:   vecIdentity{x(i.secret[:]), x(i.sid[:])},
		Responder:   vecIdentity{x(r.secret[:]), x(r.sid[:])},
		Notice:      vecNotice{0x01020304, x(AppendUnknown(nil, 0x01020304))},
	}
	slow := ours
	slow.AES = false
	least := Capabilities{ChaCha: true}
	f.Exchanges = append(f.Exchanges,
		wantExchange(t, "both have AES", i, r, ours, ours),
		wantExchange(t, "the responder has not", i, r, ours, slow),
		wantExchange(t, "least capabilities, roles changed", r, i, least, least))
	return f
}

func wantExchange(t *testing.T, name string, i, r *identity, ci, cr Capabilities) vecExchange {
	t.Helper()
	x := hex.EncodeToString
	e1, e2 := bytes.Repeat([]byte{0x33}, 32), bytes.Repeat([]byte{0x44}, 32)
	own := Payload{Boot: start.UnixMicro(), Time: start.Add(time.Second).UnixMicro(), Capabilities: ci}
	o, err := NewOffer(Pair{i.sid, r.sid}, i, 0xa1a2a3a4, own, bytes.NewReader(e1), start)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadOffer(Pair{r.sid, i.sid}, r, o.Bytes())
	if err != nil || got.Payload != own {
		t.Fatalf("payload %v, %v, want %v", got.Payload, err, own)
	}
	peer := Payload{Boot: start.UnixMicro() + 1, Time: start.Add(2 * time.Second).UnixMicro(), Capabilities: cr}
	answer, sr, err := got.Answer(0xb1b2b3b4, peer, bytes.NewReader(e2), start)
	if err != nil {
		t.Fatal(err)
	}
	si, err := o.ReadAnswer(answer, start)
	if err != nil || si.Peer() != peer {
		t.Fatalf("payload %v, %v, want %v", si.Peer(), err, peer)
	}
	hello := func(e []byte, id uint32, p *Payload, b []byte) vecHello {
		h, err := ParseHello(b)
		if err != nil {
			t.Fatal(err)
		}
		return vecHello{x(e), id, x(AppendPayload(nil, p)), x(b), h.String() + "; " + p.String()}
	}
	e := vecExchange{
		Name: name, Initiator: hello(e1, 0xa1a2a3a4, &own, o.Bytes()),
		Responder: hello(e2, 0xb1b2b3b4, &peer, answer), Cipher: si.Cipher().String(),
	}
	_, _, _, k1, k2 := scriptOf(t, i, r, &e)
	e.InitiatorKey, e.ResponderKey = x(k1), x(k2)
	for n, text := range vectorTexts(t) {
		form, counter := Compact, uint64(n)
		if n%3 == 2 {
			form, counter = Relayed, uint64(n)<<32|0xfffffff0
		}
		from, s, to := "initiator", si, sr
		if n%2 == 1 {
			from, s, to = "responder", sr, si
		}
		packet, err := s.Keys().Seal(form, append(make([]byte, HeadSize), text...), counter, new(Scratch))
		if err != nil {
			t.Fatal(err)
		}
		back, err := to.Keys().Open(bytes.Clone(packet), counter, new(Scratch))
		if err != nil || !bytes.Equal(back, text) {
			t.Fatalf("%x came back as %x, %v", text, back, err)
		}
		decoded := Describe(packet)
		if form == Compact {
			decoded += ": " + NewItems(text).String()
		}
		e.Packets = append(e.Packets, vecPacket{from, form.String(), counter, x(text), decoded, x(packet)})
	}
	return e
}

// vectorTexts are plaintexts; each third is that of a relayed body.
func vectorTexts(t *testing.T) [][]byte {
	t.Helper()
	must := func(b []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	ports := overlay.Ports{Destination: 7, Source: 258}
	two := must(AppendDatagram(must(AppendDatagram(nil, ports, []byte("one"))), ports, nil))
	return [][]byte{
		nil,
		must(AppendDatagramToEnd(two, ports, []byte("to the end"))),
		must(AppendRelayed(nil, ports, []byte("relayed"))),
		AppendPadding(AppendPing(nil, [8]byte{1, 2, 3, 4, 5, 6, 7, 8}), 20),
		AppendClose(AppendPong(nil, [8]byte{1, 2, 3, 4, 5, 6, 7, 8})),
		{},
	}
}

// scriptOf plays an exchange by the second implementation.
func scriptOf(t *testing.T, i, r *identity, e *vecExchange) (offer, answer, hash, k1, k2 []byte) {
	t.Helper()
	head1 := binary.BigEndian.AppendUint32([]byte{1, 1}, e.Initiator.ID)
	head1 = append(head1, 0, 0, 0, 0)
	head2 := binary.BigEndian.AppendUint32([]byte{1, 2}, e.Responder.ID)
	head2 = binary.BigEndian.AppendUint32(head2, e.Initiator.ID)
	m1, m2, hash, k1, k2 := script(slices.Concat([]byte("msp session 1"), i.sid[:], r.sid[:]), i.secret[:], r.secret[:],
		unhex(t, e.Initiator.Ephemeral), unhex(t, e.Responder.Ephemeral), head1, head2,
		unhex(t, e.Initiator.Payload), unhex(t, e.Responder.Payload))
	return append(head1, m1...), append(head2, m2...), hash, k1, k2
}

func TestVectors(t *testing.T) {
	want := wantVectors(t)
	if *update {
		b, err := json.MarshalIndent(want, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorFile, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var f vecFile
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, &f); diff != "" {
		t.Errorf("the file has not what the package makes (-package +file):\n%s", diff)
	}
	identities := []*identity{
		newIdentity(t, [32]byte(unhex(t, f.Initiator.Secret))), newIdentity(t, [32]byte(unhex(t, f.Responder.Secret))),
	}
	for n, e := range f.Exchanges {
		i, r := identities[0], identities[1]
		if n == 2 {
			i, r = r, i
		}
		checkExchange(t, i, r, &e)
	}
}

// checkExchange makes the exchange by the second implementation.
func checkExchange(t *testing.T, i, r *identity, e *vecExchange) {
	t.Helper()
	offer, answer, _, k1, k2 := scriptOf(t, i, r, e)
	for _, test := range []struct {
		what string
		got  []byte
		want string
	}{
		{"offer", offer, e.Initiator.Hello}, {"answer", answer, e.Responder.Hello},
		{"initiator's key", k1, e.InitiatorKey}, {"responder's key", k2, e.ResponderKey},
	} {
		if hex.EncodeToString(test.got) != test.want {
			t.Errorf("%s: %s: %x, want %s", e.Name, test.what, test.got, test.want)
		}
	}
	for _, p := range e.Packets {
		key, to := k1, e.Responder.ID
		if p.From == "responder" {
			key, to = k2, e.Initiator.ID
		}
		head := binary.BigEndian.AppendUint32([]byte{0x4d}, to)
		if p.Form == "relayed" {
			head[0] = 0x80
		}
		head = append(head, byte(p.Counter>>16), byte(p.Counter>>8), byte(p.Counter))
		nonce := binary.BigEndian.AppendUint64(make([]byte, 4), p.Counter)
		var a cipher.AEAD
		if e.Cipher == "AES-256-GCM" {
			block, err := aes.NewCipher(key)
			if err != nil {
				t.Fatal(err)
			}
			a, _ = cipher.NewGCM(block)
		} else {
			a, _ = chacha20poly1305.New(key)
		}
		if got := a.Seal(head, nonce, unhex(t, p.Plaintext), head[:8:8]); hex.EncodeToString(got) != p.Packet {
			t.Errorf("%s: packet %d: %x, want %s", e.Name, p.Counter, got, p.Packet)
		}
	}
}
