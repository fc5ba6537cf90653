package session

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

// exchange is one key agreement between two sides, without tables.
type exchange struct {
	a, b   *side
	offer  *Offer
	answer []byte
}

func newExchange(t *testing.T) *exchange {
	t.Helper()
	e := &exchange{}
	e.a, e.b = newSides(t)
	var err error
	if e.offer, err = NewOffer(e.a.pair(), e.a.identity, 7, e.a.own, e.a.rand, start); err != nil {
		t.Fatal(err)
	}
	r, err := ReadOffer(e.b.pair(), e.b.identity, e.offer.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if e.answer, _, err = r.Answer(8, e.b.own, e.b.rand, start); err != nil {
		t.Fatal(err)
	}
	return e
}

// Whatever byte of an offer or answer is changed, the session does not come
// about: ids and versions are in the hash, the capabilities under encryption
// (§9.2, MSX-9.4). The bit that X25519 ignores is in the hash too.
func TestAnyChangeOfHello(t *testing.T) {
	e := newExchange(t)
	offer := e.offer.Bytes()
	for i := range offer { // another bit of each byte; X25519 is slow under the race detector
		b, bit := bytes.Clone(offer), 8*i+i%8
		b[bit/8] ^= 1 << (bit % 8)
		if r, err := ReadOffer(e.b.pair(), e.b.identity, b); err == nil {
			t.Errorf("an offer with bit %d changed was read: %v", bit, r.Payload)
		}
	}
	for i := range e.answer {
		b, bit := bytes.Clone(e.answer), 8*i+(i+3)%8
		b[bit/8] ^= 1 << (bit % 8)
		if s, err := e.offer.ReadAnswer(b, start); err == nil {
			t.Errorf("an answer with bit %d changed made %v", bit, s)
		}
	}
	ignored := bytes.Clone(offer)
	ignored[helloHead+31] ^= 0x80
	if _, err := ReadOffer(e.b.pair(), e.b.identity, ignored); err != ErrOpen {
		t.Errorf("an offer with another encoding of its key: %v, want ErrOpen", err)
	}
	for n := range len(offer) {
		if _, err := ReadOffer(e.b.pair(), e.b.identity, offer[:n]); err == nil {
			t.Errorf("an offer of %d bytes was read", n)
		}
		if _, err := e.offer.ReadAnswer(e.answer[:n], start); err == nil {
			t.Errorf("an answer of %d bytes was read", n)
		}
	}
	// None of these attempts has cost the offer its answer.
	if _, err := e.offer.ReadAnswer(e.answer, start); err != nil {
		t.Error(err)
	}
}

// An attacker who sits between and has its own ids in both hellos fails, and so
// does an answer to another offer.
func TestAnswerToAnotherOffer(t *testing.T) {
	e := newExchange(t)
	other, err := NewOffer(e.a.pair(), e.a.identity, 7, e.a.own, e.a.rand, start)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.ReadAnswer(e.answer, start); err != ErrOpen {
		t.Errorf("the answer to an offer of the same id: %v, want ErrOpen", err)
	}
	if other, err = NewOffer(e.a.pair(), e.a.identity, 9, e.a.own, e.a.rand, start); err != nil {
		t.Fatal(err)
	}
	if _, err := other.ReadAnswer(e.answer, start); err != ErrNoOffer {
		t.Errorf("the answer to an offer of another id: %v, want ErrNoOffer", err)
	}
	if _, err := other.ReadAnswer(e.offer.Bytes(), start); err != ErrNoOffer {
		t.Errorf("an offer as answer: %v, want ErrNoOffer", err)
	}
	_, err = ReadOffer(e.b.pair(), e.b.identity, e.answer)
	wantError(t, "an answer as offer", err, "expected an offer")
	// Reflected to its own sender.
	if _, err := ReadOffer(e.a.pair(), e.a.identity, e.offer.Bytes()); err != ErrOpen {
		t.Errorf("our own offer: %v, want ErrOpen", err)
	}
}

func TestWrongStaticKeys(t *testing.T) {
	e := newExchange(t)
	stranger := newIdentity(t, [32]byte{9})
	for _, test := range []struct {
		why    string
		pair   Pair
		static Static
	}{
		{"offer in another's name", Pair{e.b.sid, stranger.sid}, e.b.identity},
		{"offer to another", Pair{stranger.sid, e.a.sid}, stranger},
		{"offer read with another's secret", e.b.pair(), stranger},
		{"roles changed", Pair{e.a.sid, e.b.sid}, e.b.identity},
	} {
		if _, err := ReadOffer(test.pair, test.static, e.offer.Bytes()); err != ErrOpen {
			t.Errorf("%s: %v, want ErrOpen", test.why, err)
		}
	}
	// A stranger who answers with its own key.
	r, err := ReadOffer(e.b.pair(), e.b.identity, e.offer.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	r.state.peer = stranger.sid
	answer, _, err := r.Answer(8, e.b.own, e.b.rand, start)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.offer.ReadAnswer(answer, start); err != ErrOpen {
		t.Errorf("an answer for another: %v, want ErrOpen", err)
	}
}

// thief has stolen the secret of the one to whom it poses as somebody else.
type thief struct {
	stolen *identity
	as     overlay.SID
}

func (f thief) DH(public [32]byte) ([32]byte, error) {
	if public == f.stolen.sid {
		return f.stolen.DH(f.as) // the same as the victim's with it
	}
	return f.stolen.DH(public) // not what the victim would have: its secret is needed
}

// Who has stolen a secret can forge an offer to its owner, but neither read the
// answer nor answer the owner's offer.
func TestStolenSecret(t *testing.T) {
	e := newExchange(t)
	a, b := e.a, e.b
	offer, err := NewOffer(a.pair(), thief{b.identity, a.sid}, 7, a.own, a.rand, start)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ReadOffer(b.pair(), b.identity, offer.Bytes())
	if err != nil {
		t.Fatalf("the forged offer does not open: %v; the test tests nothing", err)
	}
	answer, _, err := r.Answer(8, b.own, b.rand, start)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := offer.ReadAnswer(answer, start); err != ErrOpen {
		t.Errorf("the thief reads the answer: %v", err)
	}
	if _, err := ReadOffer(b.pair(), thief{a.identity, b.sid}, e.offer.Bytes()); err != ErrOpen {
		t.Errorf("the thief reads the owner's offer: %v", err)
	}
}

// zeroStatic is an identity whose X25519 does not refuse low order.
type zeroStatic struct{}

func (zeroStatic) DH([32]byte) ([32]byte, error) { return [32]byte{}, nil }

type failingStatic struct{ error }

func (f failingStatic) DH([32]byte) ([32]byte, error) { return [32]byte{1}, f.error }

func TestLowOrder(t *testing.T) {
	e := newExchange(t)
	low := [][32]byte{{}, {1}, {0: 0xec, 31: 0x7f}, {0: 0xed, 31: 0x7f}, {0: 0xee, 31: 0x7f},
		{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
			0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00}}
	for i := range low {
		if low[i][31] == 0x7f {
			for j := 1; j < 31; j++ {
				low[i][j] = 0xff
			}
		}
	}
	for _, point := range low {
		b := bytes.Clone(e.offer.Bytes())
		copy(b[helloHead:], point[:])
		if _, err := ReadOffer(e.b.pair(), e.b.identity, b); err == nil || err == ErrOpen {
			t.Errorf("offer with %x: %v, want that it is refused for its order", point, err)
		}
		if _, err := ReadOffer(e.b.pair(), zeroStatic{}, b); err != errLowOrder {
			t.Errorf("offer with %x, identity that does not care: %v", point, err)
		}
		b = bytes.Clone(e.answer)
		copy(b[helloHead:], point[:])
		if _, err := e.offer.ReadAnswer(b, start); err != errLowOrder {
			t.Errorf("answer with %x: %v, want errLowOrder", point, err)
		}
		p := Pair{e.a.sid, overlay.SID(point)}
		if _, err := NewOffer(p, e.a.identity, 7, e.a.own, e.a.rand, start); err != errLowOrder {
			t.Errorf("offer to %x: %v, want errLowOrder", point, err)
		}
	}
	broken := errors.New("identity is gone")
	if _, err := NewOffer(e.a.pair(), failingStatic{broken}, 7, e.a.own, e.a.rand, start); err != broken {
		t.Errorf("got %v, want %v", err, broken)
	}
	if _, err := NewOffer(e.a.pair(), e.a.identity, 7, e.a.own, bytes.NewReader(nil), start); !errors.Is(err, io.EOF) {
		t.Errorf("without randomness: %v, want EOF", err)
	}
}

// A peer without a cipher in common gets no session, at either side.
func TestNoCipherInCommon(t *testing.T) {
	a, b := newSides(t)
	a.own.Capabilities = Capabilities{AES: true}
	b.own.Capabilities = Capabilities{ChaCha: true}
	_, _, err := b.table.Receive(b.pair(), b.endpoint(), a.offer(start), start)
	wantError(t, "offer", err, "no cipher in common")
	if b.table.Len() != 0 || len(b.table.ids) != 0 {
		t.Errorf("left over: %d pairs, %d ids", b.table.Len(), len(b.table.ids))
	}
}

// Two offers that cross: that of the smaller SID holds, for 5 s (MSX-10.3).
func TestHolds(t *testing.T) {
	small, large := overlay.SID{1}, overlay.SID{2}
	for _, test := range []struct {
		pair Pair
		age  time.Duration
		want bool
	}{
		{Pair{small, large}, 0, true}, {Pair{small, large}, 5*time.Second - 1, true}, {Pair{small, large}, 5 * time.Second, false},
		{Pair{large, small}, 0, false}, {Pair{large, small}, time.Hour, false},
	} {
		if got := test.pair.Holds(start, start.Add(test.age)); got != test.want {
			t.Errorf("%v after %v: %v", test.pair.Local, test.age, got)
		}
	}
}

func FuzzReadHello(f *testing.F) {
	a, b := newIdentity(f, [32]byte{1}), newIdentity(f, [32]byte{2})
	o, err := NewOffer(Pair{a.sid, b.sid}, a, 7, Payload{Capabilities: ours}, bytes.NewReader(make([]byte, 32)), start)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.Clone(o.Bytes()))
	f.Fuzz(func(t *testing.T, hello []byte) {
		_, err := ReadOffer(Pair{b.sid, a.sid}, b, hello)
		if (err == nil) != bytes.Equal(hello, o.Bytes()) {
			t.Fatalf("%x: %v", hello, err)
		}
		if s, err := o.ReadAnswer(hello, start); err == nil {
			t.Fatalf("%x made %v", hello, s)
		}
	})
}
