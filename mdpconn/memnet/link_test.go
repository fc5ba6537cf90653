package memnet

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
)

// room gives packets to read into.
func room(count int) []mdpconn.Packet {
	ps := make([]mdpconn.Packet, count)
	for i := range ps {
		ps[i].Data = make([]byte, 2048)
	}
	return ps
}

func TestReadPacketsBatches(t *testing.T) {
	_, a, b := pair(t, Config{})
	for _, s := range []string{"one", "two", "three"} {
		send(t, a, b.LocalAddr(), s)
	}
	ps := room(2)
	if n, err := b.ReadPackets(ps); n != 2 || err != nil || string(ps[0].Data) != "one" || string(ps[1].Data) != "two" {
		t.Errorf("ReadPackets = %d, %v: %q, %q", n, err, ps[0].Data, ps[1].Data)
	}
	if ps[0].Addr != a.LocalAddr() {
		t.Errorf("source %v, want %v", ps[0].Addr, a)
	}
	// The slices are three bytes long now, but their room is not.
	if n, err := b.ReadPackets(ps); n != 1 || err != nil || string(ps[0].Data) != "three" {
		t.Errorf("ReadPackets = %d, %v: %q", n, err, ps[0].Data)
	}
	if n, err := b.ReadPackets(nil); n != 0 || err != nil {
		t.Errorf("ReadPackets(nil) = %d, %v, want 0, nil", n, err)
	}
}

func TestReadPacketsCuts(t *testing.T) {
	_, a, b := pair(t, Config{})
	send(t, a, b.LocalAddr(), "too long")
	ps := []mdpconn.Packet{{Data: make([]byte, 0, 3)}}
	if n, err := b.ReadPackets(ps); n != 1 || err != nil || string(ps[0].Data) != "too" {
		t.Errorf("ReadPackets = %d, %v: %q, want \"too\"", n, err, ps[0].Data)
	}
}

func TestWritePacketsDoesNotKeepData(t *testing.T) {
	_, a, b := pair(t, Config{})
	data := []byte("sent")
	if _, err := a.WritePackets([]mdpconn.Packet{{Addr: b.LocalAddr(), Data: data}}); err != nil {
		t.Fatal(err)
	}
	copy(data, "gone")
	wantArrived(t, "as it was when sent", b, "sent")
}

func TestWritePacketsTooLong(t *testing.T) {
	_, a, b := pair(t, Config{})
	n, err := a.WritePackets([]mdpconn.Packet{
		{Addr: b.LocalAddr(), Data: []byte("fits")},
		{Addr: b.LocalAddr(), Data: make([]byte, maxPacket+1)},
		{Addr: b.LocalAddr(), Data: []byte("not tried")},
	})
	if n != 1 || !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("WritePackets = %d, %v, want 1, EMSGSIZE", n, err)
	}
	wantArrived(t, "what came before", b, "fits")
	send(t, a, b.LocalAddr(), strings.Repeat("x", maxPacket))
	ps := []mdpconn.Packet{{Data: make([]byte, 1<<16)}}
	if _, err := b.ReadPackets(ps); err != nil || len(ps[0].Data) != maxPacket {
		t.Errorf("the longest packet arrived with %d bytes, %v", len(ps[0].Data), err)
	}
}

func TestReadersShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, Config{})
		got := make(chan string, 3)
		for range 3 {
			go func() {
				ps := room(1)
				if _, err := b.ReadPackets(ps); err == nil {
					got <- string(ps[0].Data)
				}
			}()
		}
		synctest.Wait()
		for _, s := range []string{"one", "two", "three"} {
			send(t, a, b.LocalAddr(), s)
		}
		synctest.Wait()
		if len(got) != 3 {
			t.Errorf("%d of three readers got a packet, want all", len(got))
		}
	})
}

