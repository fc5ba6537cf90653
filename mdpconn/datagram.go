package mdpconn

import "fmt"

// MaxData is the longest Datagram.Data, in bytes. It is what passes every
// stock node, relays and local clients included (docs/overlay.md §10).
const MaxData = 1060

// A Datagram is one MDP datagram, on its way out or heard.
type Datagram struct {
	// Local is this node's side and Remote the other's, in both directions.
	Local, Remote Addr

	// Data is the application's data, 1 … MaxData bytes. A datagram without
	// data is never sent: one would end a stock node (docs/overlay.md §11).
	Data []byte

	// Queue is the class of traffic. When sending, 0 means the socket's. In a
	// datagram received it is what was heard, which from a direct neighbour is
	// nothing, and then 0.
	Queue Queue

	// TTL is how many hops the datagram may make, 1 … 31. When sending, 0 means
	// the socket's. In a datagram received it is what is left of it; 0 if it
	// made only one hop.
	TTL uint8

	// Mode is how the datagram is protected; 0 is Enciphered. A socket receives
	// others only if it asked for them (Socket.SetAccept), and only Signed and
	// Plain ones may be sent to All, which broadcasts them: to those next door
	// with a TTL of 1, else to the whole mesh. Signed ones have at most
	// MaxData-24 bytes. Both are not kept while a way is looked for.
	Mode Mode

	// Broadcast says of a datagram received that it was sent to All. Local then
	// names the identity whose socket got it, so that an answer can come from it.
	Broadcast bool

	// Early says of a datagram received that it came in the published box, before
	// there were session keys: without forward secrecy, and protected from replays
	// by age and memory only (docs/extension.md §10.1). It is never set by a node
	// with Config.NoSessions, or at a servald daemon.
	Early bool

	// Made says of a datagram received when the peer made it, in microseconds of
	// Unix time by the peer's clock; under session keys, when the peer's node was
	// started that has them, so that it was not before. 0 if nothing is known. It is
	// there to be compared with what a RestartHandler is told.
	Made int64

	// ECN is the codepoint of the packet in which the datagram is. When sending, ECT0
	// says that who sends it heeds marks as RFC 3168 wants it, so that routers on the
	// way may mark it; the node then sees to it where it can, which is under
	// session keys, without relays. Anything else says nothing. In a datagram
	// received it is what was read, CE if a router has marked it, if the
	// datagram came that way; else NotECT.
	ECN ECN

	// buf holds Data of a received datagram; nil if Data is somebody else's.
	buf *buffer
}

// Release gives the buffer of a received datagram back to the node; Data must
// not be used from then on, and is set to nil. The owner of a received datagram
// calls it once, on one of its copies. For any other datagram it does nothing.
func (d *Datagram) Release() {
	if d.buf == nil {
		return
	}
	b := d.buf
	d.buf, d.Data = nil, nil
	b.release()
}

// A Queue is the class of traffic of a datagram: nodes on the way send the
// lower queues first (docs/overlay.md §10).
type Queue uint8

// The queues. Their numbers are those of the specification.
const (
	QueueDefault       Queue = 0 // sending: the socket's, which is QueueOrdinary unless set otherwise
	QueueVoice         Queue = 0 // heard: isochronous voice, or not told; cannot be asked for when sending
	QueueManagement    Queue = 1 // the mesh's own: link state, key map
	QueueVideo         Queue = 2 // isochronous video: dropped by stock when older than 200 ms
	QueueOrdinary      Queue = 3 // everything else
	QueueOpportunistic Queue = 4 // when nothing else is to be sent
)

// Check tells whether q is one of the queues. Stock nodes end at any other
// (docs/overlay.md §11), so none is ever sent.
func (q Queue) Check() error {
	if q > QueueOpportunistic {
		return fmt.Errorf("mdpconn: queue %d, expected %d … %d", uint8(q), QueueDefault, QueueOpportunistic)
	}
	return nil
}

// A Handler takes the datagrams of a socket as they arrive.
type Handler interface {
	// HandleDatagrams is called on a receiving goroutine of the node: until it
	// returns, that goroutine receives nothing else. So it must not block, save for
	// as long as Send may. It may be called concurrently, once for each link of the node.
	//
	// The slice is the node's again when HandleDatagrams returns. The buffers
	// behind Data are then the handler's: it calls Release on each datagram, or
	// on a copy it keeps, when it is done with Data, now or later.
	HandleDatagrams(batch []Datagram)
}
