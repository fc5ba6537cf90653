package overlay

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"testing"
)

// An encoding writes what was decoded again, from values only.
type encoding struct {
	t *testing.T
	v *vecFile
	p *vecPacket
	n map[string]int // how much of each was written
}

// address forgets all but who is meant, and how many bytes of an abbreviation
// the transmitter took. N, not a stock node, always writes full SIDs.
func (e encoding) address(a Address) Address {
	out := Address{SID: a.SID}
	if a.Code.abbreviated() || e.p.From == "N" && a.Code == CodeSID {
		out.Code = a.Code
	}
	return out
}

func (e encoding) packet(b []byte, decode Context) []byte {
	var p Packet
	if err := p.Parse(b, decode); err != nil {
		e.t.Fatal(err)
	}
	ctx := Context{Transmitter: decode.Transmitter, Receiver: decode.Receiver}
	env := Envelope{
		Version: p.Version, Encapsulation: p.Encapsulation, Sender: e.address(p.Sender),
		Flags: p.Flags &^ PacketInterface, Interface: p.Interface, Seq: p.Seq,
	}
	out, err := AppendEnvelope(nil, &env, &ctx)
	if err != nil {
		e.t.Fatal(err)
	}
	for pl := (Payload{}); p.Next(&pl); {
		if out, err = e.payload(out, &pl, &ctx); err != nil {
			e.t.Fatal(err)
		}
	}
	if p.Err() != nil {
		e.t.Fatal(p.Err())
	}
	e.n["packets"]++
	return out
}

func (e encoding) payload(dst []byte, pl *Payload, ctx *Context) ([]byte, error) {
	q := *pl
	e.n["payloads"]++
	q.Flags &^= SenderSame | LegacyType
	q.Source, q.Destination, q.NextHop = e.address(pl.Source), e.address(pl.Destination), e.address(pl.NextHop)
	if pl.Type == TypeExplain {
		e.n["explains"]++
		q.Body = e.explain(pl.Body)
		return AppendPayload(dst, &q, ctx)
	}
	source, destination := e.v.node(pl.Source.SID), e.v.node(pl.Destination.SID)
	identity := e.v.Identities[source]
	key := ed25519.NewKeyFromSeed(unhex(e.t, identity.SignSeed))
	mode, err := pl.Flags.Mode()
	e.n[mode.String()+" bodies"]++
	switch mode {
	case ModeCiphered:
		shared := e.v.sharedKey(e.t, source, destination)
		nonce, _ := Nonce(pl.Body)
		plaintext, err := OpenBody(nil, shared, pl.Body)
		if err != nil {
			return nil, err
		}
		plaintext = e.plaintext(plaintext, pl.Source.SID, key)
		if q.Body, err = SealBody(nil, shared, &nonce, plaintext); err != nil {
			return nil, err
		}
		again := *ctx
		sealed, err := AppendSealedPayload(nil, &q, &again, shared, &nonce, plaintext)
		if err != nil {
			return nil, err
		}
		b, err := AppendPayload(nil, &q, ctx)
		if hex.EncodeToString(sealed) != hex.EncodeToString(b) || *ctx != again {
			e.t.Errorf("sealed in place %x\nbody sealed before %x", sealed, b)
		}
		return append(dst, sealed...), err
	case ModeSigned:
		plaintext, _, _ := SplitSigned(pl.Body)
		if q.Body, err = SignBody(nil, key, e.plaintext(plaintext, pl.Source.SID, key)); err != nil {
			return nil, err
		}
	case ModePlain:
		q.Body = e.plaintext(pl.Body, pl.Source.SID, key)
	}
	if err != nil {
		return nil, err
	}
	return AppendPayload(dst, &q, ctx)
}

func (e encoding) explain(body []byte) (out []byte) {
	r := NewExplain(body)
	for item := (ExplainItem{}); r.Next(&item); {
		var err error
		if out, err = AppendExplainItem(out, item); err != nil {
			e.t.Fatal(err)
		}
	}
	return out
}

func (e encoding) plaintext(b []byte, source SID, key ed25519.PrivateKey) []byte {
	ports, data, err := ParsePorts(b)
	if err != nil {
		e.t.Fatal(err)
	}
	out, err := AppendPorts(nil, ports)
	if err != nil {
		e.t.Fatal(err)
	}
	switch ports.Destination {
	case PortLinkState:
		e.n["link-state messages"]++
		return e.linkState(out, data, source)
	case PortKeyMap:
		e.n["key maps"]++
		m, _ := ParseKeyMap(data)
		if m.Response {
			m = NewKeyResponse(source, key)
		}
		return AppendKeyMap(out, &m)
	case PortTrace:
		e.n["traces"]++
		trace, _ := ParseTrace(data, nil)
		for _, a := range trace {
			if out, err = AppendTrace(out, a.SID); err != nil {
				e.t.Fatal(err)
			}
		}
		return out
	}
	if s, err := ParseService(data); err == nil && ports.Source == PortServiceDiscovery {
		e.n["services"]++
		out, _ = AppendService(out, s)
		return out
	}
	return append(out, data...)
}

func (e encoding) linkState(dst, data []byte, source SID) []byte {
	l := NewLinkState(data, BodyContext(source, e.v.sids(e.t)))
	ctx := BodyContext(source, nil)
	for r := (LinkRecord{}); l.Next(&r); {
		e.n["link records"]++
		r.Receiver, r.Transmitter = e.address(r.Receiver), e.address(r.Transmitter)
		var err error
		if dst, err = AppendLinkRecord(dst, &r, &ctx); err != nil {
			e.t.Fatal(err)
		}
	}
	return dst
}

func TestVectorsEncode(t *testing.T) {
	v := vectors(t)
	counts := map[string]int{}
	for i := range v.Packets {
		p := &v.Packets[i]
		t.Run(fmt.Sprint(p.N), func(t *testing.T) {
			got := encoding{t, v, p, counts}.packet(unhex(t, p.Hex), v.context(t, p))
			if hex.EncodeToString(got) != p.Hex {
				t.Errorf("packet %d\n got %x\nwant %s", p.N, got, p.Hex)
			}
		})
	}
	wantCounts(t, counts)
}
