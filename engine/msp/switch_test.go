package msp

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"mesh.example/msp/engine/stream"
)

const firstExt = FlagFirst | FlagExtended

// wantExtended looks at the oldest packet not yet looked at: one of the extended
// format that says all of the given.
func (h *harness) wantExtended(why string, says ...string) {
	h.t.Helper()
	if len(h.out) == 0 {
		h.t.Fatalf("%s: nothing sent, want %q", why, says)
	}
	got := h.out[0].data
	h.out = h.out[1:]
	for _, s := range says {
		if text := stream.String(got); !stream.IsPacket(got) || !strings.Contains(text, s) {
			h.t.Fatalf("%s: got %s (% x), want %q in it", why, text, got, s)
		}
	}
}

// writeExtended lets a packet of the extended format arrive, its frames in hex.
func (h *harness) writeExtended(number byte, frames string) {
	h.t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(frames, " ", ""))
	if err != nil {
		h.t.Fatal(err)
	}
	h.writeRaw(append([]byte{stream.Format, number, 0, 0, 0}, b...)...)
}

// parts gives what the application gets.
func (h *harness) parts() (got string) {
	in := h.inbox()
	for h.c.TakeTo(&in) {
	}
	for in.Ready() {
		b := make([]byte, 100)
		n, ends := in.ReadMessage(b)
		if got += string(b[:n]); ends {
			got += "|"
		}
	}
	h.turn()
	return got
}

// inbox gives an empty inbox.
func (h *harness) inbox() stream.Inbox {
	return stream.Inbox{Alloc: h.mux.cfg.alloc, Free: h.mux.cfg.free}
}

const params = "09 04 03 02 6ee0" // an idle timeout of 12 s, and else what holds without

// TestAnnounce: [MSX-1.1], [MSX-1.2], [MSX-1.3] what an initiator shows of the
// extension.
func TestAnnounce(t *testing.T) {
	t.Run("a peer that does not read it", func(t *testing.T) {
		h := newHarnessConfig(t, Config{Extended: true})
		h.dial()
		h.send("hello")
		h.wantPacket("the opening announces", h.msg(firstExt, 0, 0, "hello"))
		h.write(h.ack(FlagAck, 0))
		h.send("more")
		h.wantPacket("nothing else does", h.msg(0, 0, 1, "more"))
		h.writeExtended(64, "01") // a published message, of one byte, as peers without the extension read it
		h.wantPacket("a peer that has answered in the other format sends no extended packet", h.ack(FlagAck, 0))
	})
	t.Run("not wanted", func(t *testing.T) {
		for _, cfg := range []Config{{}, {Extended: true}} {
			h := newHarnessConfig(t, cfg)
			h.dial()
			h.c.StayPublished()
			h.send("hello")
			h.wantPacket("nothing is announced", h.msg(FlagFirst, 0, 0, "hello"))
			h.writeExtended(64, params) // [MSX-1.5]
			if h.c.Extended() || h.c.Stats().Extended {
				t.Error("it switched without having announced")
			}
		}
	})
	t.Run("a listener that does not want it", func(t *testing.T) {
		h := newHarnessConfig(t, Config{Extended: true})
		h.listen(8)
		h.l.Published = true
		h.write(h.msg(firstExt, 0, 0, "hello"))
		h.wantPacket("the answer is published", h.ack(FlagAck, 0))
	})
}

