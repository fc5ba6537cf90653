package conformance

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mspnet"
)

var hostileRuns = flag.Int("hostile", 80, "runs of TestHostileLink")

// TestHostileLink: two nodes across a link that loses 30%, reorders, repeats,
// and is cut for a while, and that move to other addresses. In each run both ends write and read at the same time
// and then close, and
//   - what is read is always a prefix of what was written;
//   - if both sides end it is all of it, or ETIMEDOUT at an end that the link
//     gave nothing for 10 s, and never EOF with bytes missing;
//   - nil from CloseContext means that the peer has read everything;
//   - both ends finish, and nothing is left running: the bubble sees to that.
//
// [MSP-5.2.1], [MSP-5.2.6], [MSP-7.5], [MSP-8.1.5].
func TestHostileLink(t *testing.T) {
	whole := 0
	for seed := range *hostileRuns {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if hostileRun(t, uint64(seed)) {
					whole++
				}
			})
		})
	}
	t.Logf("%d of %d runs delivered everything", whole, *hostileRuns)
	if most := *hostileRuns * 6 / 10; whole < most {
		t.Errorf("%d of %d runs delivered everything, want %d or more", whole, *hostileRuns, most)
	}
}

// hostileRun makes one run, and reports whether everything was delivered both
// ways. Every fourth has a partition of more than the protocol's silence, the
// others one of less.
func hostileRun(t *testing.T, seed uint64) (whole bool) {
	rng := rand.New(rand.NewPCG(seed, 0))
	ms := func(n int) time.Duration { return time.Duration(rng.IntN(n)) * time.Millisecond }
	w := newWorld(t, memnet.Config{Seed: seed, Impairment: memnet.Impairment{Delay: ms(50), Jitter: ms(30)}})
	client, server := w.connect(t)
	w.net.SetImpairmentAll(memnet.Impairment{
		Loss: 0.3, Reorder: 0.2, ReorderBy: ms(100), Duplicate: 0.1, Delay: ms(50), Jitter: ms(30),
	})
	cutAt, cutFor := ms(2000), ms(5000)
	if seed%4 == 3 {
		cutFor = time.Minute
	}
	cut := time.AfterFunc(cutAt, func() {
		w.net.Partition([]*memnet.Link{w.clientLink})
		time.AfterFunc(cutFor, w.net.Heal)
	})
	defer cut.Stop()
	moves := rand.New(rand.NewPCG(seed, 4))
	for i, link := range []*memnet.Link{w.clientLink, w.serverLink} {
		if seed>>(2+i)&1 == 1 { // neither, one of them, or both
			move := time.AfterFunc(time.Duration(moves.Int64N(int64(5*time.Second))), func() { link.Rebind() })
			defer move.Stop()
		}
	}

	up, down := hostileStream(rng), hostileStream(rng)
	a := &hostileEnd{c: client, sends: up, gets: down, rng: rand.New(rand.NewPCG(seed, 1))}
	b := &hostileEnd{c: server, sends: down, gets: up, rng: rand.New(rand.NewPCG(seed, 2))}
	var wg sync.WaitGroup
	for _, e := range []*hostileEnd{a, b} {
		wg.Go(e.run)
	}
	wg.Wait()
	a.check(t, "client", b)
	b.check(t, "server", a)
	return a.verdict == nil && b.verdict == nil
}

// hostileStream is what one end sends: now and then nothing, and sometimes more
// than everybody's buffers hold.
func hostileStream(rng *rand.Rand) []byte {
	sizes := []int{0, 1, 1024, 20_000, 100_000, 300_000}
	b := make([]byte, sizes[rng.IntN(len(sizes))])
	rand.NewChaCha8([32]byte{byte(rng.Uint32())}).Read(b)
	return b
}

// A hostileEnd is one end and what became of it.
type hostileEnd struct {
	c           *mspnet.Conn
	sends, gets []byte
	rng         *rand.Rand

	got      []byte
	readErr  error // nil: EOF
	wrote    int
	writeErr error
	verdict  error // of CloseContext
	silent   time.Duration
}

// run writes and reads at the same time, and then closes. Meanwhile it notes how
// long nothing of the connection arrived.
func (e *hostileEnd) run() {
	over := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { e.watch(over) })
	var both sync.WaitGroup
	both.Go(e.write)
	both.Go(e.read)
	both.Wait()
	e.verdict = e.c.CloseContext(context.Background())
	close(over)
	watch.Wait()
}

// watchEvery is how exactly silence is measured.
const watchEvery = 100 * time.Millisecond

// watch finds the longest time in which no packet arrived.
func (e *hostileEnd) watch(over <-chan struct{}) {
	last, count := time.Now(), uint64(0)
	for {
		select {
		case <-over:
			return
		case <-time.After(watchEvery):
		}
		e.silent = max(e.silent, time.Since(last))
		if n := e.c.Stats().PacketsReceived; n != count {
			last, count = time.Now(), n
		}
	}
}

// write sends everything in pieces of any size, and ends the direction.
func (e *hostileEnd) write() {
	for e.wrote < len(e.sends) && e.writeErr == nil {
		var n int
		piece := min(1+e.rng.IntN(5000), len(e.sends)-e.wrote)
		n, e.writeErr = e.c.Write(e.sends[e.wrote : e.wrote+piece])
		e.wrote += n
	}
	if e.writeErr == nil {
		e.writeErr = e.c.CloseWrite()
	}
}

// read reads to the end, slowly at times.
func (e *hostileEnd) read() {
	b := make([]byte, 3000)
	slow := rand.New(rand.NewPCG(uint64(len(e.gets)), 3))
	for {
		n, err := e.c.Read(b[:1+slow.IntN(len(b))])
		e.got = append(e.got, b[:n]...)
		if err != nil {
			if err != io.EOF {
				e.readErr = err
			}
			break
		}
		if slow.IntN(20) == 0 {
			time.Sleep(time.Duration(slow.IntN(500)) * time.Millisecond)
		}
	}
}

// failed reports whether one of the end's calls ended with err.
func (e *hostileEnd) failed(err error) bool {
	return errors.Is(e.readErr, err) || errors.Is(e.writeErr, err) || errors.Is(e.verdict, err)
}

// check tells whether the end kept the rules. Silence is an excuse for a
// time-out, and the peer's time-out for a reset.
func (e *hostileEnd) check(t *testing.T, name string, peer *hostileEnd) {
	t.Helper()
	if !bytes.HasPrefix(e.gets, e.got) {
		t.Errorf("%s: the %d bytes read are not a prefix of the %d sent", name, len(e.got), len(e.gets))
	}
	if e.readErr == nil && len(e.got) != len(e.gets) {
		t.Errorf("%s: EOF after %d bytes of %d", name, len(e.got), len(e.gets))
	}
	if e.verdict == nil && len(peer.got) != len(e.sends) {
		t.Errorf("%s: CloseContext gave nil, and the peer has %d bytes of %d", name, len(peer.got), len(e.sends))
	}
	silent := e.silent >= silence-2*watchEvery
	for what, err := range map[string]error{"read": e.readErr, "write": e.writeErr, "close": e.verdict} {
		switch {
		case err == nil:
		case errors.Is(err, syscall.ETIMEDOUT) && silent:
		case errors.Is(err, syscall.ECONNRESET) && peer.failed(syscall.ETIMEDOUT):
		default:
			t.Errorf("%s: %s: %v, after at most %v of silence", name, what, err, e.silent)
		}
	}
}
