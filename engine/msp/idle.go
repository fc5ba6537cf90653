package msp

import "time"

// An idleState watches over silence in both directions (§7).
type idleState struct {
	lastSent  time.Time // a packet of any kind
	lastHeard time.Time // a packet of any kind; the creation before that
}

// silent reports whether the peer has not been heard for so long that it is
// probed.
func (i *idleState) silent(now time.Time) bool { return now.Sub(i.lastHeard) >= silenceLimit }

// keepAliveAt returns when the next packet must leave: 1.5 s after the last, or
// 0.5 s while the peer is silent.
func (i *idleState) keepAliveAt() time.Time {
	probe := i.lastSent.Add(silenceProbe)
	if quiet := i.lastHeard.Add(silenceLimit); probe.Before(quiet) {
		probe = quiet
	}
	return earlier(i.lastSent.Add(keepAliveInterval), probe)
}

// answersProbe reports whether an ack-only packet that arrives now is the probe
// of a peer that hears nothing, as more than one a second is, and we have been
// as quiet as it thinks (§5.3). An answer follows our last packet by what makes a
// gap no probe, so that it is never answered in turn.
func (i *idleState) answersProbe(now time.Time) bool {
	return now.Sub(i.lastHeard) < probeGap && now.Sub(i.lastSent) >= probeGap
}

// deadAt returns when the connection ends for silence.
func (i *idleState) deadAt() time.Time { return i.lastHeard.Add(idleTimeout) }

// earlier returns the earlier of two times, of which zero means none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
