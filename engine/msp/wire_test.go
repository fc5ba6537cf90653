package msp

import (
	"bytes"
	"testing"
	"time"
)

// A wire looks at every packet that two ends of one connection send, as a
// receiver that knows nothing but the protocol sees it, and fails the test for
// each that is not allowed.
type wire struct {
	t             testing.TB
	first         Seq // where numbers start
	ends          map[byte]*wireEnd
	packets, lost int
}

// A wireEnd is what is known of one end: from what it was given, and what it
// sent. Messages are counted from 0 without wrapping.
type wireEnd struct {
	conn *Conn // tells when it ended; nil while nobody knows

	heard    bool           // a packet was delivered to it
	heardAt  time.Time      // the latest while it was open
	arrived  map[int]bool   // messages delivered to it
	acked    int            // how many of its messages it was told are acknowledged
	told     int            // how many messages it has acknowledged
	sent     map[int][]byte // messages it sent: SHUTDOWN flag and bytes
	next     int            // the number of its next new message
	shutdown bool           // that one was the last
}

// watchWire attaches a wire to both hooks of the sim.
func watchWire(s *sim, first Seq) *wire {
	w := &wire{t: s.t, first: first, ends: map[byte]*wireEnd{}}
	s.trace = func(_ time.Time, from Addr, b []byte, lost bool) {
		w.packets++
		if lost {
			w.lost++
		}
		w.sent(from.SID[0], b)
	}
	s.deliver = func(to Addr, b []byte) { w.delivered(s.now, to.SID[0], b) }
	return w
}

func (w *wire) end(name byte) *wireEnd {
	if w.ends[name] == nil {
		w.ends[name] = &wireEnd{heardAt: epoch, arrived: map[int]bool{}, sent: map[int][]byte{}}
	}
	return w.ends[name]
}

// number counts q without wrapping, as the one closest to near.
func (w *wire) number(q Seq, near int) int { return near + q.sub(w.first.add(near)) }

func (w *wire) delivered(now time.Time, name byte, b []byte) {
	e := w.end(name)
	if e.conn == nil || e.conn.Cause() == Open {
		e.heardAt = now
	}
	p, err := ParsePacket(b)
	if err != nil || p.Flags&FlagStop != 0 {
		return
	}
	e.heard = true
	if p.Kind != KindFlags && p.Flags&FlagAck != 0 {
		e.acked = max(e.acked, w.number(p.Ack, e.acked)+1)
	}
	if p.Kind == KindMessage {
		e.arrived[w.number(p.Seq, e.told)] = true
	}
}

func (w *wire) sent(name byte, b []byte) {
	e := w.end(name)
	p, err := ParsePacket(b)
	fail := func(what string) {
		w.t.Helper()
		w.t.Errorf("%c sent %v (% .8x): %s", name, p, b, what)
	}
	switch {
	case err != nil:
		fail("a packet of no bytes")
		return
	case p.Flags&^knownFlags != 0:
		fail("unknown flags")
	case p.Flags&FlagStop != 0:
		if len(b) != 1 || p.Flags != FlagStop {
			fail("STOP is the single byte 08")
		}
		return
	case len(b) != 3 && len(b) < 5 || len(b) > HeaderLen+MaxMessage:
		fail("a packet has 1, 3 or 5 to 1,029 bytes")
		return
	}
	if e.conn != nil && e.conn.Cause() != Open && e.conn.mux.stats.Probations > 0 && len(b) == 3 && p.Flags == 0 {
		return // a late FIRST is asked whether it lives ([MSP-9.3])
	}
	if (p.Flags&FlagFirst != 0) == e.heard {
		fail("FIRST says that nothing was received")
	}
	if p.Flags&FlagShutdown != 0 && p.Kind != KindMessage {
		fail("SHUTDOWN without a number")
	}
	w.ackSent(e, p, fail)
	if p.Kind == KindMessage {
		w.messageSent(e, p, fail)
	}
	if e.conn != nil {
		// A finished connection acknowledges what it hears again, and nothing else.
		switch c := e.conn.Cause(); {
		case c == Open || c == Finished && p.Kind == KindAck:
		default:
			fail("the connection is " + c.String())
		}
	}
}

func (w *wire) ackSent(e *wireEnd, p Packet, fail func(string)) {
	w.t.Helper()
	if p.Flags&FlagAck == 0 {
		if p.Ack != noAck {
			fail("without ACK the field is ffff")
		}
		if e.told > 0 {
			fail("the ack moved backwards")
		}
		return
	}
	n := w.number(p.Ack, e.told) + 1
	if n < e.told {
		fail("the ack moved backwards")
	}
	for ; e.told < n; e.told++ {
		if !e.arrived[e.told] {
			fail("it acknowledges what it has not received")
			return
		}
		delete(e.arrived, e.told)
	}
}

func (w *wire) messageSent(e *wireEnd, p Packet, fail func(string)) {
	w.t.Helper()
	n := w.number(p.Seq, e.next)
	content := append([]byte{byte(p.Flags & FlagShutdown)}, p.Payload...)
	switch old, again := e.sent[n]; {
	case again:
		if !bytes.Equal(old, content) {
			fail("the message is not the same as when it was first sent")
		}
		if n < e.acked {
			fail("it was acknowledged")
		}
		return
	case n != e.next:
		fail("not the next number")
	case e.shutdown:
		fail("a message after SHUTDOWN")
	case len(p.Payload) == 0 && p.Flags&FlagShutdown == 0:
		fail("an empty message")
	}
	e.sent[n], e.next = content, n+1
	e.shutdown = p.Flags&FlagShutdown != 0
	if inFlight := e.next - e.acked; inFlight > 32 {
		fail("more than 32 messages in flight")
	} else if !e.heard && inFlight > 4 {
		fail("more than 4 messages in flight to a peer that was not heard")
	}
}
