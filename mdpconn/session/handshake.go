package session

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

// A Pair is an identity of this node and a peer's. Both must pass
// [overlay.SID.Check].
type Pair struct{ Local, Peer overlay.SID }

// Errors of the exchange. They are to be counted and otherwise mean nothing:
// the hello is dropped, and what there was goes on.
var (
	ErrOpen    = errors.New("session: does not open: forged, damaged, or under other keys")
	ErrStale   = errors.New("session: offer is not later than the last one accepted")
	ErrCrossed = errors.New("session: offer crosses our own, which holds")
	ErrNoOffer = errors.New("session: answer to no offer of ours")
)

// crossTime is how long our own offer holds against one that crosses it, if
// ours is the smaller SID (MSX-10.3).
const crossTime = 5 * time.Second

// Holds reports whether our own offer, made at the time offered, holds against
// one of the peer that crosses it (MSX-10.3): the peer's is then to be ignored.
func (p Pair) Holds(offered, now time.Time) bool {
	return string(p.Local[:]) < string(p.Peer[:]) && now.Sub(offered) < crossTime
}

// An Offer is a hello of ours that waits for its answer.
type Offer struct {
	pair    Pair
	id      uint32
	own     Payload
	bytes   []byte
	state   handshake // secret
	offered time.Time
}

// NewOffer begins a key agreement. id is where the session will receive, not 0;
// own.Time must be later than in every earlier offer to this peer. rand gives 32
// bytes that nobody can guess. It takes three X25519 of 50 to 100 µs each; so
// does Answer, while ReadOffer and ReadAnswer take two.
func NewOffer(p Pair, static Static, id uint32, own Payload, rand io.Reader, now time.Time) (*Offer, error) {
	o := &Offer{pair: p, id: id, own: own, offered: now, state: newHandshake(p, static, true)}
	if err := o.state.newEphemeral(rand); err != nil {
		return nil, err
	}
	var err error
	head := appendHelloHead(make([]byte, 0, MinHello), OfferHello, id, 0)
	if o.bytes, err = o.state.writeFirst(head, AppendPayload(nil, &own)); err != nil {
		o.state.wipe()
		return nil, err
	}
	return o, nil
}

// Bytes gives the hello to send, and to send again until the answer is there.
// The slice stays the offer's.
func (o *Offer) Bytes() []byte { return o.bytes }

// Format implements fmt.Formatter: every verb prints kind and id, and no secret.
// Like that of Received it has a value receiver, so that a copy is as discreet.
func (o Offer) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "offer id %08x", o.id) }

// ReadAnswer makes the session of an answer. The offer is then spent; after an
// error it waits on, so that a forgery cannot end it.
func (o *Offer) ReadAnswer(b []byte, now time.Time) (*Session, error) {
	h, err := ParseHello(b)
	if err != nil {
		return nil, err
	}
	if h.Kind != AnswerHello || h.OfferID != o.id {
		return nil, ErrNoOffer
	}
	state := o.state
	defer state.wipe()
	text, err := state.readSecond(b[:helloHead], &h.Ephemeral, h.Sealed)
	if err != nil {
		return nil, err
	}
	peer, err := ParsePayload(text)
	if err != nil {
		return nil, err
	}
	send, recv := state.split()
	s, err := newSession(o.pair, agreement{o.own, peer, o.id, h.ID}, &send, &recv)
	if err != nil {
		return nil, err
	}
	s.makeCurrent(now)
	o.Wipe()
	return s, nil
}

// Wipe overwrites the offer's secrets. It cannot be answered any more.
func (o *Offer) Wipe() {
	o.state.wipe()
	o.id = 0
}

// A Received is an offer of the peer that opened, not yet answered.
type Received struct {
	Payload // what the peer tells

	pair  Pair
	id    uint32 // where the peer receives
	hash  [sha256.Size]byte
	state handshake // secret
}

// ReadOffer opens an offer of p.Peer to p.Local. The caller then decides, by its
// Time among other things (MSX-10.4), whether to answer.
func ReadOffer(p Pair, static Static, b []byte) (*Received, error) {
	h, err := ParseHello(b)
	if err != nil {
		return nil, err
	}
	if h.Kind != OfferHello {
		return nil, fmt.Errorf("session: %v, expected an offer", h.Kind)
	}
	r := &Received{pair: p, id: h.ID, hash: sha256.Sum256(b), state: newHandshake(p, static, false)}
	text, err := r.state.readFirst(b[:helloHead], &h.Ephemeral, h.Sealed)
	if err == nil {
		r.Payload, err = ParsePayload(text)
	}
	if err != nil {
		r.state.wipe()
		return nil, err
	}
	return r, nil
}

// Answer gives the answer to send, and the session it leads to, which is
// pending. It can be called once; instead of it, call Wipe. For the arguments
// see NewOffer.
func (r *Received) Answer(id uint32, own Payload, rand io.Reader, now time.Time) ([]byte, *Session, error) {
	defer r.Wipe()
	if err := r.state.newEphemeral(rand); err != nil {
		return nil, nil, err
	}
	head := appendHelloHead(make([]byte, 0, MinHello), AnswerHello, id, r.id)
	answer, err := r.state.writeSecond(head, AppendPayload(nil, &own))
	if err != nil {
		return nil, nil, err
	}
	recv, send := r.state.split()
	s, err := newSession(r.pair, agreement{own, r.Payload, id, r.id}, &send, &recv)
	if err != nil {
		return nil, nil, err
	}
	s.makePending(now, answer, r.hash)
	return answer, s, nil
}

// Format implements fmt.Formatter: every verb prints id and payload, and no
// secret.
func (r Received) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "offer id %08x received: %v", r.id, r.Payload)
}

// Wipe overwrites the secrets.
func (r *Received) Wipe() { r.state.wipe() }
