package mdpconn_test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
)

// A puppet is a neighbour that answers challenges, so that it counts, and else
// says what a test makes it say.
type puppet struct {
	t       *testing.T
	network *memnet.Network
	link    *memnet.Link
	id      *mdpconn.Identity
	known   overlay.SIDs // for abbreviations

	mu    sync.Mutex // guards what follows
	seq   byte
	heard []heardPayload
}

type heardPayload struct {
	at       time.Time
	envelope overlay.Envelope
	payload  overlay.Payload
}

func newPuppet(t *testing.T, network *memnet.Network, link *memnet.Link, id *mdpconn.Identity, known ...mdpconn.SID) *puppet {
	p := &puppet{t: t, network: network, link: link, id: id}
	for _, sid := range append(known, id.SID()) {
		p.known = append(p.known, overlay.SID(sid))
	}
	link.Unguard() // it plays stock, or an attacker
	t.Cleanup(func() { link.Close() })
	go p.run()
	return p
}

func (p *puppet) run() {
	ps := []mdpconn.Packet{{Data: make([]byte, 2000)}}
	for {
		ps[0].Data = make([]byte, 2000)
		if _, err := p.link.ReadPackets(ps); err != nil {
			return
		}
		p.handle(ps[0])
	}
}

func (p *puppet) handle(got mdpconn.Packet) {
	var packet overlay.Packet
	if packet.Parse(got.Data, overlay.Context{Resolver: p.known}) != nil {
		return
	}
	for pl := (overlay.Payload{}); packet.Next(&pl); {
		p.mu.Lock()
		p.heard = append(p.heard, heardPayload{time.Now(), packet.Envelope, pl})
		p.mu.Unlock()
		mode, err := pl.Flags.Mode()
		if err != nil || mode != overlay.ModeCiphered || mdpconn.SID(pl.Destination.SID) != p.id.SID() {
			continue
		}
		key, err := p.id.SharedKey(mdpconn.SID(pl.Source.SID))
		if err != nil {
			continue
		}
		plain, err := overlay.OpenBody(nil, key, pl.Body)
		if err != nil {
			continue
		}
		if ports, data, err := overlay.ParsePorts(plain); err == nil && ports.Destination == overlay.PortEcho {
			answer := sealed(p.t, key, mdpconn.SID(pl.Source.SID), overlay.Ports{Destination: ports.Source, Source: overlay.PortEcho}, string(data))
			p.say(got.Addr, answer)
		}
	}
}

// say sends payloads.
func (p *puppet) say(to netip.AddrPort, pls ...overlay.Payload) {
	for i := range pls {
		pls[i].Seq = p.nextSeq()
	}
	p.link.WritePackets([]mdpconn.Packet{{Addr: to, Data: packet(p.t, p.id.SID(), pls...)}})
}

// nextSeq gives the number of the next payload.
func (p *puppet) nextSeq() byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq++
	return p.seq
}

// take gives what was heard since the last take.
func (p *puppet) take() []heardPayload {
	p.mu.Lock()
	defer p.mu.Unlock()
	got := p.heard
	p.heard = nil
	return got
}

// explains gives the bodies of the please-explains among that.
func (p *puppet) explains() (bodies []string) {
	for _, h := range p.take() {
		if h.payload.Type == overlay.TypeExplain {
			bodies = append(bodies, string(h.payload.Body))
		}
	}
	return bodies
}

// linkState makes link state of a source for a node: that it hears the node, and
// more.
func linkState(t *testing.T, source, to mdpconn.SID, more ...overlay.LinkRecord) overlay.Payload {
	t.Helper()
	body, _ := overlay.AppendPorts(nil, overlay.Ports{Destination: overlay.PortLinkState, Source: overlay.PortLinkState})
	ctx := overlay.BodyContext(overlay.SID(source), nil)
	records := append([]overlay.LinkRecord{{
		Flags: overlay.LinkUnicast | overlay.LinkInterface, Receiver: overlay.To(overlay.SID(source)), Version: 1,
		Transmitter: overlay.To(overlay.SID(to)),
	}}, more...)
	for i := range records {
		var err error
		if body, err = overlay.AppendLinkRecord(body, &records[i], &ctx); err != nil {
			t.Fatal(err)
		}
	}
	return overlay.Payload{Flags: overlay.OneHop, Destination: overlay.To(overlay.SID(to)), Type: overlay.TypeData, Body: body}
}

// reached says that somebody is reached through somebody.
func reached(receiver, transmitter mdpconn.SID) overlay.LinkRecord {
	return overlay.LinkRecord{Receiver: overlay.To(overlay.SID(receiver)), Version: 1, Transmitter: overlay.To(overlay.SID(transmitter))}
}

// neighbourly has the puppet be a neighbour of a node for a time, telling it
// records every half second.
func (p *puppet) neighbourly(n *mdpconn.Node, link *memnet.Link, d time.Duration, more ...overlay.LinkRecord) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		p.say(link.LocalAddr(), linkState(p.t, p.id.SID(), n.Primary(), more...))
	}
}
