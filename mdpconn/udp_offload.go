package mdpconn

import "sync/atomic"

// Segmentation offload: the kernel takes many packets of one size to one
// address as one, and hands them over as one. Implementation.
const (
	maxSegments = 64         // packets in one; the least limit of any kernel
	maxOffload  = 65535 - 48 // their bytes: a UDP payload
)

// An offload is what a UDP socket has of it for sending.
type offload struct {
	sends  atomic.Bool // the socket segments what it is given
	worked atomic.Bool // it did so once
}

// run counts the packets at the front that can go as one: to one address, with one
// codepoint, of one size, of which the last may be smaller. There is always one.
func run(ps []Packet) (n, bytes int) {
	size := len(ps[0].Data)
	for n, bytes = 1, size; n < len(ps) && n < maxSegments; n++ {
		next := len(ps[n].Data)
		if ps[n].Addr != ps[0].Addr || ps[n].ECN != ps[0].ECN || len(ps[n-1].Data) < size || next > size || next == 0 || bytes+next > maxOffload {
			break
		}
		bytes += next
	}
	return n, bytes
}
