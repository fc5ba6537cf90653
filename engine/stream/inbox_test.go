package stream

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestInbox: whatever the pieces in which a stream arrives, and those in which it is
// read, messages come out as they went in, what was read is counted to the byte, and
// every buffer is freed.
func TestInbox(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		buffers := 0
		in := func() *Inbox {
			return &Inbox{
				Alloc: func(n int) []byte { buffers++; return make([]byte, n, n+r.IntN(2)*r.IntN(2000)) },
				Free:  func([]byte) { buffers-- },
			}
		}
		machine, app := in(), in()
		var sent, got [][]byte
		var stream, part []byte
		for range r.IntN(100) {
			m := message(r, 1+r.IntN(1+r.IntN(3000)))
			sent = append(sent, m)
			stream = append(appendVarint(stream, uint64(len(m))), m...)
		}
		consumed, left := 0, stream
		read := func() {
			for app.Ready() && r.IntN(4) > 0 {
				b := make([]byte, r.IntN(1500))
				n, ends := app.ReadMessage(b)
				if part = append(part, b[:n]...); ends {
					got = append(got, part)
					part = nil
				}
			}
			consumed += app.Consumed()
		}
		for len(left) > 0 {
			n := min(1+r.IntN(1+r.IntN(2000)), len(left))
			if r.IntN(2) == 0 {
				machine.append(left[:n])
			} else {
				machine.take(append(machine.Alloc(n)[:0], left[:n]...))
			}
			left = left[n:]
			if r.IntN(3) == 0 {
				app.TakeAll(machine)
				read()
			}
		}
		app.TakeAll(machine)
		if seed%4 > 0 {
			for app.Ready() {
				read()
			}
			if len(got) != len(sent) || len(part) > 0 {
				t.Fatalf("seed %d: got %d messages of %d", seed, len(got), len(sent))
			}
		}
		for i := range got {
			if !bytes.Equal(got[i], sent[i]) {
				t.Fatalf("seed %d: message %d differs", seed, i)
			}
		}
		app.Drop()
		if consumed += app.Consumed(); consumed != len(stream) || buffers != 0 || app.Len() != 0 {
			t.Fatalf("seed %d: %d bytes of %d counted, %d buffers kept, %d pieces", seed, consumed, len(stream), buffers, app.Len())
		}
	}
}

// TestInboxOfWholeMessages: messages of the published format stay apart, and do not
// share buffers.
func TestInboxOfWholeMessages(t *testing.T) {
	in := &Inbox{Alloc: func(n int) []byte { return make([]byte, n) }, Free: func([]byte) {}}
	for _, m := range []string{"one", "two", "three"} {
		in.Push(append(make([]byte, 0, 2000), m...))
	}
	b := make([]byte, 4)
	for _, want := range []struct {
		text string
		ends bool
	}{{"one", true}, {"two", true}, {"thre", false}, {"e", true}} {
		if n, ends := in.ReadMessage(b); string(b[:n]) != want.text || ends != want.ends {
			t.Errorf("read %q, ends %v, want %+v", b[:n], ends, want)
		}
	}
	if in.Ready() || in.Consumed() != len("onetwothree") {
		t.Error("more was read than was there")
	}
}
