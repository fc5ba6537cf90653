package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mesh.example/msp/engine"
	"mesh.example/msp/engine/msp"
	"mesh.example/msp/mdpconn"
)

// TestSeed goes through the description of the client API that the protocol was
// published with, statement by statement, each in words of ours as the name of
// a test. Where this implementation departs from one, the test says so.
func TestSeed(t *testing.T) {
	for _, section := range []map[string]func(t *testing.T, h *hands){
		seedCreate, seedProcessing, seedListen, seedConnect, seedSend, seedHandler, seedClose,
	} {
		for name, f := range section {
			t.Run(name, func(t *testing.T) { byHand(t, f) })
		}
	}
}

var seedCreate = map[string]func(t *testing.T, h *hands){
	"a socket is made on an MDP socket": func(t *testing.T, h *hands) {
		s := h.a.Socket()
		if !s.IsInitialising() || s.IsOpen() || s.IsListening() || s.IsConnected() || s.IsClosed() || h.a.SocketCount() != 1 {
			t.Errorf("a new socket: state %v, %d sockets", s.State(), h.a.SocketCount())
		}
	},
}

var seedProcessing = map[string]func(t *testing.T, h *hands){
	"readiness to read tells of queued inbound events, and recv takes them": func(t *testing.T, h *hands) {
		if err := h.b.Recv(time.Now()); err != engine.ErrNoPacket {
			t.Errorf("Recv without a packet: %v, want ErrNoPacket", err)
		}
		h.listen(t)
		h.connect(t)
		start := time.Now()
		time.Sleep(oneWay) // the first packet leaves oneWay after Connect without data
		h.a.step()
		<-h.b.Readable()
		wantAfter(t, "readable", start, 2*oneWay)
		try(t, "Recv", h.b.Recv(time.Now()))
		if err := h.b.Recv(time.Now()); err != engine.ErrNoPacket {
			t.Errorf("Recv of a second packet: %v, want ErrNoPacket", err)
		}
	},
	"after recv, processing schedules the alarms": func(t *testing.T, h *hands) {
		_, db := h.listen(t)
		h.connect(t)
		time.Sleep(oneWay)
		h.a.step()
		<-h.b.Readable()
		try(t, "Recv", h.b.Recv(time.Now()))
		if len(db.sockets) != 0 {
			t.Error("the handler was called by Recv")
		}
		next := h.b.Processing(time.Now())
		if len(db.sockets) == 0 {
			t.Error("the handler was not called by Processing")
		}
		if want := time.Now().Add(1500 * time.Millisecond); !next.Equal(want) {
			t.Errorf("next is in %v, want the keep-alive in 1.5 s", time.Until(next))
		}
	},
	"processing names the time for its next call, and calls at or before it suffice": func(t *testing.T, h *hands) {
		a, b, _, db := h.pair(t) // [MSP-12.5]; run calls at that time
		h.run(time.Minute)
		for range 1000 { // early calls are harmless
			sent := countDatagrams(h.client)
			if time.Now().Before(h.a.next) {
				h.a.Processing(time.Now())
				h.a.Processing(time.Now())
			}
			if sent() != 0 {
				t.Fatalf("calls before the time sent %d datagrams", sent())
			}
			h.run(time.Millisecond)
		}
		try(t, "Send", a.Send([]byte("alive")))
		h.run(time.Second)
		if !slices.Equal(db.messages, []string{"alive"}) || !b.IsOpen() {
			t.Errorf("after a minute: messages %q, state %v", db.messages, b.State())
		}
	},
	"there may be nothing to wait for": func(t *testing.T, h *hands) {
		if next := h.a.Processing(time.Now()); !next.IsZero() {
			t.Errorf("Processing without sockets: next is %v", next)
		}
		h.listen(t)
		if next := h.b.Processing(time.Now()); !next.IsZero() {
			t.Errorf("Processing of a listener: next is %v", next)
		}
	},
}

