package mdpconn

import (
	"net/netip"
	"time"
)

// Finding and proving the address of a peer. Implementation.
const (
	maxCandidates = 4                      // addresses tried side by side
	maxChallenges = 8                      // to a candidate without an answer, unless it is a hint
	wantWindow    = 2 * time.Second        // a datagram sent wants its peer for so long
	silentAfter   = 3 * time.Second        // of sending without hearing anything, the endpoint may be gone
	quietAfter    = 1 * time.Second        // without hearing from the endpoint, another proven address takes over
	provenFor     = 5 * time.Second        // a candidate that passed counts as proven for so long
	challengeWait = 250 * time.Millisecond // before a challenge is repeated; doubled each time
	challengeMost = 2 * time.Second        // the longest of these waits
	heardWait     = 30 * time.Millisecond  // before it is repeated to an address from which other packets come
	heardTries    = 3                      // so often
	challengeRate = 16                     // challenges per second, peer and class of candidate
	unprovenRate  = 64 * maxCandidates     // copies of datagrams to unproven addresses, per second and peer
)

// An endpoint is an address, and the link that reaches it.
type endpoint struct {
	link *nodeLink
	addr netip.AddrPort
}

// A candidateClass says where a candidate is from. A higher class makes no room
// for a lower one.
type candidateClass int

const (
	announced     candidateClass = iota // somebody said so, unproven, in a tick or the like
	answered                            // the same, in an answer to a question of ours
	authenticated                       // an authenticated packet came from there, perhaps a replayed one
	hinted                              // somebody here said so
	classes       = iota
)

// A candidate is an address at which a peer may be.
type candidate struct {
	endpoint
	class       candidateClass
	added       time.Time
	heard       time.Time // last authenticated packet from there that is no replay, as far as one can tell
	passed      time.Time // last challenge that came back from there
	challengeAt time.Time // when the next challenge is due; zero: at once
	tries       int       // challenges since the last that came back
}

// provenLately reports whether a challenge came back from there not long ago.
func (c *candidate) provenLately(now time.Time) bool {
	return !c.passed.IsZero() && now.Sub(c.passed) < provenFor
}

// rank orders candidates by how little they should make room.
func (c *candidate) rank(now time.Time) int {
	if c.provenLately(now) {
		return int(hinted) + 1
	}
	return int(c.class)
}

// A target is where a copy of a datagram goes.
type target struct {
	endpoint
	challenge int64 // stamp of the challenge that goes along; 0: none
}

// A path is how a peer is reached: by one proven address, the endpoint, and up
// to four others that may turn out better. Its life:
//
//	          candidate added         challenge came back
//	searching ───────────────► trying ───────────────────► known ◄──┐
//	 asks                       asks, challenges,            │      │ anything
//	                            copies to all                │ sent │ authentic
//	                                                         ▼ 3 s  │ from there
//	                                                       silent ──┘
//	                                          as trying, and the endpoint as well
//
// An address only ever becomes the endpoint in passed: when a challenge that
// was sent to it, and to it alone, has come back from it in time
// (docs/architecture.md, security rules). Guarded by Node.mu; no method does
// any I/O.
type path struct {
	prefers bool // constant: this end changes its endpoint at once, see passed

	known      bool
	current    candidate // the endpoint, if known
	unanswered time.Time // since when the endpoint was sent to and not heard; zero: it is not so
	silent     bool
	proof      int64     // stamp of the challenge that proved the endpoint
	newest     int64     // newest time in a nonce that the peer made
	newestAt   time.Time // when that arrived

	candidates []candidate
	challenges [classes]bucket // each class has its own, so that forged ticks take nothing from others
	unproven   bucket

	wantedUntil time.Time // datagrams were sent lately
	askAt       time.Time // when to ask for the SID next; zero: no search goes on
	asks        int       // questions in this search
	waiting     []waitingDatagram

	sent, received uint64 // datagrams
	lastHeard      time.Time
	rtt            time.Duration
}

func newPath(prefers bool) path {
	p := path{prefers: prefers, unproven: newBucket(unprovenRate, unprovenRate)}
	for i := range p.challenges {
		p.challenges[i] = newBucket(challengeRate, challengeRate)
	}
	return p
}

// searching reports whether the peer's address is to be looked for.
func (p *path) searching() bool { return !p.known || p.silent }

