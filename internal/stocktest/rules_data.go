package stocktest

import (
	"errors"
	"fmt"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/overlay"
	"mesh.example/msp/mdpconn/session"
)

// data judges a body with ports.
func (r *Rules) data(s *sender, h *Heard) error {
	var err error
	if h.Mode, err = h.Flags.Mode(); err != nil {
		return err
	}
	plain := h.Body
	switch h.Mode {
	case overlay.ModeCiphered:
		if plain, err = r.open(s, h); err != nil || plain == nil {
			return err
		}
	case overlay.ModeSigned:
		if plain, _, err = overlay.SplitSigned(h.Body); err != nil {
			return err
		}
	}
	if h.Ports, h.Data, err = overlay.ParsePorts(plain); err != nil {
		return err
	}
	if err := h.Ports.Check(); err != nil {
		return err
	}
	if again, _ := overlay.AppendPorts(nil, h.Ports); len(again) != len(plain)-len(h.Data) {
		return errors.New("ports in more bytes than needed")
	}
	if len(h.Data) == 0 {
		return errors.New("a message without data ends the daemon that delivers it")
	}
	return r.service(h)
}

// open opens a ciphered body; nil if the keys are others'.
func (r *Rules) open(s *sender, h *Heard) ([]byte, error) {
	nonce, err := overlay.Nonce(h.Body)
	switch last, ok := s.nonces[nonce]; {
	case err != nil:
		return nil, err
	case nonce[0]&0x80 != 0:
		return nil, errors.New("the top bit of the nonce is set")
	case ok && last != string(h.Body):
		return nil, fmt.Errorf("nonce %x for two bodies", nonce)
	}
	s.nonces[nonce] = string(h.Body)
	key := sharedKey(r.identities, h.Source.SID, h.Destination.SID)
	if key == nil {
		return nil, nil
	}
	return overlay.OpenBody(nil, key, h.Body)
}

// sharedKey gives the key of two SIDs, one of which is among the identities.
func sharedKey(identities []*mdpconn.Identity, a, b overlay.SID) *[32]byte {
	for _, id := range identities {
		for _, pair := range [...][2]overlay.SID{{a, b}, {b, a}} {
			if overlay.SID(id.SID()) != pair[0] {
				continue
			}
			if key, err := id.SharedKey(mdpconn.SID(pair[1])); err == nil {
				return key
			}
		}
	}
	return nil
}

// service judges what is said to and by services, and MSP.
func (r *Rules) service(h *Heard) error {
	ciphered := h.Mode == overlay.ModeCiphered
	switch port := h.Ports.Destination; {
	case port == overlay.PortLinkState:
		if h.Mode != overlay.ModePlain || h.Ports.Source != overlay.PortLinkState {
			return fmt.Errorf("link state from port %d, %v", h.Ports.Source, h.Mode)
		}
		return r.linkState(h)
	case port == overlay.PortKeyMap || h.Ports.Source == overlay.PortKeyMap:
		m, err := overlay.ParseKeyMap(h.Data)
		switch {
		case err != nil:
			return err
		case !ciphered:
			return errors.New("a key map that is not ciphered")
		case m.Response && !m.Verify(h.Source.SID):
			return errors.New("a key map whose signature does not hold")
		}
	case port == overlay.PortEcho:
		n := len(h.Body)
		if !ciphered {
			n += overlay.SealOverhead
		}
		if n > overlay.MaxBody {
			return fmt.Errorf("an echo request whose answer has a body of %d bytes, which ends it", n)
		}
	case port == session.HelloPort || h.Ports.Source == session.HelloPort:
		return r.hello(h)
	case port < 0x40 || h.Ports.Source < 0x40: // other services
	case h.Flags&overlay.ToBroadcast == 0:
		if !ciphered {
			return fmt.Errorf("unicast that is %v", h.Mode)
		}
		return r.msp(h)
	}
	return nil
}

// hello judges a hello: all that stock may see of the extension
// (docs/extension.md §9.1). Nobody there listens at its port, so that it is
// dropped in silence; and as it is never answered, it is an offer.
func (r *Rules) hello(h *Heard) error {
	if h.Ports.Source != session.HelloPort || h.Ports.Destination != session.HelloPort || h.Mode != overlay.ModeCiphered || h.Flags&overlay.ToBroadcast != 0 {
		return fmt.Errorf("hello from port %d to %d, %v", h.Ports.Source, h.Ports.Destination, h.Mode)
	}
	hello, err := session.ParseHello(h.Data)
	if err == nil && hello.Kind != session.OfferHello {
		err = fmt.Errorf("%v to stock, which offers nothing", hello)
	}
	return err
}

// linkState judges a link-state message.
func (r *Rules) linkState(h *Heard) error {
	l := overlay.NewLinkState(h.Data, overlay.BodyContext(h.Source.SID, &r.known))
	n := 0
	for rec := (overlay.LinkRecord{}); l.Next(&rec); n++ {
		if err := r.address(rec.Receiver); err != nil {
			return err
		}
		if rec.Flags&overlay.LinkNoPath == 0 {
			if err := r.address(rec.Transmitter); err != nil {
				return err
			}
		}
		const flags = overlay.LinkInterface | overlay.LinkNoPath | overlay.LinkBroadcast | overlay.LinkUnicast | overlay.LinkAck | overlay.LinkDropRate
		both := overlay.LinkBroadcast | overlay.LinkUnicast
		switch {
		case rec.Flags&^flags != 0, rec.Flags&both == both:
			return fmt.Errorf("record %v: flags", rec)
		case rec.Version > overlay.MaxLinkVersion && (rec.Version != 255 || rec.Flags&overlay.LinkNoPath == 0):
			return fmt.Errorf("record %v: version", rec)
		case rec.Flags&overlay.LinkInterface != 0 && rec.Interface > overlay.MaxInterface:
			return fmt.Errorf("record %v: interface; stock misreads what follows", rec)
		}
		if rec.Receiver.SID == h.Source.SID && rec.Flags&overlay.LinkInterface == 0 && rec.Transmitter.SID == r.self {
			return fmt.Errorf("record %v: a link record without interface, it is no use", rec)
		}
	}
	if l.Err() != nil {
		return fmt.Errorf("link state %v: %w (a length past the end ends the daemon)", &l, l.Err())
	}
	if n == 0 {
		return errors.New("link state without records")
	}
	return nil
}