var seedListen = map[string]func(t *testing.T, h *hands){
	"it can be bound to all identities": func(t *testing.T, h *hands) {
		seedReach(t, h, mdpconn.All, true, true)
	},
	"it can be bound to the primary identity": func(t *testing.T, h *hands) {
		seedReach(t, h, mdpconn.Primary, true, false)
	},
	"it can be bound to a SID": func(t *testing.T, h *hands) {
		second := seedIdentity(t, h)
		seedReach(t, h, second, false, true)
	},
	"one MDP socket serves any number of incoming connections": func(t *testing.T, h *hands) {
		_, db := h.listen(t)
		for i := range 50 {
			s, _ := h.connect(t)
			try(t, "Send", s.Send([]byte(fmt.Sprint(i))))
		}
		h.run(time.Second)
		if len(db.messages) != 50 || h.b.SocketCount() != 51 {
			t.Errorf("%d messages at %d sockets, want 50 at the listener and 50", len(db.messages), h.b.SocketCount())
		}
	},
	"each incoming connection has a socket with both its addresses": func(t *testing.T, h *hands) {
		a, b, _, _ := h.pair(t)
		if b.Local() != a.Remote() || b.Remote() != a.Local() {
			t.Errorf("socket has %v and %v, the peer's %v and %v", b.Local(), b.Remote(), a.Local(), a.Remote())
		}
		if want := (mdpconn.Addr{SID: h.server.Primary(), Port: port}); b.Local() != want {
			t.Errorf("socket is at %v, want %v", b.Local(), want)
		}
	},
	"it begins with the handler of the listening socket": func(t *testing.T, h *hands) {
		a, b, _, db := h.pair(t)
		try(t, "Send", a.Send([]byte("to the first")))
		h.run(time.Second)
		own := newDiary()
		b.SetHandler(own.handler(t)) // initially, that is: it can have its own
		try(t, "Send", a.Send([]byte("to its own")))
		h.run(time.Second)
		if !slices.Equal(db.messages, []string{"to the first"}) || !slices.Equal(own.messages, []string{"to its own"}) {
			t.Errorf("the listener's handler got %q, its own %q", db.messages, own.messages)
		}
	},
}

// seedIdentity gives the server's node a second identity.
func seedIdentity(t *testing.T, h *hands) mdpconn.SID {
	t.Helper()
	id, err := mdpconn.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	try(t, "AddIdentity", h.server.AddIdentity(id))
	h.client.AddHint(id.SID(), h.serverLink.LocalAddr())
	return id.SID()
}

// seedReach checks by which SIDs a listener bound to sid can be reached.
func seedReach(t *testing.T, h *hands, sid mdpconn.SID, first, second bool) {
	t.Helper()
	sids := h.server.SIDs()
	if len(sids) == 1 {
		sids = append(sids, seedIdentity(t, h))
	}
	s := h.b.Socket()
	s.SetLocal(mdpconn.Addr{SID: sid, Port: port})
	try(t, "Listen", s.Listen())
	if !s.IsListening() || s.IsInitialising() || s.State()&msp.Listening == 0 {
		t.Errorf("a listening socket has the state %v", s.State())
	}
	for i, want := range []bool{first, second} {
		c := h.a.Socket()
		try(t, "Connect", c.Connect(time.Now(), mdpconn.Addr{SID: sids[i], Port: port}))
		h.run(time.Second)
		if c.IsConnected() != want {
			t.Errorf("bound to %v: connected by %v: %v, want %v", sid, sids[i], c.IsConnected(), want)
		}
	}
}

var seedConnect = map[string]func(t *testing.T, h *hands){
	// Departure: one MDP socket carries any number of outgoing connections.
	"one outgoing connection is supported, here several": func(t *testing.T, h *hands) {
		_, db := h.listen(t)
		var sockets []*engine.Socket
		for range 3 {
			s, _ := h.connect(t)
			sockets = append(sockets, s)
		}
		h.run(time.Second)
		for i, s := range sockets {
			try(t, "Send", s.Send([]byte{byte('0' + i)}))
		}
		h.run(time.Second)
		if got := strings.Join(db.messages, ""); len(got) != 3 {
			t.Errorf("messages of three connections: %q", got)
		}
	},
	"set_local before set_remote binds the source": func(t *testing.T, h *hands) {
		_, db := h.listen(t)
		second, err := mdpconn.NewIdentity()
		if err != nil {
			t.Fatal(err)
		}
		try(t, "AddIdentity", h.client.AddIdentity(second))
		from := mdpconn.Addr{SID: second.SID(), Port: 1234}
		s := h.a.Socket()
		s.SetLocal(from)
		try(t, "Connect", s.Connect(time.Now(), mdpconn.Addr{SID: h.server.Primary(), Port: port}))
		h.run(time.Second)
		if len(db.sockets) == 0 || db.sockets[len(db.sockets)-1].Remote() != from || s.Local() != from {
			t.Errorf("connected from %v, want %v", s.Local(), from)
		}
	},
	// Departure: a random port, not the next one ([MSP-1.6]).
	"without it the source is the primary identity on a free port": func(t *testing.T, h *hands) {
		a, b, _, _ := h.pair(t)
		if a.Local().SID != h.client.Primary() || a.Local().Port == 0 || b.Remote() != a.Local() {
			t.Errorf("connected from %v, seen as %v; want the primary identity %v", a.Local(), b.Remote(), h.client.Primary())
		}
	},
	"data may be sent at once, a few packets of it before the peer has accepted": func(t *testing.T, h *hands) {
		h.net.Cut(h.clientLink, h.serverLink)
		a, _ := h.connect(t)
		for i := range 20 {
			try(t, "Send", a.Send([]byte{byte(i)}))
		}
		sent := countDatagrams(h.client)
		h.a.Processing(time.Now())
		if n := sent(); n < 1 || n > 4 {
			t.Errorf("%d datagrams sent before the peer was heard, want 1 to 4 [MSP-4.1.2]", n)
		}
	},
	"processing establishes the connection": func(t *testing.T, h *hands) {
		_, db := h.listen(t)
		sent := countDatagrams(h.client)
		a, _ := h.connect(t)
		pass(time.Second)
		if sent() != 0 || a.IsConnected() || !a.IsOpen() {
			t.Errorf("without Processing: %d datagrams sent, state %v", sent(), a.State())
		}
		h.run(time.Second)
		if !a.IsConnected() || len(db.sockets) == 0 {
			t.Errorf("with Processing: state %v", a.State())
		}
	},
}