// TestFirstWindow: [MSX-8.6] a handshake that measured a short round trip allows a larger
// first window. What is known of the peer from before does not, nor a dial whose first
// packet carried data, was repeated, or crossed the peer's.
func TestFirstWindow(t *testing.T) {
	const large, small = 32 * 1029, 10 * 1029 // MSX-6.2
	for _, c := range []struct {
		why  string
		do   func(h *harness)
		want int
	}{
		{"a handshake", func(h *harness) {
			h.wantPacket("it begins", h.ack(firstExt, 0))
			h.advance(100 * ms)
		}, large},
		{"over a long path", func(h *harness) {
			h.wantPacket("it begins", h.ack(firstExt, 0))
			h.advance(250 * ms)
		}, small},
		{"data in the first packet", func(h *harness) {
			h.send("hello")
			h.advance(100 * ms)
		}, small},
		{"repeated", func(h *harness) {
			h.advance(time.Second)
		}, small},
		{"both called", func(h *harness) {
			h.write(h.ack(firstExt, 0))
		}, small},
	} {
		h := newHarnessConfig(t, Config{Extended: true})
		h.dial()
		h.knowPath()
		h.turn()
		c.do(h)
		h.out = nil
		h.writeExtended(64, params)
		if !h.c.Extended() {
			t.Fatalf("%s: it has not switched", c.why)
		}
		if got := h.c.x.Window(); got != c.want {
			t.Errorf("%s: window of %d bytes, want %d", c.why, got, c.want)
		}
		h.out = nil
	}
}

// TestSwitchOfResponder: [MSX-1.4] an end that received EXT answers in the extended
// format at once; [MSX-1.7] messages count as packets, [MSX-1.8] late ones of the
// opening are read, [MSX-1.9] and nothing else of the published format but STOP.
func TestSwitchOfResponder(t *testing.T) {
	h := newHarnessConfig(t, Config{Extended: true})
	h.listen(8)
	h.write(h.msg(firstExt, 0, 1, "two"))
	h.wantExtended("the first answer", "packet 64", "ACK 1 ", "PARAMS message=65536")
	if got := h.parts(); got != "" {
		t.Errorf("got %q before the first message", got)
	}
	h.write(h.msg(firstExt, 0, 0, "one"))
	h.wantExtended("a late one is taken", "ACK 1-0")
	if got := h.parts(); got != "one|two|" {
		t.Errorf("got %q", got)
	}
	h.write(h.msg(firstExt, 0, 0, "one"))
	h.wantExtended("a repeated one is acknowledged again", "ACK 1-0")
	h.write(h.ack(firstExt, 0))
	h.wantExtended("a repeated opening is answered", "PING")
	dropped := h.c.Stats().Dropped
	h.write(h.msg(0, 0, 2, "three"), h.ack(FlagAck, 0), h.msg(firstExt, 0, 64, "too far"))
	h.wantIdle("other published packets are dropped")
	if n := h.c.Stats().Dropped - dropped; n != 3 || h.parts() != "" {
		t.Errorf("%d counted as dropped, want 3", n)
	}
	h.write(stopPacket)
	h.wantCause("[MSX-7.5] a STOP counts in either format", Reset)
}

// TestSwitchOfInitiator: [MSX-1.5] an end that announced and gets an extended packet
// goes on in that format; [MSX-1.10] what was lost of the opening goes again in it.
func TestSwitchOfInitiator(t *testing.T) {
	h := newHarnessConfig(t, Config{Extended: true})
	h.dial()
	h.send("one", "two", "three", "four", "five")
	for i, m := range []string{"one", "two", "three", "four"} {
		h.wantPacket("the opening", h.msg(firstExt, 0, i, m))
	}
	h.wantIdle("more is not sent before there is an answer")
	h.advance(20 * time.Millisecond)
	h.writeExtended(64, params+" 02 03 00 01 01 00 00") // ACK 3-2, 0
	h.wantExtended("what is new and what is owed", "packet 64", "ACK 64", "PARAMS", "DATA 19+5")
	h.advance(30 * time.Millisecond)
	h.wantExtended("the second message was lost", "DATA 4+4")
	if s := h.c.Stats(); !s.Extended || s.BytesAcked != 3 {
		t.Errorf("%+v", s)
	}
}

