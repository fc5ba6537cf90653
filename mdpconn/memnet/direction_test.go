package memnet

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// everything is an impairment with all there is.
var everything = Impairment{
	Loss:       0.05,
	Burst:      Burst{GoodToBad: 0.02, BadToGood: 0.3, LossBad: 0.8},
	Delay:      20 * time.Millisecond,
	Jitter:     5 * time.Millisecond,
	Reorder:    0.05,
	ReorderBy:  7 * time.Millisecond,
	Duplicate:  0.05,
	Rate:       2e6,
	QueueBytes: 20000,
}

// transcript lets packets cross a network of three and gives what taps and
// readers saw. With busy set, other directions are in use as well, which does
// not show in what is given.
func transcript(t *testing.T, seed uint64, busy bool) (log string) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Config{Seed: seed, Impairment: everything})
		c := n.Link()
		n.Tap(func(e Event) {
			if e.From == a.addr && e.Receiver == b.addr {
				log += fmt.Sprintf("%v %v\n", e.Time.Sub(n.start), e)
			}
		})
		for i := range 500 {
			send(t, a, b.LocalAddr(), fmt.Sprintf("%0*d", 200+i, i))
			if busy {
				send(t, b, a.LocalAddr(), "back")
				send(t, a, c.LocalAddr(), "aside")
				send(t, c, b.LocalAddr(), "across")
			}
			time.Sleep(time.Duration(i%5) * time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for _, s := range arrived(t, b) {
			if s != "across" {
				log += s + "\n"
			}
		}
	})
	return log
}

func TestSameSeedSameFates(t *testing.T) {
	first := transcript(t, 7, false)
	if again := transcript(t, 7, false); again != first {
		t.Error("a second run with the same seed went differently")
	}
	if busy := transcript(t, 7, true); busy != first {
		t.Error("traffic in other directions changed the fates")
	}
	if other := transcript(t, 8, false); other == first {
		t.Error("another seed made no difference")
	}
}

func TestDirectionsDiffer(t *testing.T) {
	_, a, b := pair(t, Config{Seed: 9, Impairment: Impairment{Loss: 0.5}})
	sendMany(t, a, b, 64, 4)
	sendMany(t, b, a, 64, 4)
	if fmt.Sprint(arrived(t, a)) == fmt.Sprint(arrived(t, b)) {
		t.Error("both directions lost the same packets")
	}
}

func TestOneImpairmentDoesNotChangeAnother(t *testing.T) {
	lost := func(im Impairment) string {
		_, a, b := pair(t, Config{Seed: 10, Impairment: im})
		sendMany(t, a, b, 200, 4)
		return fmt.Sprint(arrived(t, b))
	}
	loss := lost(Impairment{Loss: 0.3})
	// A burst that loses nothing and a reordering that is never drawn.
	if got := lost(Impairment{Loss: 0.3, Reorder: 1e-12, Burst: Burst{GoodToBad: 0.5, BadToGood: 0.5, LossBad: 1e-12}}); got != loss {
		t.Error("Loss came out differently with Burst and Reorder")
	}
}

func TestDrawIsEven(t *testing.T) {
	const count = 100000
	d := &direction{seed: directionSeed(11, Broadcast, Broadcast)}
	for draw := range draws {
		var sum, squares, serial, last float64
		for k := range uint64(count) {
			x := d.draw(k, draw)
			if x < 0 || x >= 1 {
				t.Fatalf("draw(%d, %d) = %v, want 0 … 1", k, draw, x)
			}
			sum += x
			squares += x * x
			serial += (x - 0.5) * (last - 0.5)
			last = x
		}
		mean := sum / count
		wantBetween(t, "mean", mean, 0.495, 0.505)
		wantBetween(t, "variance", squares/count-mean*mean, 1./12-0.002, 1./12+0.002)
		wantBetween(t, "serial correlation", math.Abs(serial/count*12), 0, 0.02)
	}
}
