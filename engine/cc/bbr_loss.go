package cc

// Loss as a signal. Random loss is none of ours: a radio loses the same share
// whatever the rate. Congestion has lost packets too, and what tells the two
// apart is the queue: a full one has raised the round trip before it drops. So
//
//   - loss in a round with a short queue does not slow us, whatever its share;
//   - loss beyond lossThresh (and beyond what is random) with a raised round
//     trip bounds what is in flight.
//
// The random share is measured on packets that left at no more than the
// estimated rate while there was no queue. A sample of the rate is credited with the
// losses it really had, up to that share, since they had passed the bottleneck
// or would have: the rate is the path's, not what was left of ours. Where losses are
// of our own making without a queue (a policer, a buffer of a few packets), this
// cannot run away: cruising at cruiseGain < 1 of the last estimate makes the measured
// share, and with it the credit, smaller each time.
const (
	lossThresh = 0.02 // draft-ietf-ccwg-bbr §2.7
	lossBeta   = 0.85
	lossMost   = 0.2 // share beyond which loss is not credited: twice what a link should lose, as the estimate varies

	lossHorizon = 256 // packets over which the random share is averaged
	lossPrior   = 32  // packets without loss that it starts from
)

type lossModel struct {
	random  float64 // share of packets lost without congestion
	samples float64 // packets it rests on, at most lossHorizon

	roundAcked   int // bytes
	roundLost    int
	roundPackets int // acknowledged
	hiBefore     int // inflightHi before the last cut
}

func (l *lossModel) acked(p *Packet, full bool) {
	l.roundAcked += p.Bytes
	l.roundPackets++
	if p.steady && !full {
		l.observe(0)
	}
}

func (l *lossModel) lost(p *Packet, full bool) {
	l.roundLost += p.Bytes
	if p.steady && !full {
		l.observe(1)
	}
}

// found takes back what lost did.
func (l *lossModel) found(p *Packet) {
	l.roundLost = max(0, l.roundLost-p.Bytes)
	l.roundAcked += p.Bytes
	l.roundPackets++
	if p.steady {
		l.random = max(0, l.random-1/l.samples)
	}
}

func (l *lossModel) observe(lost float64) {
	l.samples = min(max(l.samples, lossPrior)+1, lossHorizon)
	l.random += (lost - l.random) / l.samples
}

// credit is how many bytes lost within s passed the bottleneck.
func (l *lossModel) credit(s sample) float64 {
	share := min(l.random, lossMost)
	return min(float64(s.lost), share/(1-share)*float64(s.delivered))
}

// lossy says whether the round lost more than random loss explains.
func (l *lossModel) lossy() bool {
	return float64(l.roundLost) > (lossThresh+1.5*l.random)*float64(l.roundLost+l.roundAcked)
}

func (l *lossModel) endRound() { l.roundAcked, l.roundLost, l.roundPackets = 0, 0, 0 }
