package overlay

import (
	"crypto/ed25519"
	"net/netip"
	"testing"

	"mesh.example/msp/mdpconn/mdptest"
)

// A chooser makes arguments out of bytes.
type chooser struct{ b []byte }

func (c *chooser) byte() byte {
	if len(c.b) == 0 {
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

// pick gives an index below n.
func (c *chooser) pick(n int) int { return int(c.byte()) % n }

func (c *chooser) bytes(n int) []byte {
	b := make([]byte, n)
	copy(b, c.b)
	c.b = c.b[min(n, len(c.b)):]
	return b
}

// size gives a length, often one at a limit.
func (c *chooser) size() int {
	switch v := c.byte(); {
	case v < 0xf0:
		return int(v) % 64
	default:
		return []int{1059, 1060, 1061, 1110, 1135, 1157, 1158, 1159, 1160, 1197, 1198, 1199, 1200, 1201, 2000, 65535}[v&15]
	}
}

func (c *chooser) port() uint32 {
	return []uint32{0, 1, 2, 2, 4, 5, 7, 7, 8, 11, 300, MaxPort, MaxPort + 1, 1<<32 - 1}[c.pick(14)]
}

func (c *chooser) address(sids []SID) Address {
	a := Address{Code: Code(c.byte()), State: Resolution(c.pick(3))}
	if i := c.pick(len(sids) + 2); i < len(sids) {
		a.SID = sids[i]
	} else if i == len(sids) {
		copy(a.SID[:], c.bytes(32))
	}
	if c.pick(4) == 0 {
		a.Wire = c.bytes(c.pick(40))
	}
	return a
}

// content makes application data: any bytes, or what services of stock read.
func (c *chooser) content(sids []SID) []byte {
	ctx := BodyContext(sids[0], nil)
	var b []byte
	switch c.pick(4) {
	case 0:
		for range c.pick(4) {
			r := LinkRecord{
				Flags: LinkFlags(c.byte()), Receiver: c.address(sids), Version: c.byte(), Transmitter: c.address(sids),
				Interface: c.byte(), Ack: Ack{Seq: c.byte()}, DropRate: c.byte(),
			}
			b, _ = AppendLinkRecord(b, &r, &ctx)
		}
	case 1:
		b, _ = AppendTrace(nil, c.address(sids).SID)
	case 2:
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte(c.bytes(4))), 4110)
		b, _ = AppendSTUN(nil, STUN{{c.address(sids), at}})
	case 3:
		return c.bytes(c.size())
	}
	return append(b, c.bytes(c.pick(3))...)
}

// body makes the body of a data payload, as far as it is allowed.
func (c *chooser) body(sids []SID, key *[32]byte, sign ed25519.PrivateKey) []byte {
	plain, err := AppendPorts(nil, Ports{Destination: c.port(), Source: c.port()})
	if err != nil {
		plain = c.bytes(c.pick(5))
	}
	plain = append(plain, c.content(sids)...)
	nonce := [NonceLen]byte{c.byte()}
	var body []byte
	switch c.pick(4) {
	case 0:
		return plain
	case 1:
		body, err = SignBody(nil, sign, plain)
	case 2:
		body, err = SealBody(nil, key, &nonce, plain)
	case 3:
		return c.bytes(c.size())
	}
	if err != nil {
		return nil
	}
	return body
}

// FuzzAppend asks the encoders for anything: what they make, a reader that
// knows nothing of them finds to be allowed (docs/overlay.md §11).
func FuzzAppend(f *testing.F) {
	sids := []SID{{1, 2, 3, 31: 1}, {4, 5, 6, 31: 1}, {7, 8, 9, 31: 1}}
	key := &[32]byte{9}
	sign := ed25519.NewKeyFromSeed(make([]byte, 32))
	open := func(body []byte) ([]byte, bool) {
		plain, err := OpenBody(nil, key, body)
		return plain, err == nil
	}
	f.Add([]byte{1, 1, 32, 0, 0, 0, 0, 0, 0, 5, 2, 2, 0, 1, 3, 4, 1, 2, 3, 4})
	f.Add([]byte("\x01\x01\x20\x01\x00\x01\x01\x04\x31\x20\x01\x01\x01\x20\x01\x02\x01\x05\x03\x30\x02\x02\x03\x05\x02\x01\x09"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &chooser{data}
		ctx := Context{Transmitter: sids[c.pick(3)], Receiver: sids[c.pick(3)]}
		e := Envelope{
			Version: c.byte() % 3, Encapsulation: Encapsulation(c.pick(4)), Sender: c.address(sids),
			Flags: PacketFlags(c.byte()), Interface: c.byte() % 20, Seq: c.byte(),
		}
		b, err := AppendEnvelope(nil, &e, &ctx)
		for range c.pick(4) {
			if err != nil {
				break
			}
			p := Payload{
				Flags: PayloadFlags(c.byte()), Source: c.address(sids), Destination: c.address(sids), NextHop: c.address(sids),
				TTL: c.byte() % 40, Queue: c.byte() % 6, Type: []Type{TypeData, TypeExplain, TypeRhizome, 0, 0x20}[c.pick(5)], Seq: c.byte(),
			}
			if c.pick(2) == 0 {
				plain, _ := AppendPorts(nil, Ports{Destination: c.port(), Source: c.port()})
				nonce := [NonceLen]byte{c.byte()}
				b, _ = AppendSealedPayload(b, &p, &ctx, key, &nonce, append(plain, c.content(sids)...))
				continue
			}
			if p.Type == TypeExplain {
				for range c.pick(3) {
					p.Body, _ = AppendExplainItem(p.Body, ExplainItem{Kind: ExplainKind(c.byte()), Prefix: c.bytes(c.pick(34)), SID: c.address(sids).SID, SignKey: c.bytes(c.pick(34))})
				}
				p.Body = append(p.Body, c.bytes(c.pick(3))...)
			} else {
				p.Body = c.body(sids, key, sign)
			}
			b, _ = AppendPayload(b, &p, &ctx)
		}
		if err != nil || len(b) > MaxPacket { // the node sees to the length of a packet
			return
		}
		if err := mdptest.CheckPacket(b, open); err != nil {
			t.Error(err)
		}
	})
}
