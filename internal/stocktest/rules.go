package stocktest

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/overlay"
)

// Rules judge packets as the stock node would that gets them: what would end it,
// what it would refuse or drop, and what it would have to ask about
// (docs/overlay.md §3 to §8, §11; docs/protocol.md §2). They remember what came
// before. Not for concurrent use.
type Rules struct {
	// Lossless says that nothing is lost on the way, so that numbers follow each
	// other without a gap.
	Lossless bool

	identities []*mdpconn.Identity // whose keys open bodies
	self       overlay.SID         // the receiver
	known      overlay.SIDs        // whom the receiver has ever heard of
	senders    map[overlay.SID]*sender
	streams    map[stream]*streamRules
}

// A sender is what is remembered of one.
type sender struct {
	numbered [2]bool // by broadcast, by unicast
	packets  [2]overlay.AckWindow
	newest   [2]byte
	missing  [2]map[byte]bool
	window   overlay.AckWindow
	payloads map[byte]string // the last body under each number
	nonces   map[[overlay.NonceLen]byte]string
	floods   map[[8]byte]string
}

// A Heard is a payload that passed the rules.
type Heard struct {
	overlay.Payload
	Mode  overlay.Mode
	Ports overlay.Ports // of data
	Data  []byte        // of data, if the keys to open it are there
	Again bool          // its number was heard before
}

// NewRules gives the rules of the node that is self. The others' keys are there to
// look into what it has to relay; of their SIDs it has not heard.
func NewRules(self *mdpconn.Identity, others ...*mdpconn.Identity) *Rules {
	sid := overlay.SID(self.SID())
	return &Rules{
		identities: append([]*mdpconn.Identity{self}, others...), self: sid, known: overlay.SIDs{sid},
		senders: map[overlay.SID]*sender{}, streams: map[stream]*streamRules{},
	}
}

// Learn makes SIDs known that the node has heard of elsewhere.
func (r *Rules) Learn(sids ...mdpconn.SID) {
	for _, sid := range sids {
		r.learn(overlay.SID(sid))
	}
}

func (r *Rules) learn(sid overlay.SID) {
	if !slices.Contains(r.known, sid) {
		r.known = append(r.known, sid)
	}
}

// Packet judges one packet, sent to the node alone or to everybody, and gives its
// payloads.
func (r *Rules) Packet(data []byte, unicast bool) (overlay.Envelope, []Heard, error) {
	var p overlay.Packet
	if err := p.Parse(data, overlay.Context{Resolver: &r.known}); err != nil {
		return p.Envelope, nil, err
	}
	s, err := r.envelope(&p.Envelope, data, unicast)
	if err != nil {
		return p.Envelope, nil, fmt.Errorf("%v: %w", &p, err)
	}
	var heard []Heard
	for pl := (overlay.Payload{}); p.Next(&pl); {
		h := Heard{Payload: pl}
		if err := r.payload(s, &p.Envelope, &h); err != nil {
			return p.Envelope, nil, fmt.Errorf("payload %v: %w", pl, err)
		}
		heard = append(heard, h)
	}
	if p.Version == 0 && len(heard) > 0 {
		return p.Envelope, nil, errors.New("payloads in version 0: no numbers, no retransmission")
	}
	return p.Envelope, heard, p.Err()
}

// address judges an address: it has to be resolved, without a question.
func (r *Rules) address(a overlay.Address) error {
	switch {
	case a.Code == overlay.CodeP2PMe || a.Code == overlay.CodeP2PYou:
		return fmt.Errorf("address %v of a point-to-point link", a)
	case !a.Resolved():
		return fmt.Errorf("address %v: stock would have to ask", a)
	}
	if err := a.SID.Check(); err != nil {
		return err
	}
	r.learn(a.SID)
	return nil
}

func (r *Rules) envelope(e *overlay.Envelope, data []byte, unicast bool) (*sender, error) {
	if err := r.address(e.Sender); err != nil {
		return nil, err
	}
	s := r.senders[e.Sender.SID]
	if s == nil {
		s = &sender{missing: [2]map[byte]bool{{}, {}}, payloads: map[byte]string{}, nonces: map[[overlay.NonceLen]byte]string{}, floods: map[[8]byte]string{}}
		r.senders[e.Sender.SID] = s
	}
	const flags = overlay.PacketUnicast | overlay.PacketInterface | overlay.PacketSeq
	switch {
	case len(data) > overlay.MaxPacket:
		return nil, fmt.Errorf("%d bytes, stock's MTU is %d", len(data), overlay.MaxPacket)
	case e.Sender.SID == r.self:
		return nil, errors.New("the sender is the receiver")
	case e.Flags&^flags != 0:
		return nil, fmt.Errorf("packet flags %v", e.Flags)
	case (e.Flags&overlay.PacketUnicast != 0) != unicast:
		return nil, fmt.Errorf("packet flags %v, but sent to one: %v", e.Flags, unicast)
	case e.Flags&overlay.PacketInterface != 0 && (e.Interface == 0 || e.Interface > overlay.MaxInterface):
		return nil, fmt.Errorf("interface %d", e.Interface)
	case e.Flags&overlay.PacketSeq == 0:
		return s, nil
	}
	return s, s.number(e.Seq, unicast, r.Lossless)
}

