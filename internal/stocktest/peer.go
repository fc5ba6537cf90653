package stocktest

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
)

// Stock's times (docs/overlay.md §2.1, §8.4).
const (
	tick     = 500 * time.Millisecond
	lifetime = 5 * tick
	answerIn = 5 * time.Millisecond
)

// A Peer is a stock node that is the neighbour of one of ours, in virtual time. It
// judges by Rules whatever it gets. Its methods may be called concurrently.
type Peer struct {
	t      testing.TB
	record *Record
	name   string // in the record
	us     string // whose place our node takes there
	id     *mdpconn.Identity
	link   *memnet.Link
	at     netip.AddrPort // our node
	stop   chan struct{}

	mu        sync.Mutex // guards what follows
	rules     *Rules
	queue     []arrival
	wake      chan struct{} // holds one: there is something in the queue
	changed   chan struct{} // closed, and made anew, when something was heard
	links     linkState
	streams   map[stream]*Stream
	numbers   map[byte]byte // payload numbers of the record and here
	next      byte
	nonce     [overlay.NonceLen]byte
	keyMaps   int
	hellos    []time.Time     // when one was dropped
	echoes    map[string]bool // data that came back from port 7
	questions int             // that our node put
	packets   int
	failures  []string
}

type arrival struct {
	data    []byte
	unicast bool
}

// NewPeer makes the recorded node name, as a neighbour of ours at an address of
// network, which takes the place of the recorded node us. It ends with the test,
// which fails if a rule was broken. Call it in the bubble.
func NewPeer(t testing.TB, network *memnet.Network, record *Record, name, us string, at netip.AddrPort) *Peer {
	t.Helper()
	id := record.Identities[name]
	p := &Peer{
		t: t, record: record, name: name, us: us, id: id, link: network.Link(), at: at,
		rules: NewRules(id, record.all()...),
		stop:  make(chan struct{}), wake: make(chan struct{}, 1), changed: make(chan struct{}),
		streams: map[stream]*Stream{}, numbers: map[byte]byte{}, echoes: map[string]bool{},
	}
	p.rules.Lossless = true
	remove := network.Tap(p.tap)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.run()
	}()
	drained := make(chan struct{})
	go func() { // the tap has told of them
		defer close(drained)
		for ps := []mdpconn.Packet{{Data: make([]byte, 2000)}}; ; {
			if _, err := p.link.ReadPackets(ps); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		remove()
		close(p.stop)
		p.link.Close()
		<-done
		<-drained
		for _, f := range p.failures {
			t.Errorf("stock %s: %s", p.name, f)
		}
		if err := p.rules.Complete(); err != nil {
			t.Errorf("stock %s: %v", p.name, err)
		}
		if p.packets == 0 {
			t.Errorf("stock %s got no packet to judge", p.name)
		}
	})
	return p
}

// Addr is the peer's UDP address.
func (p *Peer) Addr() netip.AddrPort { return p.link.LocalAddr() }

// Link is what the peer hears and is heard by.
func (p *Peer) Link() *memnet.Link { return p.link }

// Packets gives how many packets were judged.
func (p *Peer) Packets() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.packets
}

// Hellos gives when the peer got a hello, which nobody there waits for.
func (p *Peer) Hellos() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.hellos)
}

// tap takes what our node sends to the peer.
func (p *Peer) tap(e memnet.Event) {
	if e.Injected || e.From != p.at || e.Receiver != p.link.LocalAddr() || e.Fate != memnet.Passed || e.Duplicate {
		return
	}
	p.mu.Lock()
	p.queue = append(p.queue, arrival{slices.Clone(e.Data), e.To == p.link.LocalAddr()})
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run hears what arrives, and does what stock does by the clock.
func (p *Peer) run() {
	timer := time.NewTicker(tick)
	defer timer.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-timer.C:
			p.periodic()
		case <-p.wake:
			p.mu.Lock()
			queue := p.queue
			p.queue = nil
			p.mu.Unlock()
			for _, a := range queue {
				p.hear(a)
			}
		}
	}
}

// hear judges a packet and answers what stock's services answer.
func (p *Peer) hear(a arrival) {
	p.mu.Lock()
	p.packets++
	e, payloads, err := p.rules.Packet(a.data, a.unicast)
	if err == nil {
		err = p.links.arrived(&e, a.unicast)
	}
	if err != nil {
		p.failures = append(p.failures, fmt.Sprintf("refuses packet %x: %v", a.data, err))
		p.mu.Unlock()
		return
	}
	var answers []answer
	for i := range payloads {
		if h := &payloads[i]; !h.Again {
			answers = append(answers, p.heard(h)...)
		}
	}
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	for _, answer := range answers {
		p.transmit(overlay.Overlay, answer.full, answer.payload)
	}
}

// await waits until ok, which is called with mu held, and gives an error if it is
// not within 20 s. It calls blocked before it waits.
func (p *Peer) await(ok func() bool, blocked func()) error {
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	for {
		p.mu.Lock()
		changed, yes := p.changed, ok()
		p.mu.Unlock()
		if yes {
			return nil
		}
		blocked()
		select {
		case <-changed:
		case <-deadline.C:
			return fmt.Errorf("not heard within 20 s")
		case <-p.stop:
			return fmt.Errorf("the test has ended")
		}
	}
}

// transmit sends payloads to our node, in one packet.
func (p *Peer) transmit(encapsulation overlay.Encapsulation, full bool, payloads ...overlay.Payload) {
	p.mu.Lock()
	e := overlay.Envelope{Version: 1, Encapsulation: encapsulation, Sender: overlay.To(overlay.SID(p.id.SID())), Flags: overlay.PacketUnicast}
	e.Sender.Code = 2 // bytes, as stock does in a small mesh
	if full {
		e.Sender.Code = overlay.CodeSID
	}
	if len(payloads) == 0 {
		e.Version = 0
	}
	e.Seq, e.Flags = p.links.number(e.Flags)
	var ctx overlay.Context
	b, err := overlay.AppendEnvelope(nil, &e, &ctx)
	for i := range payloads {
		if err == nil {
			p.note(&payloads[i])
			b, err = overlay.AppendPayload(b, &payloads[i], &ctx)
		}
	}
	if err != nil {
		p.failures = append(p.failures, fmt.Sprintf("cannot send %v: %v", payloads, err))
	}
	p.mu.Unlock()
	if err == nil {
		p.link.WritePackets([]mdpconn.Packet{{Addr: p.at, Data: b}})
	}
}

// Tick broadcasts the peer's tick: abbreviated, as stock's is.
func (p *Peer) Tick() {
	sid := p.id.SID()
	p.link.WritePackets([]mdpconn.Packet{{Addr: memnet.Broadcast, Data: []byte{0, 1, 2, sid[0], sid[1], 0}}})
}
