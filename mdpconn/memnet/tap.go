package memnet

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mesh.example/msp/mdpconn"
)

// A Fate is what became of a packet.
type Fate uint8

// The fates. A packet that Passed may be told of a second time on its arrival,
// as Overflowed or Unreachable.
const (
	Passed       Fate = iota // it arrives, at once or after a delay
	Lost                     // by Loss, Burst or SetDrop
	QueueDropped             // more than QueueBytes were waiting for Rate
	Overflowed               // the receiver had Config.QueuePackets to read already
	Unreachable              // nobody has the address, or the receiver is cut off
)

// String gives the fate in a word.
func (f Fate) String() string {
	switch f {
	case Passed:
		return "passed"
	case Lost:
		return "lost"
	case QueueDropped:
		return "queue-dropped"
	case Overflowed:
		return "overflowed"
	case Unreachable:
		return "unreachable"
	}
	return fmt.Sprintf("Fate(%d)", uint8(f))
}

// An Event is one packet and its fate. A broadcast gives an event for each
// link that hears it.
type Event struct {
	Time     time.Time      // now
	Arrival  time.Time      // when it arrives; zero if it does not
	From     netip.AddrPort // the sender, or who it is said to be (Inject)
	To       netip.AddrPort // where it was sent to; may be Broadcast
	Receiver netip.AddrPort // the link that would get it; zero if there is none
	Data     []byte         // the packet; valid only during the call
	ECN      mdpconn.ECN    // as it arrives
	Fate     Fate

	Reordered bool // held back by Reorder
	Duplicate bool // the second copy made by Duplicate
	Injected  bool // sent by Inject
}

// String gives the event on one line, without the packet's contents.
func (e Event) String() string {
	s := fmt.Sprintf("%v > %v %d bytes %v", e.From, e.To, len(e.Data), e.Fate)
	if !e.Arrival.IsZero() {
		s += fmt.Sprintf(" after %v", e.Arrival.Sub(e.Time))
	}
	for _, flag := range [...]struct {
		is   bool
		text string
	}{{e.Reordered, " reordered"}, {e.Duplicate, " duplicate"}, {e.Injected, " injected"}} {
		if flag.is {
			s += flag.text
		}
	}
	return s
}

// taps are the functions to tell of packets.
type taps struct {
	list atomic.Pointer[[]*func(Event)] // nil or not empty; never changed in place
	mu   sync.Mutex                     // guards changes of list, and makes calls one at a time
}

// Tap makes f be called with each packet, until remove is called. Calls come
// one at a time, and in each direction in the order of sending. A tap must
// neither block nor use the network or its links.
func (n *Network) Tap(f func(Event)) (remove func()) {
	t := &n.taps
	entry := &f
	t.change(func(l []*func(Event)) []*func(Event) { return append(l, entry) })
	return func() {
		t.change(func(l []*func(Event)) []*func(Event) {
			return slices.DeleteFunc(l, func(e *func(Event)) bool { return e == entry })
		})
	}
}

// change puts a changed copy of the list in its place.
func (t *taps) change(f func([]*func(Event)) []*func(Event)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var l []*func(Event)
	if old := t.list.Load(); old != nil {
		l = slices.Clone(*old)
	}
	if l = f(l); len(l) == 0 {
		t.list.Store(nil)
		return
	}
	t.list.Store(&l)
}

// any reports whether somebody listens.
func (t *taps) any() bool { return t.list.Load() != nil }

// tell calls the taps.
func (t *taps) tell(e Event) {
	if !t.any() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.list.Load(); l != nil {
		for _, f := range *l {
			(*f)(e)
		}
	}
}

// SetDrop makes the network lose each packet of which f says true: the third
// one that carries this or that, say. f sees a packet before any impairment, as
// one that Passed, once for each receiver in hearing; what is injected it does
// not see. It must neither block nor use the network or its links. A nil f ends
// it.
func (n *Network) SetDrop(f func(Event) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.drop = f
}