func (p *path) find(e endpoint) *candidate {
	for i := range p.candidates {
		if p.candidates[i].endpoint == e {
			return &p.candidates[i]
		}
	}
	return nil
}

// addCandidate notes an address. It gives the candidate, or nil if that is the
// endpoint, or those there are should not make room for it.
func (p *path) addCandidate(now time.Time, e endpoint, class candidateClass) *candidate {
	if p.known && p.current.endpoint == e {
		p.current.class = max(p.current.class, class)
		return nil
	}
	if c := p.find(e); c != nil {
		c.class = max(c.class, class)
		return c
	}
	fresh := candidate{endpoint: e, class: class, added: now}
	if class == hinted {
		p.dropHint(now)
	}
	if len(p.candidates) < maxCandidates {
		p.candidates = append(p.candidates, fresh)
		return &p.candidates[len(p.candidates)-1]
	}
	victim := &p.candidates[0]
	for i := range p.candidates {
		c := &p.candidates[i]
		if r, v := c.rank(now), victim.rank(now); r < v || r == v && c.added.Before(victim.added) {
			victim = c
		}
	}
	if victim.rank(now) > int(class) {
		return nil
	}
	*victim = fresh
	return victim
}

// dropHint makes room for one more hint: one place is kept for an address that
// the peer itself is heard from, or it could not move.
func (p *path) dropHint(now time.Time) {
	var oldest *candidate
	hints := 0
	for i := range p.candidates {
		if c := &p.candidates[i]; c.class == hinted && !c.provenLately(now) {
			hints++
			if oldest == nil || c.added.Before(oldest.added) {
				oldest = c
			}
		}
	}
	if hints >= maxCandidates-1 {
		p.removeCandidate(oldest)
	}
}

func (p *path) removeCandidate(c *candidate) {
	for i := range p.candidates {
		if &p.candidates[i] == c {
			p.candidates = append(p.candidates[:i], p.candidates[i+1:]...)
			return
		}
	}
}

// mustProve reports whether a candidate is to be challenged now: while the
// peer's address is looked for, and when the peer seems to have moved there.
func (p *path) mustProve(c *candidate) bool {
	return p.searching() || c.heard.After(p.current.heard)
}

// takeChallenge reports whether a challenge to c is due and allowed, and if so
// counts it as sent.
func (p *path) takeChallenge(now time.Time, c *candidate) bool {
	if c.tries > 0 && now.Before(c.challengeAt) {
		return false
	}
	if c.tries > 0 && now.Sub(c.challengeAt) > challengeMost {
		c.tries = 0 // that was another time
	}
	if !p.challenges[c.class].take(now) {
		c.challengeAt = now.Add(challengeWait)
		return false
	}
	c.challengeAt = now.Add(min(challengeWait<<c.tries, challengeMost))
	c.tries++
	return true
}

// beginSearch begins to look for the peer's address, if need be.
func (p *path) beginSearch(now time.Time, delay time.Duration) {
	if !p.searching() {
		return
	}
	if p.askAt.IsZero() || now.Sub(p.askAt) > wantWindow {
		p.asks = 0
		p.askAt = now.Add(delay)
		if len(p.candidates) > 0 {
			p.askAt = now.Add(delay + askWait) // perhaps they will do
		}
	}
	for i := range p.candidates {
		if c := &p.candidates[i]; c.challengeAt.IsZero() {
			c.challengeAt = now.Add(delay)
		}
	}
}

// endSearch ends the search, as the endpoint is good.
func (p *path) endSearch() {
	p.unanswered = time.Time{}
	p.silent = false
	p.askAt = time.Time{}
	p.asks = 0
}

// fallSilent begins a search next to the endpoint, from which nothing comes.
func (p *path) fallSilent(now time.Time) {
	p.silent = true
	p.asks = 0
	p.askAt = now.Add(askWait) // the endpoint's answer may come before
	p.current.tries, p.current.challengeAt = 0, now
	for i := range p.candidates {
		p.candidates[i].tries, p.candidates[i].challengeAt = 0, now
	}
}

