package cc

import (
	"fmt"
	"math"
	"time"
)

// RFC 9438 §4.1, §4.6.
const (
	cubicC    = 0.4 // packets per second cubed
	cubicBeta = 0.7
	// cubicAlpha makes the Reno-friendly window grow as fast as Reno's would
	// on average, with the smaller decrease.
	cubicAlpha = 3 * (1 - cubicBeta) / (1 + cubicBeta)
)

const cubicMinPackets = 2

// A cubic is the controller of RFC 9438 with HyStart++ (RFC 9406). It takes every
// loss for congestion, whatever the cause. Windows are kept in packets, as the
// RFC's formulas are.
//
//	slow start ──(loss, ECN, HyStart++)──► congestion avoidance ──(loss, ECN)──┐
//	                                              ▲                            │
//	                                              └── one reduction a round ◄──┘
type cubic struct {
	sampler
	packet int
	srtt   time.Duration
	start  hystart

	cwnd     float64 // packets
	ssthresh float64
	wMax     float64 // window before the last reduction
	wEst     float64 // Reno's window in the same place
	origin   float64 // window at which this epoch began
	k        float64 // seconds until the window is wMax again
	epochAt  time.Duration
	inEpoch  bool
	limited  bool // the window was not used up: it does not grow

	acked      float64 // packets acknowledged since the last EndAck
	recovering bool
	reducedAt  time.Duration // packets sent until then belong to the last reduction
	reducedFor int           // lost packets that belong to it and are not found spurious
	undo       cubicSaved
}

// cubicSaved is what a reduction changed, in case its losses were none.
type cubicSaved struct{ cwnd, ssthresh, wMax, origin, k, wEst float64 }

// NewCubic makes a controller by RFC 9438 with HyStart++ (RFC 9406), for full
// packets of packetSize bytes.
func NewCubic(packetSize int) Controller { return newCubic(packetSize) }

func newCubic(packetSize int) *cubic {
	c := &cubic{cwnd: initialPackets, ssthresh: math.Inf(1), reducedAt: -1}
	c.SetPacketSize(packetSize)
	c.start.reset()
	return c
}

func (c *cubic) SetPacketSize(n int) { c.packet = max(n, 1) }

func (c *cubic) Sent(now time.Time, p *Packet, n, inFlight int) {
	c.packetSent(now, p, n, inFlight)
	// What leaves while the window is used up by less than half is no proof
	// that the path carries the window.
	c.limited = float64(p.inFlight)*2 < c.cwnd*float64(c.packet)
}

func (c *cubic) Acked(now time.Time, p *Packet) {
	c.packetAcked(now, p)
	c.acked += float64(p.Bytes) / float64(c.packet)
	if p.sent > c.reducedAt {
		c.recovering = false
	}
}

func (c *cubic) Lost(now time.Time, p *Packet) {
	t := c.clock(now)
	c.packetLost(p)
	if p.sent > c.reducedAt { // once for all packets lost of one round
		c.reduce(t)
	}
	c.reducedFor++
}

func (c *cubic) Spurious(now time.Time, p *Packet) {
	c.packetFound(p)
	c.packetAcked(now, p)
	// When the last loss of a reduction was spurious, that is undone (RFC 9438 §4.9).
	if p.sent > c.reducedAt || c.reducedFor == 0 {
		return
	}
	if c.reducedFor--; c.reducedFor > 0 {
		return
	}
	u := c.undo
	c.cwnd, c.ssthresh = max(c.cwnd, u.cwnd), u.ssthresh
	c.wMax, c.origin, c.k, c.wEst = u.wMax, u.origin, u.k, u.wEst
	c.inEpoch, c.recovering = false, false
}

func (c *cubic) Marked(now time.Time, n int) {
	t := c.clock(now)
	if n > 0 && c.firstSent > c.reducedAt {
		c.reduce(t)
	}
}