// TestSwitchOfBoth: [MSX-1.6] two ends that called each other switch as well.
func TestSwitchOfBoth(t *testing.T) {
	h := newHarnessConfig(t, Config{Extended: true})
	h.dial()
	h.send("mine")
	h.wantPacket("the opening", h.msg(firstExt, 0, 0, "mine"))
	h.write(h.msg(firstExt, 0, 0, "yours"))
	h.wantExtended("the answer to the peer's", "packet 64", "ACK 0 ", "PARAMS")
	if got := h.parts(); got != "yours|" {
		t.Errorf("got %q", got)
	}
}

// TestExtendedSilence: [MSX-7.1] 10 s without the answer that the peer owes end the
// connection; [MSX-7.2] one that is idle is asked after a third of the timeout that
// both ends agree on, here 12 s.
func TestExtendedSilence(t *testing.T) {
	idle := func(t *testing.T) *harness {
		h := newHarnessConfig(t, Config{Extended: true})
		h.listen(8)
		h.oneMore()
		return h
	}
	t.Run("asked", func(t *testing.T) {
		h := idle(t)
		h.wantQuiet("an idle connection says nothing", 4*time.Second-time.Millisecond)
		h.advance(time.Millisecond)
		h.wantExtended("then it asks", "PING")
		h.advance(10*time.Second - time.Millisecond)
		h.wantCause("while the answer may come", Open)
		h.advance(time.Millisecond)
		h.wantCause("10 s later", TimedOut)
	})
	t.Run("answered", func(t *testing.T) {
		h := idle(t)
		h.writeExtended(65, "01")
		h.wantExtended("a PING is answered at once", "ACK 65")
	})
}

// TestExtendedLinger: [MSX-7.4] a finished connection answers a packet that asks
// with an ACK of that alone, and one that does not ask with nothing.
func TestExtendedLinger(t *testing.T) {
	h := newHarnessConfig(t, Config{Extended: true})
	h.listen(8)
	h.write(h.msg(firstExt|FlagShutdown, 0, 0, "all"))
	h.wantExtended("the answer", "ACK 0 ")
	if got := h.parts(); got != "all|" {
		t.Errorf("got %q", got)
	}
	h.shutdown()
	h.wantExtended("our end", "FIN")
	h.writeExtended(64, params+" 02 4041 00 00 01")
	h.wantCause("both ends are delivered", Finished)
	h.wantExtended("the last words", "ACK 64")
	h.writeExtended(65, "06 04 00")
	h.wantExtended("what is repeated is acknowledged", "ACK 65 ")
	h.writeExtended(66, "02 4041 00 00 00")
	h.wantIdle("an ACK is not")
	h.write(h.ack(0, 0))
	h.advance(time.Minute)
	h.skip()
	h.writeExtended(67, "01")
	h.wantIdle("a late packet of a connection that ended well gets no STOP")
}

// TestExtendedLingerUnbound: [MSX-7.4] a finished connection whose port nobody has any
// more answers in its own format; [MSX-1.4] what is published it does not answer, a
// late opening least of all.
func TestExtendedLingerUnbound(t *testing.T) {
	h := newHarnessConfig(t, Config{Extended: true})
	h.listen(8)
	h.write(h.msg(firstExt|FlagShutdown, 0, 0, "all"))
	h.parts()
	h.shutdown()
	h.writeExtended(64, params+" 02 4041 00 00 01")
	h.wantCause("both ends are delivered", Finished)
	h.skip()
	h.mux.InputUnbound(h.now, h.local, h.remote, []byte{stream.Format, 65, 0, 0, 0, 0x06, 4, 0}, true)
	h.turn()
	h.wantExtended("what is repeated is acknowledged", "ACK 65 ")
	h.mux.InputUnbound(h.now, h.local, h.remote, AppendPacket(nil, h.msg(firstExt, 0, 1, "late")), false)
	h.l.Close()
	h.write(h.msg(firstExt, 0, 1, "late"), h.msg(FlagAck, 0, 1, "none of its"))
	h.wantIdle("published packets are not answered")
}

