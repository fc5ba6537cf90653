package stocktest

import (
	"fmt"
	"slices"
	"time"

	"mesh.example/msp/engine/msp"
	"mesh.example/msp/mdpconn/overlay"
)

// A Play is the peer's part of recorded scenarios while it is played.
type Play struct {
	p    *Peer
	done chan error
}

// Play begins to play the peer's part of these scenarios, on the link between it
// and our node.
func (p *Peer) Play(scenarios ...string) *Play {
	p.t.Helper()
	var script []event
	for _, packet := range p.record.Packets {
		onLink := packet.Link == p.name+"-"+p.us || packet.Link == p.us+"-"+p.name
		if !onLink || packet.Broadcast || !slices.Contains(scenarios, packet.Scenario) {
			continue // what goes to everybody goes to us alone as well
		}
		heard, err := p.record.open(&packet)
		if err != nil {
			p.t.Fatalf("recorded packet %d: %v", packet.N, err)
		}
		script = append(script, event{packet.N, packet.From == p.us, packet.At, overlay.Encapsulation(packet.Data[1]), heard})
	}
	if len(script) == 0 {
		p.t.Fatalf("nothing is recorded of %v between %s and %s", scenarios, p.name, p.us)
	}
	return p.play(script)
}

// PlaySession begins to play what a recorded client heard, or, if that is the part
// of the peer, what it said, up to a time of the record.
func (p *Peer) PlaySession(s *Session, client string, isPeer bool, until time.Duration) *Play {
	p.t.Helper()
	var script []event
	ours, theirs := overlay.SID(p.record.SID(p.us)), overlay.SID(p.id.SID())
	port := uint32(0)
	for _, d := range s.Clients[client] {
		port = max(port, d.LocalPort) // not known yet in the first
	}
	for i, d := range s.Clients[client] {
		if len(d.Payload) == 0 || d.At > until {
			continue
		}
		h := Heard{Mode: overlay.ModeCiphered, Data: d.Payload, Ports: overlay.Ports{Destination: d.RemotePort, Source: port}}
		h.Type, h.Flags = overlay.TypeData, overlay.OneHop|overlay.Ciphered|overlay.Signed|overlay.AckSoon
		h.Seq = byte(i)
		if !d.Sent {
			h.Ports.Destination, h.Ports.Source = h.Ports.Source, h.Ports.Destination
		}
		h.Source, h.Destination = overlay.To(theirs), short(ours, 1)
		if d.Sent != isPeer {
			h.Source, h.Destination = h.Destination, h.Source
		}
		script = append(script, event{i, d.Sent != isPeer, d.At, overlay.Overlay, []Heard{h}})
	}
	if len(script) == 0 {
		p.t.Fatalf("nothing is recorded of %q in %s", client, s.Name)
	}
	p.mu.Lock()
	p.numbers = map[byte]byte{} // those of another record
	p.mu.Unlock()
	return p.play(script)
}

// An event is a recorded packet of one of the two.
type event struct {
	n             int
	ours          bool
	at            time.Duration
	encapsulation overlay.Encapsulation
	payloads      []Heard
}

func (p *Peer) play(script []event) *Play {
	y := &Play{p, make(chan error, 1)}
	go func() { y.done <- y.run(script) }()
	return y
}

// Done wants the play to have come to its end, within 40 s.
func (y *Play) Done() {
	y.p.t.Helper()
	select {
	case err := <-y.done:
		if err != nil {
			y.p.t.Errorf("stock %s: %v", y.p.name, err)
		}
	case <-time.After(40 * time.Second):
		y.p.t.Errorf("stock %s has not come to the end of its play", y.p.name)
	}
}

func (y *Play) run(script []event) error {
	last := y.last(script)
	var causes []cause // what our node said before, as recorded
	var err error
	for i, e := range script {
		if e.ours {
			for _, h := range e.payloads {
				causes = append(causes, cause{e.n, h})
			}
			continue
		}
		if i > 0 {
			time.Sleep(min(max(e.at-script[i-1].at, 0), 2*time.Second))
		}
		var payloads []overlay.Payload
		flush := func() { // the part of the packet whose causes are there
			if len(payloads) > 0 {
				y.p.transmit(e.encapsulation, false, payloads...)
				payloads = nil
			}
		}
		for k := range e.payloads {
			h := &e.payloads[k]
			if causes, err = y.wait(causes, h, flush); err != nil {
				return fmt.Errorf("before recorded packet %d: %w", e.n, err)
			}
			if pl, ok := y.adapt(h, last); ok {
				payloads = append(payloads, pl)
			}
		}
		flush()
	}
	_, err = y.wait(causes, nil, func() {})
	return err
}

// A cause is a recorded payload of our node.
type cause struct {
	n int // the packet
	Heard
}