// reduce is RFC 9438 §4.6, with fast convergence (§4.7).
func (c *cubic) reduce(t time.Duration) {
	c.undo = cubicSaved{c.cwnd, c.ssthresh, c.wMax, c.origin, c.k, c.wEst}
	c.reducedAt, c.reducedFor, c.recovering = t, 0, true
	if c.cwnd < c.wMax {
		c.wMax = c.cwnd * (1 + cubicBeta) / 2
	} else {
		c.wMax = c.cwnd
	}
	c.cwnd = max(c.cwnd*cubicBeta, cubicMinPackets)
	c.ssthresh = c.cwnd
	c.inEpoch = false
}

func (c *cubic) EndAck(now time.Time, rtt time.Duration, inFlight int) {
	t := c.clock(now)
	s, ok := c.take()
	if ok && c.cwnd < c.ssthresh {
		c.start.ack(s.prior, c.delivered, rtt)
	}
	c.grow(t, rtt)
}

// grow lets the window grow for what was acknowledged since the last call.
func (c *cubic) grow(t, rtt time.Duration) {
	if rtt > 0 {
		if c.srtt == 0 {
			c.srtt = rtt
		}
		c.srtt += (rtt - c.srtt) / 8
	}
	acked := c.acked
	c.acked = 0
	switch {
	case c.limited:
		c.inEpoch = false // the curve does not run on meanwhile
	case c.recovering || acked == 0:
	case c.cwnd < c.ssthresh:
		c.cwnd += acked * c.start.growth()
		if c.start.done {
			c.ssthresh = c.cwnd
		}
	default:
		c.avoid(t, acked)
	}
}

// avoid grows the window in congestion avoidance (RFC 9438 §4.2 to §4.5) for the
// acknowledgement of so many packets.
func (c *cubic) avoid(t time.Duration, acked float64) {
	if !c.inEpoch {
		c.beginEpoch(t)
	}
	at := (t - c.epochAt).Seconds()
	target := min(max(c.curve(at+c.srtt.Seconds()), c.cwnd), 1.5*c.cwnd)
	alpha := cubicAlpha
	if c.wEst >= c.wMax {
		alpha = 1
	}
	c.wEst += alpha * acked / c.cwnd
	if c.curve(at) < c.wEst {
		c.cwnd = max(c.cwnd, c.wEst)
		return
	}
	c.cwnd += (target - c.cwnd) / c.cwnd * acked
}

func (c *cubic) beginEpoch(t time.Duration) {
	c.inEpoch, c.epochAt = true, t
	c.origin, c.wEst = c.cwnd, c.cwnd
	c.wMax = max(c.wMax, c.cwnd)
	c.k = math.Cbrt((c.wMax - c.cwnd) / cubicC)
}

// curve is W_cubic of RFC 9438 §4.2, in packets, at seconds into the epoch.
func (c *cubic) curve(at float64) float64 {
	d := at - c.k
	return cubicC*d*d*d + c.wMax
}

func (c *cubic) AppLimited(now time.Time, inFlight int) {
	c.clock(now)
	c.appLimited(inFlight)
}

// CUBIC holds nothing: RFC 9438 knows no other connections.

func (c *cubic) Held() float64  { return 0 }
func (c *cubic) Take(float64)   {}
func (c *cubic) Yield() float64 { return 0 }

func (c *cubic) Window() int {
	return int(min(max(c.cwnd, cubicMinPackets)*float64(c.packet), maxWindow))
}

// Rate spreads the window over a little less than a round trip, and over half
// of one while it doubles, so that pacing never is what holds it.
func (c *cubic) Rate() float64 {
	if c.srtt == 0 {
		return 0
	}
	gain := 1.25
	if c.cwnd < c.ssthresh {
		gain = 2
	}
	return gain * float64(c.Window()) / max(c.srtt, time.Microsecond).Seconds()
}

func (c *cubic) String() string {
	phase := "avoid"
	if c.cwnd < c.ssthresh {
		phase = c.start.String()
	}
	return fmt.Sprintf("cubic %s window=%d wmax=%.1f rtt=%v", phase, c.Window(), c.wMax, c.srtt)
}