func TestOverflow(t *testing.T) {
	n, a, b := pair(t, Config{QueuePackets: 3})
	var fates []Fate
	n.Tap(func(e Event) { fates = append(fates, e.Fate) })
	sendMany(t, a, b, 4, 4)
	wantArrived(t, "the first three", b, "0000", "0001", "0002")
	if s := n.Stats(); s.Overflowed != 1 || s.Delivered != 3 {
		t.Errorf("Stats() = %+v, want 3 delivered, 1 overflowed", s)
	}
	if want := "[passed passed passed passed overflowed]"; fmt.Sprint(fates) != want {
		t.Errorf("fates %v, want %v", fates, want)
	}
	send(t, a, b.LocalAddr(), "again")
	wantArrived(t, "there is room again", b, "again")
}

func TestOverflowDefault(t *testing.T) {
	n, a, b := pair(t, Config{})
	sendMany(t, a, b, 4100, 4)
	if s := n.Stats(); s.Delivered != 4096 || s.Overflowed != 4 {
		t.Errorf("Stats() = %+v, want 4096 delivered, 4 overflowed", s)
	}
}

func TestRebind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Config{Impairment: Impairment{Delay: time.Second}})
		old := b.LocalAddr()
		send(t, a, old, "under way")
		send(t, a, Broadcast, "broadcast under way")
		now := b.Rebind()
		if now == old || b.LocalAddr() != now {
			t.Fatalf("Rebind gave %v after %v; LocalAddr %v", now, old, b.LocalAddr())
		}
		send(t, a, old, "to the old address")
		send(t, a, now, "to the new address")
		send(t, b, a.LocalAddr(), "from the new address")
		time.Sleep(time.Second)
		synctest.Wait()
		wantArrived(t, "after Rebind", b, "broadcast under way", "to the new address")
		ps := room(1)
		if _, err := a.ReadPackets(ps); err != nil || ps[0].Addr != now {
			t.Errorf("a packet from %v, %v; want the new address %v", ps[0].Addr, err, now)
		}
		if s := n.Stats(); s.Unreachable != 2 {
			t.Errorf("Stats() = %+v, want 2 unreachable", s)
		}
		if _, err := n.Listen(old); err != nil {
			t.Errorf("Listen on the old address: %v", err)
		}
		b.Close()
		if got := b.Rebind(); got != now {
			t.Errorf("Rebind of a closed link gave %v, want %v", got, now)
		}
	})
}

func TestRebindKeepsFates(t *testing.T) {
	lost := func(rebind bool) string {
		_, a, b := pair(t, Config{Seed: 13, Impairment: Impairment{Loss: 0.5}})
		for i := range 100 {
			if rebind && i == 50 {
				a.Rebind()
				b.Rebind()
			}
			send(t, a, b.LocalAddr(), fmt.Sprint(i))
		}
		return fmt.Sprint(arrived(t, b))
	}
	if lost(true) != lost(false) {
		t.Error("Rebind changed which packets are lost")
	}
}

func TestCloseUnblocksReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, b := pair(t, Config{})
		errs := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := b.ReadPackets(room(1))
				errs <- err
			}()
		}
		synctest.Wait()
		b.Close()
		for range 2 {
			if err := <-errs; !errors.Is(err, net.ErrClosed) {
				t.Errorf("ReadPackets: %v, want net.ErrClosed", err)
			}
		}
		if err := b.Close(); err != nil {
			t.Errorf("the second Close: %v", err)
		}
	})
}

func TestCloseDropsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Config{Impairment: Impairment{Delay: time.Second}})
		send(t, a, b.LocalAddr(), "late")
		b.Close()
		if b.timer.Stop() {
			t.Error("a closed link still has a timer")
		}
		c, err := n.Listen(b.LocalAddr())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		wantArrived(t, "sent to who had the address before", c)
	})
}

