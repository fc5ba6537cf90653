package cc

// Handing over: connections between the same two nodes share a path, and one of them
// that has nothing more to send leaves its part of the rate to those that the path still limits
// (in the spirit of RFC 3124). They send on as fast together as before, so that nobody else on
// the path notices, and it does not run dry until their probes have found what is free.
// What is left must have been held: delivered while only the path limited it, for so many rounds
// that the others have made room for it.
const heldRounds = 8 // about a cycle of probing

// A tenure counts the rounds in which only the path limited the sender, less those in which the
// application did.
type tenure int8

func (n *tenure) endRound(limited bool) {
	if limited {
		*n = max(*n-1, 0)
	} else {
		*n = min(*n+1, 2*heldRounds)
	}
}

// Held is what the sender leaves at, however little of it the ACKs of a shared queue show.
func (b *bbr) Held() float64 {
	switch {
	case b.tenure < heldRounds || b.phase == startup:
		return 0
	case b.phase == share:
		return min(b.sharing.rate, b.rate.max())
	}
	return b.rate.max()
}

// Take adds to the estimate, which samples confirm a round trip later, or have replaced
// two cycles of probing on.
func (b *bbr) Take(rate float64) {
	if b.inflightHi != 0 {
		b.inflightHi = int(min(float64(b.inflightHi)*(1+rate/max(b.rate.max(), minRate)), maxWindow))
	}
	b.rate.add(b.rate.max() + rate)
	b.sharing.rate += rate
	b.decide()
}

// Yield forgets the rate, and keeps what holds of the path whoever sends on it.
func (b *bbr) Yield() float64 {
	rate := b.Held()
	if rate > 0 {
		*b = bbr{
			sampler: b.sampler, packet: b.packet, rng: b.rng, gain: startupGain,
			base: b.base, others: b.others, loss: b.loss,
		}
		b.decide()
	}
	return rate
}
