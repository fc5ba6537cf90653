package mdpconn

import (
	"net/netip"
	"testing"
	"time"
)

// A pathScript drives a path by hand.
type pathScript struct {
	path
	t     *testing.T
	now   time.Time
	stamp int64
}

func newPathScript(t *testing.T, prefers bool) *pathScript {
	return &pathScript{path: newPath(prefers), t: t, now: time.Unix(1e9, 0)}
}

func (s *pathScript) advance(d time.Duration) { s.now = s.now.Add(d) }

var testLink = new(nodeLink)

func testEndpoint(host byte) endpoint {
	return endpoint{link: testLink, addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, host}), 4110)}
}

// prove lets a challenge come back from an address.
func (s *pathScript) prove(why string, host byte, want verdict) {
	s.t.Helper()
	s.stamp++
	if got := s.passed(s.now, testEndpoint(host), s.stamp, 0); got != want {
		s.t.Errorf("%s: verdict %d, want %d", why, got, want)
	}
}

func (s *pathScript) wantEndpoint(why string, host byte) {
	s.t.Helper()
	if !s.known || s.current.endpoint != testEndpoint(host) {
		s.t.Errorf("%s: endpoint %v (%t), want %v", why, s.current.addr, s.known, testEndpoint(host).addr)
	}
}

// wantTargets tells where a datagram goes, and whether with a challenge.
func (s *pathScript) wantTargets(why string, want ...target) {
	s.t.Helper()
	got, _ := s.route(s.now, 1, nil)
	if len(got) != len(want) {
		s.t.Fatalf("%s: targets %v, want %v", why, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			s.t.Fatalf("%s: targets %v, want %v", why, got, want)
		}
	}
}

func plainly(host byte) target       { return target{endpoint: testEndpoint(host)} }
func withChallenge(host byte) target { return target{endpoint: testEndpoint(host), challenge: 1} }

func TestCandidatesMakeRoom(t *testing.T) {
	s := newPathScript(t, true)
	add := func(host byte, class candidateClass, want bool) {
		t.Helper()
		s.advance(time.Millisecond)
		if got := s.addCandidate(s.now, testEndpoint(host), class) != nil; got != want {
			t.Errorf("candidate %d of class %d taken: %t, want %t", host, class, got, want)
		}
		if len(s.candidates) > maxCandidates {
			t.Fatalf("%d candidates", len(s.candidates))
		}
	}
	have := func(hosts ...byte) {
		t.Helper()
		for _, h := range hosts {
			if s.find(testEndpoint(h)) == nil {
				t.Errorf("candidate %d is not there", h)
			}
		}
		if len(s.candidates) != len(hosts) {
			t.Errorf("%d candidates, want %d", len(s.candidates), len(hosts))
		}
	}
	for h := byte(1); h <= 4; h++ {
		add(h, announced, true)
	}
	add(5, announced, true) // in place of the oldest
	have(2, 3, 4, 5)
	add(6, authenticated, true)
	add(7, hinted, true)
	have(4, 5, 6, 7)
	add(8, answered, true)
	add(9, authenticated, true)
	have(6, 7, 8, 9)
	add(10, announced, false)
	add(10, answered, true)
	have(6, 7, 9, 10)
	add(11, hinted, true)
	add(12, hinted, true)
	add(13, hinted, true) // in place of the oldest hint: one place is for what the peer is heard from
	have(9, 11, 12, 13)
	add(14, authenticated, true)
	add(11, announced, true) // it is there already, and stays what it is
	have(11, 12, 13, 14)

	// One that has just been proven makes room for nobody.
	s.find(testEndpoint(11)).passed = s.now
	add(15, hinted, true)
	add(16, hinted, true)
	have(11, 13, 15, 16)
}

func TestEndpointNeedsProof(t *testing.T) {
	s := newPathScript(t, true)
	s.wantTargets("nothing is known")
	s.addCandidate(s.now, testEndpoint(1), hinted)
	s.heardFrom(s.now, testEndpoint(2), true)
	s.wantTargets("first datagram", withChallenge(1), withChallenge(2))
	s.wantTargets("next datagram", plainly(1), plainly(2))
	s.advance(challengeWait)
	s.wantTargets("challenges again", withChallenge(1), withChallenge(2))
	s.advance(challengeWait)
	s.wantTargets("later the second time", plainly(1), plainly(2))
	s.prove("first proof", 2, endpointChanged)
	s.wantEndpoint("first proof", 2)
	s.wantTargets("known", plainly(2))
	s.prove("another address answers too", 1, challengeNoted)
	s.wantEndpoint("another address answers too", 2)
}

func TestOldProofIsRefused(t *testing.T) {
	s := newPathScript(t, true)
	s.prove("first proof", 1, endpointChanged)
	s.advance(2 * quietAfter)
	s.prove("moved", 2, endpointChanged)
	s.advance(2 * quietAfter)
	for stamp := range s.stamp + 1 {
		if got := s.passed(s.now, testEndpoint(1), stamp, 0); got != challengeRefused {
			t.Errorf("answer to challenge %d after %d: verdict %d", stamp, s.proof, got)
		}
	}
	s.wantEndpoint("after old proofs", 2)
}