// route appends where k datagrams go that are sent now. The second result is
// how many copies were left out because too many went to unproven addresses.
func (p *path) route(now time.Time, k int, dst []target) ([]target, int) {
	p.wantedUntil = now.Add(wantWindow)
	if p.known {
		if p.unanswered.IsZero() {
			p.unanswered = now
		} else if !p.silent && now.Sub(p.unanswered) >= silentAfter {
			p.fallSilent(now)
		}
		t := target{endpoint: p.current.endpoint}
		if p.silent && p.takeChallenge(now, &p.current) {
			t.challenge = 1
		}
		dst = append(dst, t)
	}
	left := 0
	for i := range p.candidates {
		c := &p.candidates[i]
		proven := c.provenLately(now)
		if !p.searching() && !(proven && c.heard.After(p.current.heard)) {
			continue
		}
		if !proven && !p.takeUnproven(now, k) {
			left += k
			continue
		}
		t := target{endpoint: c.endpoint}
		if p.takeChallenge(now, c) {
			t.challenge = 1
		}
		dst = append(dst, t)
	}
	return dst, left
}

// takeUnproven reports whether k more datagrams may go to an unproven address.
func (p *path) takeUnproven(now time.Time, k int) bool {
	for range k {
		if !p.unproven.take(now) {
			return false
		}
	}
	return true
}

// heardFrom notes an authenticated packet that came directly from an address.
// fresh tells that it is no replay, as far as one can tell.
func (p *path) heardFrom(now time.Time, e endpoint, fresh bool) {
	if e.link.gone {
		return
	}
	if p.known && p.current.endpoint == e {
		if fresh {
			p.current.heard = now
			p.endSearch()
		}
		return
	}
	if !fresh {
		p.announcedAt(now, e, announced)
		return
	}
	if c := p.addCandidate(now, e, authenticated); c != nil {
		c.heard = now
		if soon := now.Add(heardWait); c.tries > 0 && c.tries <= heardTries && !c.provenLately(now) && soon.Before(c.challengeAt) {
			c.challengeAt = soon // the packets get through, so the challenge was lost, or its answer
		}
	}
}

// announcedAt notes that somebody, perhaps not the peer, says that the peer is
// at an address. That counts only while it is looked for.
func (p *path) announcedAt(now time.Time, e endpoint, class candidateClass) {
	if class == answered && p.asks == 0 {
		class = announced
	}
	if p.searching() && !e.link.gone {
		p.addCandidate(now, e, class)
	}
}

// A verdict says what became of a challenge that came back.
type verdict int

const (
	challengeRefused verdict = iota // too old
	challengeNoted                  // the address is proven, but not better than the endpoint
	challengePassed                 // it was the endpoint's
	endpointChanged                 // the address is the endpoint now
)

// passed notes that the challenge with the given stamp, sent to an address so
// long ago, has come back from it. If it is not the endpoint yet it becomes it
// if there is none, or there is nothing from it, or if the peer moved here.
//
// Of two peers that both have two ways to each other, each might take the
// sending of the other for a move, for ever. So the one with the greater SID
// waits until there is nothing on the old way for a second; until then it
// sends on both.
func (p *path) passed(now time.Time, e endpoint, stamp int64, rtt time.Duration) verdict {
	if e.link.gone {
		return challengeRefused
	}
	if p.known && p.current.endpoint == e {
		p.proof = max(p.proof, stamp)
		p.rtt = rtt
		p.current.heard, p.current.passed, p.current.tries = now, now, 0
		p.endSearch()
		return challengePassed
	}
	if stamp <= p.proof {
		return challengeRefused
	}
	c := p.find(e)
	if c == nil { // it had to make room meanwhile
		if c = p.addCandidate(now, e, authenticated); c == nil {
			return challengeRefused
		}
	}
	c.passed, c.tries = now, 1
	c.challengeAt = now.Add(2 * challengeWait)
	moved := c.heard.After(p.current.heard) && p.prefers
	if p.known && !p.silent && !moved && now.Sub(p.current.heard) < quietAfter {
		return challengeNoted
	}
	old, wasKnown := p.current, p.known
	p.current, p.known = *c, true
	p.current.heard = now
	p.current.tries = 0
	p.proof = stamp
	p.rtt = rtt
	if wasKnown {
		old.class = max(old.class, authenticated)
		old.tries = 0
		*c = old
	} else {
		p.removeCandidate(c)
	}
	p.endSearch()
	return endpointChanged
}
