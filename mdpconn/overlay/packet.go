package overlay

import "strings"

// A Packet reads a UDP payload: the envelope at once, then one payload after
// the other. The zero value is ready for Parse, and may be used again and again.
type Packet struct {
	Envelope

	raw   []byte
	rest  []byte
	ctx   Context
	first Context // ctx behind the envelope
	err   error
}

// Parse begins to read b, resolving addresses in ctx, of which only the
// exported fields count. The packet keeps b; so do payloads read from it.
//
// If p.Sender is not resolved, payloads are there to be asked about by a
// please-explain, and none of them may be used (docs/overlay.md §3).
func (p *Packet) Parse(b []byte, ctx Context) error {
	*p = Packet{raw: b, ctx: ctx}
	p.Envelope, p.rest, p.err = ParseEnvelope(b, &p.ctx)
	p.first = p.ctx
	return p.err
}

// Next parses the next payload into pl and returns true, or returns false at
// the end of the packet and after an error. An address that does not resolve
// does not end the packet: see [Payload.Check].
func (p *Packet) Next(pl *Payload) bool {
	if p.err != nil || len(p.rest) == 0 {
		return false
	}
	p.rest, p.err = parsePayload(p.rest, pl, &p.ctx)
	return p.err == nil
}

// Err tells why Next, or Parse, stopped before the end; nil if they did not.
// What was read before the error stays good.
func (p *Packet) Err() error { return p.err }

// String gives the whole packet on one line, wherever Next stands.
func (p *Packet) String() string {
	if p.first.encapsulation == 0 {
		if p.err == nil {
			return "no packet"
		}
		return "bad packet: " + p.err.Error()
	}
	var b strings.Builder
	b.WriteString(p.Envelope.String())
	_, rest, err := ParseEnvelope(p.raw, &Context{})
	q := Packet{rest: rest, ctx: p.first, err: err}
	for pl := (Payload{}); q.Next(&pl); {
		b.WriteString(" | ")
		b.WriteString(pl.String())
	}
	if q.err != nil {
		b.WriteString(" | ")
		b.WriteString(q.err.Error())
	}
	return b.String()
}
