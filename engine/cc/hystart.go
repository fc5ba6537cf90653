package cc

import "time"

// RFC 9406 §4.3.
const (
	hystartMinThresh = 4 * time.Millisecond
	hystartMaxThresh = 16 * time.Millisecond
	hystartDivisor   = 8
	hystartSamples   = 8
	cssDivisor       = 4
	cssRounds        = 5
)

// A hystart finds the end of slow start by the growth of the round trip (RFC
// 9406), before the queue overflows:
//
//	slow start ──(least round trip of a round grew by 1/8)──► conservative slow start
//	     ▲                                                        │        │
//	     └──────────────(it fell below where that began)──────────┘        └─(5 rounds)──► done
type hystart struct {
	done   bool
	css    bool // conservative: grow a quarter as fast
	rounds int  // of css

	roundEnd int64 // a packet that left with so much delivered ends the round
	last     time.Duration
	cur      time.Duration
	samples  int
	cssBase  time.Duration
}

const noRTT = time.Duration(1<<63 - 1)

func (h *hystart) reset() { *h = hystart{last: noRTT, cur: noRTT} }

// growth is what the window grows by for each packet acknowledged, in packets.
func (h *hystart) growth() float64 {
	if h.css {
		return 1.0 / cssDivisor
	}
	return 1
}

// ack takes the ACK of a packet that left when prior bytes were delivered, now
// that delivered are.
func (h *hystart) ack(prior, delivered int64, rtt time.Duration) {
	if h.done {
		return
	}
	if prior >= h.roundEnd {
		h.roundEnd = delivered
		h.last, h.cur, h.samples = h.cur, noRTT, 0
		if h.css {
			if h.rounds++; h.rounds >= cssRounds {
				h.done = true
				return
			}
		}
	}
	if rtt <= 0 {
		return
	}
	h.cur = min(h.cur, rtt)
	h.samples++
	if h.samples < hystartSamples || h.last == noRTT {
		return
	}
	switch thresh := min(max(h.last/hystartDivisor, hystartMinThresh), hystartMaxThresh); {
	case h.css && h.cur < h.cssBase:
		h.css = false
	case !h.css && h.cur >= h.last+thresh:
		h.css, h.rounds, h.cssBase = true, 0, h.cur
	}
}

func (h *hystart) String() string {
	switch {
	case h.done:
		return "start-done"
	case h.css:
		return "start-css"
	}
	return "start"
}