// number judges a packet number. Each destination has a counter of its own, and a
// repetition costs stock everything before it (docs/overlay.md §11).
func (s *sender) number(seq byte, unicast, lossless bool) error {
	k := 0
	if unicast {
		k = 1
	}
	if _, ok := s.packets[k].Receive(seq); !ok {
		return fmt.Errorf("packet number %d came before", seq)
	}
	delete(s.missing[k], seq)
	for n := s.newest[k] + 1; lossless && s.numbered[k] && seq-s.newest[k] < 128 && n != seq; n++ {
		s.missing[k][n] = true
	}
	if len(s.missing[k]) > 8 {
		return fmt.Errorf("packet number %d, and of those before it %d are missing", seq, len(s.missing[k]))
	}
	if !s.numbered[k] || seq-s.newest[k] < 128 {
		s.newest[k] = seq
	}
	s.numbered[k] = true
	return nil
}

// Complete tells if numbers of packets were left out, at the end.
func (r *Rules) Complete() error {
	for sid, s := range r.senders {
		for _, missing := range s.missing {
			if len(missing) > 0 {
				return fmt.Errorf("of the packets of %v, %d numbers never came: %v", sid, len(missing), slices.Sorted(maps.Keys(missing)))
			}
		}
	}
	return nil
}

func (r *Rules) payload(s *sender, e *overlay.Envelope, h *Heard) error {
	const flags = overlay.SenderSame | overlay.ToBroadcast | overlay.OneHop | overlay.Ciphered | overlay.Signed | overlay.AckSoon | overlay.LegacyType
	for a := range h.Addresses() {
		if err := r.address(a); err != nil {
			return err
		}
	}
	if err := h.Check(); err != nil {
		return err
	}
	own := func(sid overlay.SID) bool { return sid == r.self }
	switch broadcast := h.Flags&overlay.ToBroadcast != 0; {
	case h.Flags&^flags != 0:
		return fmt.Errorf("payload flags %v", h.Flags)
	case own(h.Source.SID) && h.Flags&overlay.SenderSame == 0 && !h.Flooded():
		return errors.New("the source is the receiver")
	case !broadcast && h.Flags&overlay.OneHop == 0 && own(h.Destination.SID) && own(h.NextHop.SID):
		return errors.New("a next hop that is the destination, without ONE_HOP")
	case h.Flags&overlay.OneHop == 0 && (h.TTL < 1 || h.TTL > overlay.MaxTTL):
		return fmt.Errorf("TTL %d", h.TTL)
	case len(h.Body) > overlay.MaxBody:
		return fmt.Errorf("a body of %d bytes ends it when it has to queue it", len(h.Body))
	}
	if e.Version > 0 {
		if _, fresh := s.window.Receive(h.Seq); !fresh {
			if h.Again = s.payloads[h.Seq] == string(h.Body); !h.Again && r.Lossless {
				return fmt.Errorf("payload number %d for two payloads: the second is a duplicate", h.Seq)
			}
		}
		s.payloads[h.Seq] = string(h.Body)
	}
	if h.Flooded() {
		if last, ok := s.floods[h.BroadcastID]; ok && last != string(h.Body) {
			return fmt.Errorf("broadcast id %x for two bodies", h.BroadcastID)
		}
		s.floods[h.BroadcastID] = string(h.Body)
	}
	switch h.Type {
	case overlay.TypeData:
		return r.data(s, h)
	case overlay.TypeExplain:
		return r.explain(h)
	}
	return fmt.Errorf("payload type %v is ignored", h.Type)
}

// explain judges a please-explain.
func (r *Rules) explain(h *Heard) error {
	if h.Flags&(overlay.Ciphered|overlay.Signed) != 0 {
		return errors.New("a please-explain is plain")
	}
	e := overlay.NewExplain(h.Body)
	for item := (overlay.ExplainItem{}); e.Next(&item); {
		switch item.Kind {
		case overlay.TellSID, overlay.TellSignKey:
			r.learn(item.SID)
		case overlay.AskYou:
			return errors.New("a question about a point-to-point link")
		}
	}
	return e.Err()
}
