package session

import (
	"bytes"
	"fmt"
	"testing"
	"unsafe"

	"mesh.example/msp/mdpconn/overlay"
)

// newKeyPair gives the keys of two sides that talk to each other.
func newKeyPair(t testing.TB, c Cipher) (a, b *Keys) {
	t.Helper()
	side := func(send, recv byte, sendID uint32) *Keys {
		k, err := newKeys(c, &[32]byte{send}, &[32]byte{recv}, sendID)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	return side(1, 2, 0xb), side(2, 1, 0xa)
}

var ciphers = []Cipher{AES256GCM, ChaCha20Poly1305}

func TestSealOpen(t *testing.T) {
	var scratch Scratch
	for _, c := range ciphers {
		a, b := newKeyPair(t, c)
		for _, form := range []Form{Compact, Relayed} {
			for _, n := range []int{0, 1, 15, 16, 1000, form.max() - Overhead} {
				text := bytes.Repeat([]byte{0x5a}, n)
				room := make([]byte, HeadSize+n, HeadSize+n+tagSize)
				copy(room[HeadSize:], text)
				counter := uint64(1<<40 + n)
				packet, err := a.Seal(form, room, counter, &scratch)
				if err != nil || len(packet) != n+Overhead || unsafe.SliceData(packet) != unsafe.SliceData(room) {
					t.Fatalf("%v %v: %d bytes of %d, in place %v, %v", c, form, len(packet), n+Overhead,
						unsafe.SliceData(packet) == unsafe.SliceData(room), err)
				}
				h, ok := ParseHead(packet)
				if want := (Head{form, 0xb, uint32(counter)}); !ok || h != want {
					t.Errorf("head %v, want %v", h, want)
				}
				// Without room for the tag the result is a copy.
				short := append(make([]byte, HeadSize, HeadSize+n), text...)
				copied, err := a.Seal(form, short[:len(short):len(short)], counter, &scratch)
				if err != nil || !bytes.Equal(copied, packet) {
					t.Errorf("%v: copy differs, %v", form, err)
				}
				for _, wrong := range []uint64{counter + 1, counter + 1<<32, 0} {
					if _, err := b.Open(bytes.Clone(packet), wrong, &scratch); err != ErrOpen {
						t.Errorf("opened under the counter %d: %v", wrong, err)
					}
				}
				got, err := b.Open(packet, counter, &scratch)
				if err != nil || !bytes.Equal(got, text) {
					t.Errorf("%v %v: %x, %v", c, form, got, err)
				}
			}
		}
	}
}

func TestSealTooLarge(t *testing.T) {
	a, _ := newKeyPair(t, ChaCha20Poly1305)
	for _, form := range []Form{Compact, Relayed} {
		b := make([]byte, form.max()-tagSize+1)
		_, err := a.Seal(form, b, 0, new(Scratch))
		wantError(t, form.String(), err, fmt.Sprintf("packet of %d bytes", form.max()+1))
		if _, ok := ParseHead(append([]byte{byte(form)}, make([]byte, form.max())...)); ok {
			t.Errorf("%v: a head of a packet too large was read", form)
		}
	}
}

// A body of the one form never opens as the other (MSX-12.1).
func TestFormsAreApart(t *testing.T) {
	if Overhead != overlay.MinSessionBody {
		t.Errorf("the shortest packet has %d bytes, and %d according to package overlay", Overhead, overlay.MinSessionBody)
	}
	a, b := newKeyPair(t, AES256GCM)
	packet, _ := a.Seal(Compact, make([]byte, 50, 100), 3, new(Scratch))
	packet[0] = byte(Relayed)
	if _, err := b.Open(packet, 3, new(Scratch)); err != ErrOpen {
		t.Errorf("a compact packet opened as relayed: %v", err)
	}
	if IsRelayed(nil) || IsRelayed([]byte{0x7f}) || !IsRelayed([]byte{0x80}) {
		t.Error("IsRelayed does not tell bodies apart")
	}
}

// Whatever is changed, cut off or added: it does not open.
func TestAnyChange(t *testing.T) {
	for _, c := range ciphers {
		for _, form := range []Form{Compact, Relayed} {
			a, b := newKeyPair(t, c)
			packet, _ := a.Seal(form, append(make([]byte, HeadSize), "some text"...), 77, new(Scratch))
			opens := func(p []byte) bool {
				_, err := b.Open(p, 77, new(Scratch))
				return err == nil
			}
			for bit := range 8 * len(packet) {
				p := bytes.Clone(packet)
				p[bit/8] ^= 1 << (bit % 8)
				if opens(p) {
					t.Errorf("%v %v: opened with bit %d changed", c, form, bit)
				}
			}
			for n := range packet {
				if opens(bytes.Clone(packet[:n])) {
					t.Errorf("%v %v: opened with %d bytes of %d", c, form, n, len(packet))
				}
			}
			if opens(append(bytes.Clone(packet), 0)) {
				t.Errorf("%v %v: opened with a byte more", c, form)
			}
			if _, err := a.Open(bytes.Clone(packet), 77, new(Scratch)); err == nil {
				t.Errorf("%v %v: opened by its sender", c, form)
			}
			if !opens(packet) {
				t.Errorf("%v %v: does not open", c, form)
			}
		}
	}
}

func TestSealAllocates(t *testing.T) {
	for _, c := range ciphers {
		a, b := newKeyPair(t, c)
		buf, scratch, n := make([]byte, 1200), new(Scratch), uint64(0)
		allocs := testing.AllocsPerRun(100, func() {
			packet, err := a.Seal(Compact, buf[:1000], n, scratch)
			if err == nil {
				_, err = b.Open(packet, n, scratch)
			}
			if err != nil {
				t.Fatal(err)
			}
			n++
		})
		if allocs != 0 {
			t.Errorf("%v: %v allocations to seal and open, want none", c, allocs)
		}
	}
}

func TestDescribe(t *testing.T) {
	a, _ := newKeyPair(t, AES256GCM)
	packet, _ := a.Seal(Relayed, make([]byte, 20), 1<<32+5, new(Scratch))
	if got, want := Describe(packet), "relayed to 0000000b #5, 36 bytes"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := Describe([]byte{1}), "no packet of a session, 1 bytes"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzOpen(f *testing.F) {
	a, b := newKeyPair(f, ChaCha20Poly1305)
	packet, _ := a.Seal(Compact, append(make([]byte, HeadSize), "text"...), 1, new(Scratch))
	f.Add(bytes.Clone(packet))
	f.Add([]byte{0x4d, 0, 0, 0, 0xb, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, p []byte) {
		same := bytes.Equal(p, packet)
		_ = Describe(p)
		h, _ := ParseHead(p)
		if _, err := b.Open(p, uint64(h.Low), new(Scratch)); (err == nil) != same {
			t.Fatalf("%x: %v", p, err)
		}
	})
}