// TestUnknownBitOfPublished: [MSX-2.1] where EXT was neither sent nor received the bits
// that the published format ignores are ignored, 0x20 by itself included.
func TestUnknownBitOfPublished(t *testing.T) {
	const unknown = Flags(0x20)
	h := newHarnessConfig(t, Config{Extended: true})
	h.listen(8)
	h.write(h.msg(FlagFirst|unknown, 0, 0, "one"))
	h.wantPacket("the opening is answered", h.ack(FlagAck, 0))
	h.write(h.msg(unknown, 0, 1, "two"))
	h.wantPacket("so is a message with nothing but the bit", h.ack(FlagAck, 1))
	if len(h.got) != 2 || h.got[1] != "two" {
		t.Errorf("got %q", h.got)
	}
	h.shutdown()
	h.skip()
	h.write(h.msg(FlagAck|FlagShutdown|unknown, 0, 2, ""))
	h.wantCause("both ends are delivered", Finished)
	h.skip()
	h.write(h.msg(unknown, 0, 1, "two"))
	h.wantPacket("a finished connection acknowledges it again", h.ack(FlagAck, 2))
}

// TestLateExtendedIsNoProof: a published connection on probation is not proven by
// what the extended one before it left on the way, though that has no FIRST.
func TestLateExtendedIsNoProof(t *testing.T) {
	h := newHarnessConfig(t, Config{Extended: true})
	h.listen(8)
	h.write(h.msg(firstExt, 0, 0, "first life"))
	h.c.Stop()
	h.turn()
	h.write(h.ack(FlagFirst, 0)) // a late one, or of a peer that does not want the extension now
	h.skip()
	h.writeExtended(65, "01")
	if len(h.seen) != 1 {
		t.Error("what was late let a ghost in")
	}
	h.wantIdle("it is not answered")
	h.write(h.ack(0, 0))
	if len(h.seen) != 2 {
		t.Error("the proof was not taken")
	}
}

// TestExtendedStray: [MSX-7.5] an extended packet of an unknown connection is
// answered with STOP.
func TestExtendedStray(t *testing.T) {
	h := newHarnessConfig(t, Config{Extended: true})
	h.listen(8)
	h.writeExtended(64, "01")
	h.wantPacket("nobody knows it", stopPacket)
}

// TestExtendedProbation: [MSX-7.6] on a 4-tuple that was in use a moment ago an
// opening is answered without an ACK, and only who acknowledges that answer and
// names parameters in one packet is let in.
func TestExtendedProbation(t *testing.T) {
	h := newHarnessConfig(t, Config{Extended: true})
	h.listen(8)
	h.write(h.msg(firstExt, 0, 0, "first life"))
	h.c.Stop()
	h.turn()
	h.advance(time.Second)
	h.skip()
	h.write(h.msg(firstExt, 0, 0, "second life"))
	answer := h.out[0].data
	if text := stream.String(answer); strings.Contains(text, "ACK") || !strings.Contains(text, "PARAMS") {
		t.Fatalf("the answer is %s", text)
	}
	h.skip()
	h.writeExtended(64, "02 4040 00 00 00 "+params) // as recorded: it acknowledges packet 64
	h.writeExtended(65, params)
	if len(h.seen) != 1 || h.parts() != "" {
		t.Fatal("a recording was let in")
	}
	number := append([]byte{0x80 | answer[4], answer[3], answer[2], answer[1]}, 0, 0, 0) // below 2^30: a varint
	h.writeRaw(append(append([]byte{stream.Format, 66, 0, 0, 0, 0x02}, number...), 0x01)...)
	if len(h.seen) != 1 {
		t.Fatal("what lingers at the peer was let in")
	}
	p, _ := hex.DecodeString(strings.ReplaceAll(params, " ", ""))
	h.writeRaw(append(append([]byte{stream.Format, 67, 0, 0, 0, 0x02}, number...), p...)...)
	if len(h.seen) != 2 || h.parts() != "second life|" {
		t.Fatalf("%d connections", len(h.seen))
	}
}