// wait waits for what caused a payload of the peer: on the same stream, the messages
// that it acknowledges and what our node had acknowledged itself; all that was
// said there if it acknowledges nothing. A nil payload stands for the end, before
// which all has to be heard. It gives the causes that are left, and calls blocked
// before it has to wait.
func (y *Play) wait(causes []cause, h *Heard, blocked func()) (left []cause, err error) {
	var of msp.Packet
	stream := false
	if h != nil {
		of, stream = h.MSP()
	}
	for _, c := range causes {
		m, ok := c.MSP()
		switch {
		case h == nil || !ok && !stream:
		case !ok || !stream || c.stream() != h.stream().back():
			left = append(left, c)
			continue
		case m.Kind == msp.KindMessage && of.Flags&msp.FlagAck != 0 && m.Seq > of.Ack:
			left = append(left, c)
			m.Kind = msp.KindAck
		}
		if err := y.heard(&c.Heard, m, blocked); err != nil {
			return nil, fmt.Errorf("packet %d, of ours, %v: %w", c.n, c.Payload, err)
		}
	}
	return left, nil
}

// last gives for each direction of ours the number of its last recorded message.
func (y *Play) last(script []event) map[stream]int {
	last := map[stream]int{}
	for _, e := range script {
		for k := range e.payloads {
			if m, ok := e.payloads[k].MSP(); ok && e.ours && m.Kind == msp.KindMessage {
				s := e.payloads[k].stream()
				last[s] = max(last[s], int(m.Seq))
			}
		}
	}
	return last
}

// heard waits for what our node has to have said: its part of streams, what echoes,
// and its key.
func (y *Play) heard(h *Heard, m msp.Packet, blocked func()) error {
	ok := func() bool { return true }
	if _, stream := h.MSP(); stream {
		ok = func() bool { return y.p.streams[h.stream()].Has(m) }
	} else if h.Type == overlay.TypeData && h.Ports.Source == overlay.PortEcho {
		ok = func() bool { return y.p.echoes[string(h.Data)] }
	} else if h.Type == overlay.TypeData && h.Ports.Destination == overlay.PortKeyMap {
		if m, err := overlay.ParseKeyMap(h.Data); err == nil && m.Response {
			ok = func() bool { return y.p.keyMaps > 0 }
		}
	}
	return y.p.await(ok, blocked)
}

// adapt makes of a recorded payload of the peer what it says now; false if
// stock would not say it, or the peer says it by itself.
func (y *Play) adapt(h *Heard, last map[stream]int) (overlay.Payload, bool) {
	p := y.p
	pl := h.Payload
	pl.Flags &^= overlay.SenderSame | overlay.LegacyType
	switch m, ok := h.MSP(); {
	case h.Type == overlay.TypeExplain:
		return pl, false // by itself
	case ok:
		p.mu.Lock()
		p.streams[h.stream().back()].Adapt(&m, last[h.stream().back()])
		err := p.reseal(&pl, h, msp.AppendPacket(nil, m))
		p.mu.Unlock()
		if err != nil {
			p.t.Error(err)
		}
	case h.Ports.Destination == overlay.PortLinkState:
		if pl, ok = p.linkNews(h); !ok {
			return pl, false
		}
	case h.Ports.Destination == overlay.PortKeyMap:
		k, err := overlay.ParseKeyMap(h.Data)
		if err != nil || k.Response {
			return pl, false // our node does not ask
		}
		if p.await(func() bool { return p.links.numbering }, func() {}) != nil {
			return pl, false // it asks whom it has a route to
		}
	case h.Ports.Source < 0x40 && h.Ports.Source != 18:
		return pl, false // an answer to what our node has not asked
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	seq, known := p.numbers[h.Seq]
	if !known {
		p.next++
		seq = p.next
		p.numbers[h.Seq] = seq
		delete(p.numbers, h.Seq-128)
	}
	pl.Seq = seq
	return pl, true
}

// linkNews gives the advertisements of a recorded message; link records the peer
// sends by itself.
func (p *Peer) linkNews(h *Heard) (overlay.Payload, bool) {
	body, _ := overlay.AppendPorts(nil, h.Ports)
	ctx := overlay.BodyContext(h.Source.SID, nil)
	state := overlay.NewLinkState(h.Data, overlay.BodyContext(h.Source.SID, p.record.sids()))
	n := 0
	for r := (overlay.LinkRecord{}); state.Next(&r); {
		if r.Receiver.SID == h.Source.SID {
			continue
		}
		n++
		var err error
		if body, err = overlay.AppendLinkRecord(body, &r, &ctx); err != nil {
			p.t.Error(err)
		}
	}
	pl := h.Payload
	pl.Flags &^= overlay.SenderSame | overlay.LegacyType
	pl.Body = body
	return pl, n > 0
}

// reseal seals other data with the recorded nonce; the same data give the same
// bytes.
func (p *Peer) reseal(pl *overlay.Payload, h *Heard, data []byte) error {
	nonce, err := overlay.Nonce(h.Body)
	if err != nil { // the record is of a client
		p.nonce[0] = (p.nonce[0] + 1) & 0x7f
		nonce = p.nonce
	}
	plain, err := overlay.AppendPorts(nil, h.Ports)
	if err != nil {
		return err
	}
	pl.Body, err = overlay.SealBody(nil, sharedKey(p.record.all(), h.Source.SID, h.Destination.SID), &nonce, append(plain, data...))
	return err
}

// Heard gives what the peer heard from our node, from port to port.
func (p *Peer) Heard(fromPort, toPort uint32) *Stream {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s, heard := range p.streams {
		if s.sourcePort == fromPort && s.destinationPort == toPort {
			return heard
		}
	}
	return NewStream()
}
