package memnet

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
)

func TestUnimpairedArrivesAtOnceInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Config{})
		send(t, a, b.LocalAddr(), "one")
		send(t, a, b.LocalAddr(), "two")
		send(t, a, b.LocalAddr(), "three")
		wantArrived(t, "no time has passed", b, "one", "two", "three")
		wantArrived(t, "nobody sent to it", a)
		if got, want := n.Stats(), (Stats{Sent: 3, Delivered: 3}); got != want {
			t.Errorf("Stats() = %+v, want %+v", got, want)
		}
	})
}

func TestLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Config{Seed: 1, Impairment: Impairment{Loss: 0.1}, QueuePackets: 10000})
		sendMany(t, a, b, 10000, 4)
		got := len(arrived(t, b))
		wantBetween(t, "arrived of 10000 at 10 % loss", got, 8850, 9150)
		s := n.Stats()
		if int(s.Lost)+got != 10000 || int(s.Delivered) != got {
			t.Errorf("%d arrived, but Stats() = %+v", got, s)
		}
	})
}

func TestLossOfEverythingAndNothing(t *testing.T) {
	for _, c := range []struct {
		loss float64
		want int
	}{{-1, 100}, {0, 100}, {1, 0}, {7, 0}} {
		n, a, b := pair(t, Config{Impairment: Impairment{Loss: c.loss}})
		sendMany(t, a, b, 100, 4)
		if got := len(arrived(t, b)); got != c.want {
			t.Errorf("Loss %v: %d of 100 arrived, want %d", c.loss, got, c.want)
		}
		n.Close()
	}
}

func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The bad state takes 0.01/(0.01+0.1) of the time: 9.1 %.
		_, a, b := pair(t, Config{Seed: 2, QueuePackets: 20000,
			Impairment: Impairment{Burst: Burst{GoodToBad: 0.01, BadToGood: 0.1}}})
		const count = 9999
		sendMany(t, a, b, count, 4)
		missing, bursts, next := 0, 0, 0
		for _, s := range append(arrived(t, b), fmt.Sprint(count)) {
			var i int
			fmt.Sscanf(s, "%d", &i)
			if i > next {
				missing += i - next
				bursts++
			}
			next = i + 1
		}
		wantBetween(t, "lost of 9999 packets", missing, 600, 1300)
		wantBetween(t, "mean length of a burst", float64(missing)/float64(bursts), 7, 13)
	})
}

func TestBurstLossBad(t *testing.T) {
	// Bad from the first packet on, for ever.
	_, a, b := pair(t, Config{Seed: 3, QueuePackets: 10000,
		Impairment: Impairment{Burst: Burst{GoodToBad: 1, LossBad: 0.25}}})
	sendMany(t, a, b, 4000, 4)
	wantBetween(t, "arrived of 4000 at 25 %", len(arrived(t, b)), 2880, 3120)
}

func TestDelayKeepsOrderExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, Config{Impairment: Impairment{Delay: 70 * time.Millisecond}})
		sendMany(t, a, b, 1000, 4)
		time.Sleep(70*time.Millisecond - 1)
		wantArrived(t, "a nanosecond too early", b)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		got := arrived(t, b)
		if len(got) != 1000 || !slices.IsSorted(got) {
			t.Errorf("%d of 1000 packets arrived, in order: %v", len(got), slices.IsSorted(got))
		}
	})
}

func TestDelayWakesReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, Config{Impairment: Impairment{Delay: 70 * time.Millisecond}})
		for _, got := range arrivalsOf(t, a, b, 50, 4, 30*time.Millisecond) {
			if got.at != 70*time.Millisecond {
				t.Errorf("packet %d took %v, want 70ms", got.number, got.at)
			}
		}
	})
}

func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, Config{Seed: 4, Impairment: Impairment{Delay: 10 * time.Millisecond, Jitter: 20 * time.Millisecond}})
		got := arrivalsOf(t, a, b, 1000, 4, time.Second)
		if len(got) != 1000 {
			t.Fatalf("%d of 1000 arrived", len(got))
		}
		var sum time.Duration
		low, high := time.Hour, time.Duration(0)
		for _, g := range got {
			sum += g.at
			low, high = min(low, g.at), max(high, g.at)
		}
		wantBetween(t, "shortest", low, 10*time.Millisecond, 10*time.Millisecond+500*time.Microsecond)
		wantBetween(t, "longest", high, 29*time.Millisecond+500*time.Microsecond, 30*time.Millisecond)
		wantBetween(t, "mean", sum/1000, 19*time.Millisecond, 21*time.Millisecond)
	})
}

func TestJitterKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, Config{Seed: 4, Impairment: Impairment{Jitter: 20 * time.Millisecond}})
		got := arrivalsOf(t, a, b, 1000, 4, time.Millisecond)
		for i, g := range got {
			if g.number != i {
				t.Fatalf("packet %d arrived as number %d", g.number, i)
			}
		}
		if len(got) != 1000 {
			t.Errorf("%d of 1000 arrived", len(got))
		}
	})
}

func TestShorterDelayKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Config{Impairment: Impairment{Delay: time.Second}})
		send(t, a, b.LocalAddr(), "slow")
		n.SetImpairment(a, b, Impairment{})
		send(t, a, b.LocalAddr(), "fast")
		wantArrived(t, "the slow one is first", b)
		time.Sleep(time.Second)
		synctest.Wait()
		wantArrived(t, "after the delay", b, "slow", "fast")
	})
}

func TestReorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Config{Seed: 5, Impairment: Impairment{
			Delay: 5 * time.Millisecond, Reorder: 0.2, ReorderBy: 3500 * time.Microsecond}})
		held := 0
		overtaken := 0
		latest := -1
		for _, g := range arrivalsOf(t, a, b, 1000, 4, time.Millisecond) {
			switch g.at {
			case 5 * time.Millisecond:
			case 8500 * time.Microsecond:
				held++
			default:
				t.Errorf("packet %d took %v, want 5ms or 8.5ms", g.number, g.at)
			}
			if g.number < latest {
				overtaken++
			}
			latest = max(latest, g.number)
		}
		wantBetween(t, "held back of 1000", held, 150, 250)
		wantBetween(t, "overtaken of those", overtaken, held*9/10, held)
		if s := n.Stats(); int(s.Reordered) != held || s.Delivered != 1000 {
			t.Errorf("Stats() = %+v, want Reordered %d, Delivered 1000", s, held)
		}
	})
}

func TestReorderByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, Config{Impairment: Impairment{Reorder: 1}})
		got := arrivalsOf(t, a, b, 1, 4, 0)
		if len(got) != 1 || got[0].at != 10*time.Millisecond {
			t.Errorf("arrivals %v, want one after 10ms", got)
		}
	})
}

func TestDuplicate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Config{Seed: 6, Impairment: Impairment{Duplicate: 0.3}})
		sendMany(t, a, b, 1000, 4)
		got := arrived(t, b)
		wantBetween(t, "arrived of 1000 with 30 % twice", len(got), 1240, 1360)
		if !slices.IsSorted(got) {
			t.Error("without Jitter the copy comes right after the packet, but the order is broken")
		}
		if distinct := len(slices.Compact(got)); distinct != 1000 {
			t.Errorf("%d different packets arrived, want 1000", distinct)
		}
		if s := n.Stats(); s.Delivered != s.Sent+s.Duplicated || s.Duplicated == 0 {
			t.Errorf("Stats() = %+v", s)
		}
	})
}

func TestDuplicateComesUpToJitterLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, Config{Seed: 6, Impairment: Impairment{Duplicate: 1, Jitter: time.Second}})
		got := arrivalsOf(t, a, b, 100, 4, 10*time.Second)
		if len(got) != 200 {
			t.Fatalf("%d packets arrived, want 200", len(got))
		}
		var sum time.Duration
		for i := 0; i < len(got); i += 2 {
			later := got[i+1].at - got[i].at
			wantBetween(t, "copy after the packet", later, 0, time.Second)
			sum += later
		}
		wantBetween(t, "on average", sum/100, 400*time.Millisecond, 600*time.Millisecond)
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// 1250 bytes take 10 ms at 1 Mbit/s.
		_, a, b := pair(t, Config{Impairment: Impairment{Rate: 1e6, Delay: 5 * time.Millisecond}})
		for i, g := range arrivalsOf(t, a, b, 10, 1250, 0) {
			want := time.Duration(i+1)*10*time.Millisecond + 5*time.Millisecond
			if g.number != i || g.at != want {
				t.Errorf("arrival %d: packet %d after %v, want packet %d after %v", i, g.number, g.at, i, want)
			}
		}
	})
}

func TestRateIdleTimeIsNotSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, Config{Impairment: Impairment{Rate: 1e6}})
		for i, g := range arrivalsOf(t, a, b, 5, 1250, 25*time.Millisecond) {
			if g.at != 10*time.Millisecond {
				t.Errorf("packet %d took %v, want 10ms", i, g.at)
			}
		}
	})
}

func TestRateQueueDropsTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Config{Impairment: Impairment{Rate: 1e6, QueueBytes: 4 * 1250}})
		sendMany(t, a, b, 6, 1250) // four fit, two do not
		time.Sleep(10 * time.Millisecond)
		sendMany(t, a, b, 2, 1250) // one has left, one more fits
		time.Sleep(time.Second)
		synctest.Wait()
		var got []string
		for _, p := range arrived(t, b) {
			got = append(got, p[:4])
		}
		if want := []string{"0000", "0001", "0002", "0003", "0000"}; !slices.Equal(got, want) {
			t.Errorf("arrived %q, want %q", got, want)
		}
		if s := n.Stats(); s.QueueDropped != 3 {
			t.Errorf("Stats() = %+v, want 3 QueueDropped", s)
		}
	})
}

func TestRateEmptyQueueTakesAnyPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, Config{Impairment: Impairment{Rate: 1e6, QueueBytes: 100}})
		send(t, a, b.LocalAddr(), string(make([]byte, 1250)))
		time.Sleep(time.Second)
		synctest.Wait()
		if got := len(arrived(t, b)); got != 1 {
			t.Errorf("%d packets arrived, want 1", got)
		}
	})
}

func TestRateDefaultQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Config{Impairment: Impairment{Rate: 1e6}})
		sendMany(t, a, b, 300, 1024) // 256 of them are 256 KiB
		if s := n.Stats(); s.QueueDropped != 300-256 {
			t.Errorf("Stats() = %+v, want %d QueueDropped", s, 300-256)
		}
	})
}

func TestLostPacketsTakeTheirTimeAtRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Config{Impairment: Impairment{Rate: 1e6, Loss: 1}})
		sendMany(t, a, b, 1, 1250)
		n.SetImpairment(a, b, Impairment{Rate: 1e6})
		got := arrivalsOf(t, a, b, 1, 1250, 0)
		if len(got) != 1 || got[0].at != 20*time.Millisecond {
			t.Errorf("arrivals %v, want one after 20ms", got)
		}
	})
}

func TestImpairmentIsPerDirection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Config{})
		n.SetImpairment(a, b, Impairment{Loss: 1})
		send(t, a, b.LocalAddr(), "x")
		send(t, b, a.LocalAddr(), "y")
		wantArrived(t, "the lossy direction", b)
		wantArrived(t, "the other one", a, "y")

		n.SetImpairmentAll(Impairment{Delay: time.Second})
		send(t, a, b.LocalAddr(), "x")
		c := n.Link()
		send(t, c, a.LocalAddr(), "z")
		wantArrived(t, "all are slow now", b)
		wantArrived(t, "new links too", a)
		time.Sleep(time.Second)
		synctest.Wait()
		wantArrived(t, "no longer lossy", b, "x")
		wantArrived(t, "after the delay", a, "z")
	})
}

// TestMarkAfter: packets that wait too long are marked if they may be, and no others.
func TestMarkAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Config{Impairment: Impairment{Rate: 8e6, MarkAfter: 2 * time.Millisecond}}) // 1 ms each
		var told []mdpconn.ECN
		n.Tap(func(e Event) { told = append(told, e.ECN) })
		codes := []mdpconn.ECN{mdpconn.ECT0, mdpconn.NotECT, mdpconn.ECT0, mdpconn.ECT0, mdpconn.NotECT, mdpconn.ECT1, mdpconn.CE}
		want := []mdpconn.ECN{mdpconn.ECT0, mdpconn.NotECT, mdpconn.ECT0, mdpconn.CE, mdpconn.NotECT, mdpconn.CE, mdpconn.CE}
		for _, ecn := range codes {
			a.WritePackets([]mdpconn.Packet{{Addr: b.LocalAddr(), Data: make([]byte, 1000), ECN: ecn}})
		}
		time.Sleep(time.Second)
		ps := make([]mdpconn.Packet, len(codes)+1)
		for i := range ps {
			ps[i] = mdpconn.Packet{Data: make([]byte, 2000), ECN: mdpconn.ECT1}
		}
		k, err := b.read(ps)
		var got []mdpconn.ECN
		for i := range ps[:k] {
			got = append(got, ps[i].ECN)
		}
		if err != nil || !slices.Equal(got, want) || !slices.Equal(told, want) {
			t.Errorf("arrived: %v, %v; taps were told %v; want %v", got, err, told, want)
		}
	})
}