// What was read from a link before it was removed, and comes to a path after that,
// neither keeps the endpoint there nor makes another.
func TestPacketsOfRemovedLink(t *testing.T) {
	removed := &nodeLink{}
	s := newPathScript(t, true)
	there := func(host byte) endpoint { return endpoint{removed, testEndpoint(host).addr} }
	s.passed(s.now, there(1), 1, 0)
	removed.gone = true
	s.linkGone(removed, s.now)
	s.heardFrom(s.now, there(1), true)
	if !s.silent {
		t.Error("a packet from the endpoint has ended the search")
	}
	s.heardFrom(s.now, there(2), true)
	s.announcedAt(s.now, there(3), announced)
	if got := s.passed(s.now, there(1), 2, 0); got != challengeRefused {
		t.Errorf("verdict %d on an answer", got)
	}
	if len(s.candidates) > 0 {
		t.Errorf("candidates %v", s.candidates)
	}
}

// The end with the lesser SID follows a move at once; the other one when the old
// address has been quiet for a second, and sends to both until then.
func TestWhoFollowsAMove(t *testing.T) {
	for _, prefers := range []bool{true, false} {
		s := newPathScript(t, prefers)
		s.prove("first proof", 1, endpointChanged)
		s.heardFrom(s.now, testEndpoint(1), true)
		s.advance(10 * time.Millisecond)
		s.heardFrom(s.now, testEndpoint(2), true)
		if c := s.find(testEndpoint(2)); c == nil || !s.mustProve(c) || !s.takeChallenge(s.now, c) {
			t.Fatal("no challenge to the new address")
		}
		s.wantTargets("before the proof", plainly(1))
		s.advance(10 * time.Millisecond)
		if prefers {
			s.prove("proof", 2, endpointChanged)
			s.wantTargets("after the proof", plainly(2))
			continue
		}
		s.prove("proof", 2, challengeNoted)
		s.wantTargets("after the proof", plainly(1), plainly(2))
		s.heardFrom(s.now.Add(time.Millisecond), testEndpoint(1), true)
		s.wantTargets("the old address is heard after all", plainly(1))
		s.advance(quietAfter + 2*time.Millisecond)
		s.heardFrom(s.now, testEndpoint(2), true)
		s.prove("proof when the old address is quiet", 2, endpointChanged)
		s.wantTargets("after the second proof", plainly(2))
	}
}

func TestSilentEndpoint(t *testing.T) {
	s := newPathScript(t, true)
	s.prove("first proof", 1, endpointChanged)
	s.advance(time.Hour)
	s.wantTargets("after an hour of idleness", plainly(1))
	s.advance(silentAfter - 1)
	s.wantTargets("not yet silent", plainly(1))
	s.heardFrom(s.now, testEndpoint(1), false) // a replay, which tells nothing
	s.announcedAt(s.now, testEndpoint(9), announced)
	s.advance(1)
	s.wantTargets("silent", withChallenge(1))
	if !s.searching() || s.askAt.IsZero() {
		t.Error("nobody asks for a silent peer")
	}
	s.announcedAt(s.now, testEndpoint(2), announced)
	s.wantTargets("an announcement", plainly(1), withChallenge(2))
	s.heardFrom(s.now, testEndpoint(1), true)
	s.wantTargets("it is heard", plainly(1))
	if s.searching() || !s.askAt.IsZero() {
		t.Error("the search goes on")
	}
	s.advance(silentAfter)
	s.wantTargets("silent again", withChallenge(1), withChallenge(2))
	s.prove("an answer from elsewhere", 2, endpointChanged)
	s.wantTargets("known", plainly(2))
}

// TestLostChallenge: an address from which packets come, and no answer to a challenge, is
// challenged again soon. Until it is proven little may be sent there.
func TestLostChallenge(t *testing.T) {
	s := newPathScript(t, true)
	s.announcedAt(s.now, testEndpoint(1), hinted)
	s.wantTargets("the first", withChallenge(1))
	s.advance(heardWait)
	s.wantTargets("nothing is heard yet", plainly(1))
	s.heardFrom(s.now, testEndpoint(1), false)
	s.advance(heardWait)
	s.wantTargets("a replay, which tells nothing", plainly(1))
	s.heardFrom(s.now, testEndpoint(1), true)
	s.advance(heardWait - 1)
	s.heardFrom(s.now, testEndpoint(1), true)
	s.wantTargets("the answer may still come", plainly(1))
	s.advance(1)
	s.wantTargets("it was lost", withChallenge(1))
	s.prove("the second came back", 1, endpointChanged)
	s.wantTargets("known", plainly(1))
}

// A replayed packet of one of our own makes no candidate while all is well, and
// only one of the lowest class while the peer is looked for.
func TestReplayIsNoCandidate(t *testing.T) {
	s := newPathScript(t, true)
	s.heardFrom(s.now, testEndpoint(3), false)
	if c := s.find(testEndpoint(3)); c == nil || c.class != announced || !c.heard.IsZero() {
		t.Errorf("candidate %+v", c)
	}
	s.prove("first proof", 1, endpointChanged)
	s.heardFrom(s.now, testEndpoint(4), false)
	if s.find(testEndpoint(4)) != nil {
		t.Error("a replay made a candidate")
	}
}

func TestChallengesAreBounded(t *testing.T) {
	s := newPathScript(t, true)
	sent := 0
	for range 1000 { // candidates come and go, every 10 ms
		for h := range byte(8) {
			s.advance(10 * time.Millisecond / 8)
			c := s.addCandidate(s.now, testEndpoint(h), announced)
			if s.takeChallenge(s.now, c) {
				sent++
			}
		}
	}
	if limit := challengeRate*10 + challengeRate; sent > limit {
		t.Errorf("%d challenges in 10 s, want at most %d", sent, limit)
	}
}
