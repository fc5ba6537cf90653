package mdpconn

import "time"

// A timing is how often and how fast to send on a link. Specification
// (docs/overlay.md §2.1). The zero value is that of a link of which nothing is
// known: it is as fast as any.
type timing struct {
	tick     time.Duration // between signs of life to everybody and to each neighbour
	interval time.Duration // between packets, on average; zero: no limit
}

// timing gives that of an interface.
func (i *Interface) timing() timing {
	t := [...]timing{
		WiFi:     {tickEvery, 800 * time.Microsecond},
		Ethernet: {tickEvery, 100 * time.Microsecond},
		Radio:    {15 * time.Second, 1000 * time.Microsecond},
	}[i.Type]
	if i.Tick > 0 {
		t.tick = i.Tick
	}
	if i.PacketInterval > 0 {
		t.interval = i.PacketInterval
	}
	return t
}

// reachable is how long a neighbour that is not heard counts as there.
func (t timing) reachable() time.Duration { return max(reachableFor, 5*t.tick) }

// remembered is how long an advertisement that is not repeated is.
func (t timing) remembered() time.Duration { return max(advertFor, 5*t.tick) }

// slow reports whether records are rarer than the rounds in which they go out.
func (t timing) slow() bool { return t.tick > recordEvery }

// A pace lets a number of packets pass in each window of time: floor(5 ms /
// interval) + 1 in so many intervals, as stock does. The zero value lets all pass.
type pace struct {
	window time.Duration
	most   int
	began  time.Time
	count  int
}

func (t timing) pace() pace {
	if t.interval <= 0 {
		return pace{}
	}
	most := int(5*time.Millisecond/t.interval) + 1
	return pace{window: time.Duration(most) * t.interval, most: most}
}

// take reports whether one more packet may pass now, and counts it if so.
func (p *pace) take(now time.Time) bool {
	if p.most == 0 {
		return true
	}
	if p.began.IsZero() || now.Sub(p.began) >= p.window {
		p.began, p.count = now, 0
	}
	if p.count >= p.most {
		return false
	}
	p.count++
	return true
}

// next tells when take lets one pass again after it did not.
func (p *pace) next() time.Time { return p.began.Add(p.window) }
