package stream

import (
	"fmt"
	"time"
)

// Params are what an end announces of itself (§2.2).
type Params struct {
	MaxMessage  int           // largest message taken, bytes
	MaxData     uint64        // data taken at first, bytes
	IdleTimeout time.Duration // without a packet the connection ends
	AckDelay    time.Duration // the longest by which an ACK is held back
}

const (
	paramMaxMessage = 1 + iota
	paramMaxData
	paramIdleTimeout
	paramAckDelay
)

// unannounced are the parameters of an end that has not said them.
var unannounced = Params{
	MaxMessage:  1024,
	MaxData:     65_536,
	IdleTimeout: 10 * time.Second,
	AckDelay:    25 * time.Millisecond,
}

func (p Params) append(b []byte) []byte {
	for _, v := range [...]struct{ id, value uint64 }{
		{paramMaxMessage, uint64(p.MaxMessage)},
		{paramMaxData, p.MaxData},
		{paramIdleTimeout, uint64(p.IdleTimeout / time.Millisecond)},
		{paramAckDelay, uint64(p.AckDelay / time.Microsecond)},
	} {
		b = appendVarint(b, v.id)
		b = appendVarint(b, uint64(varintLen(v.value)))
		b = appendVarint(b, v.value)
	}
	return b
}

// parseParams reads parameters. What it does not know, or cannot read, it skips;
// values out of range are the nearest allowed (MSX-2.8).
func parseParams(b []byte) Params {
	p := unannounced
	r := fieldReader{b: b}
	for len(r.b) > 0 {
		id := r.varint()
		field := r.bytes(r.varint())
		value, n := parseVarint(field)
		if r.cut || n == 0 || n != len(field) {
			continue
		}
		switch id {
		case paramMaxMessage:
			p.MaxMessage = int(min(max(value, 1024), 1<<20))
		case paramMaxData:
			p.MaxData = max(value, 65_536)
		case paramIdleTimeout:
			p.IdleTimeout = time.Duration(min(max(value, 2_000), 600_000)) * time.Millisecond
		case paramAckDelay:
			p.AckDelay = time.Duration(min(value, 1_000_000)) * time.Microsecond
		}
	}
	return p
}

func (p Params) String() string {
	return fmt.Sprintf("message=%d data=%d idle=%v ackdelay=%v", p.MaxMessage, p.MaxData, p.IdleTimeout, p.AckDelay)
}