// The same with -race is a test of the locks.
func TestConcurrentUse(t *testing.T) {
	n := New(Config{Unguarded: true, Seed: 14, Impairment: Impairment{Loss: 0.1, Delay: time.Microsecond, Jitter: 50 * time.Microsecond, Duplicate: 0.1, Reorder: 0.1, ReorderBy: time.Microsecond}})
	links := []*Link{n.Link(), n.Link(), n.Link()}
	remove := n.Tap(func(e Event) { _ = e.String() })
	var readers, writers sync.WaitGroup
	for i, l := range links {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for ps := room(4); ; {
				if _, err := l.ReadPackets(ps); err != nil {
					return
				}
			}
		}()
		writers.Add(1)
		go func() {
			defer writers.Done()
			peer := links[(i+1)%3]
			for k := range 500 {
				send(t, l, peer.LocalAddr(), "unicast")
				switch k % 50 {
				case 10:
					l.Rebind()
				case 20:
					n.Cut(l, peer)
				case 25:
					n.Heal()
				case 30:
					n.Partition([]*Link{l})
				case 35:
					n.SetImpairment(l, peer, Impairment{Delay: 5 * time.Microsecond})
				case 40:
					send(t, l, Broadcast, "broadcast")
					n.Inject(peer.LocalAddr(), l.LocalAddr(), []byte("injected"))
				case 45:
					n.SetImpairmentAll(Impairment{})
					_ = n.Stats()
				}
				runtime.Gosched()
			}
		}()
	}
	writers.Wait()
	remove()
	n.Close()
	readers.Wait()
}

func TestUnimpairedDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop some of what they are given under the race detector")
	}
	_, a, b := pair(t, Config{})
	out := []mdpconn.Packet{{Addr: b.LocalAddr(), Data: make([]byte, 1200)}}
	in := room(1)
	allocs := testing.AllocsPerRun(1000, func() {
		if _, err := a.WritePackets(out); err != nil {
			t.Fatal(err)
		}
		if _, err := b.ReadPackets(in); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for each packet, want 0", allocs)
	}
}

func BenchmarkWriteRead(b *testing.B) {
	_, from, to := pair(b, Config{})
	out := make([]mdpconn.Packet, 16)
	for i := range out {
		out[i] = mdpconn.Packet{Addr: to.LocalAddr(), Data: make([]byte, 1200)}
	}
	in := room(16)
	b.SetBytes(16 * 1200)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := from.WritePackets(out); err != nil {
			b.Fatal(err)
		}
		if n, err := to.ReadPackets(in); n != 16 || err != nil {
			b.Fatal(n, err)
		}
	}
}

func TestLaterPacketMayComeFirstFromElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, far, to := pair(t, Config{})
		near := n.Link()
		n.SetImpairment(far, to, Impairment{Delay: time.Second})
		n.SetImpairment(near, to, Impairment{Delay: time.Millisecond})
		send(t, far, to.LocalAddr(), "far")
		send(t, near, to.LocalAddr(), "near")
		start := time.Now()
		for _, want := range []struct {
			data string
			at   time.Duration
		}{{"near", time.Millisecond}, {"far", time.Second}} {
			ps := room(1)
			_, err := to.ReadPackets(ps)
			if at := time.Since(start); err != nil || string(ps[0].Data) != want.data || at != want.at {
				t.Errorf("read %q, %v after %v, want %q after %v", ps[0].Data, err, at, want.data, want.at)
			}
		}
	})
}

// A timer may fire late; the order of arrivals does not depend on it.
func TestOrderDoesNotDependOnTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Config{Impairment: Impairment{Delay: time.Second}})
		send(t, a, b.LocalAddr(), "first")
		if !b.timer.Stop() {
			t.Fatal("no timer for the packet under way")
		}
		time.Sleep(time.Second)
		n.SetImpairmentAll(Impairment{})
		send(t, a, b.LocalAddr(), "second")
		wantArrived(t, "in order", b, "first", "second")
	})
}

// Two readers may have found nothing, and then two packets come while neither
// waits yet: there is only one wake-up for both.
func TestReaderWakesTheNext(t *testing.T) {
	_, a, b := pair(t, Config{})
	sendMany(t, a, b, 2, 4)
	<-b.wake
	if n, err := b.read(room(1)); n != 1 || err != nil {
		t.Fatalf("read = %d, %v", n, err)
	}
	if len(b.wake) != 1 {
		t.Error("a packet is left, and nobody is woken for it")
	}
}