var seedSend = map[string]func(t *testing.T, h *hands){
	"data leave with the next processing": func(t *testing.T, h *hands) {
		a, _, _, db := h.pair(t)
		sent := countDatagrams(h.client)
		try(t, "Send", a.Send([]byte("x")))
		pass(100 * time.Millisecond)
		if sent() != 0 {
			t.Errorf("%d datagrams sent without Processing", sent())
		}
		start := time.Now()
		h.a.Processing(time.Now())
		<-h.b.Readable()
		wantAfter(t, "the message", start, oneWay)
		h.run(time.Second)
		if !slices.Equal(db.messages, []string{"x"}) {
			t.Errorf("messages %q", db.messages)
		}
	},
	"message boundaries are preserved from end to end": func(t *testing.T, h *hands) {
		a, _, _, db := h.pair(t) // [MSP-12.1]
		im := steady
		im.Loss, im.Reorder, im.Duplicate = 0.1, 0.1, 0.1
		h.net.SetImpairmentAll(im)
		var want []string
		for i := range 60 {
			want = append(want, strings.Repeat(fmt.Sprint(i%10), 1+i*17))
			try(t, "Send", a.Send([]byte(want[i])))
		}
		h.run(time.Minute)
		if !slices.Equal(db.messages, want) {
			t.Errorf("%d messages came, not as the %d that were sent", len(db.messages), len(want))
		}
	},
	"messages of no length are not supported": func(t *testing.T, h *hands) {
		a, _, _, _ := h.pair(t)
		if err := a.Send(nil); err != msp.ErrEmpty {
			t.Errorf("Send of nothing: %v, want ErrEmpty", err)
		}
	},
	"send fails for want of room, and data-out tells of it again": func(t *testing.T, h *hands) {
		a, _, da, db := h.pair(t) // [MSP-12.4]
		filled := 0
		fill := func() error {
			for {
				if err := a.Send([]byte(fmt.Sprint(filled))); err != nil {
					return err
				}
				filled++
			}
		}
		if err := fill(); !errors.Is(err, msp.ErrFull) {
			t.Fatalf("Send into a full queue: %v, want ErrFull", err)
		}
		if a.State()&msp.DataOut != 0 {
			t.Errorf("state %v with a full queue", a.State())
		}
		told := 0
		da.react = func(s *engine.Socket, state msp.State, payload []byte) int {
			if state&msp.DataOut != 0 && filled < 1000 {
				told++
				before := filled
				if err := fill(); !errors.Is(err, msp.ErrFull) || filled == before {
					t.Errorf("told DATAOUT: %d messages fit, %v", filled-before, err)
				}
			}
			return len(payload)
		}
		h.run(time.Minute)
		if told == 0 || filled < 1000 {
			t.Errorf("told of room %d times, %d messages in all", told, filled)
		}
		for i, m := range db.messages {
			if m != fmt.Sprint(i) {
				t.Fatalf("message %d is %q", i, m)
			}
		}
		if len(db.messages) != filled {
			t.Errorf("%d messages arrived of %d", len(db.messages), filled)
		}
	},
}
