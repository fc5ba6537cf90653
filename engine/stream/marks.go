package stream

// markRounds is how many round trips in a row, from the first mark on, every packet
// may be marked before the path is taken for one that marks whatever passes. A queue
// of our own making is gone by then: in the simulation of package cc only paths
// that the least windows overfill mark for longer.
const markRounds = 16

// A markState judges the count of marked packets that the peer reports (MSX-4.10,
// MSX-4.11). Whatever it says, marks only ever slow the sender down.
type markState struct {
	counted uint64 // marked packets, the most that were reported and possible
	acked   uint64 // packets acknowledged: no more than these can be marked
	verdict markVerdict
	rounds  int    // without an unmarked packet
	end     uint64 // the round ends when a packet from this number on is acknowledged
}

// A markVerdict is what is thought of a path's marks.
type markVerdict byte

const (
	markUnseen  markVerdict = iota // there were none
	markOnTrial                    // since the first, all packets were marked
	markTrusted                    // some were not
	markIgnored                    // the path marks all there is
)

// reported takes the count of an ACK that has acknowledged so many packets; largest
// is the largest number it acknowledges, next that of the next packet. It gives
// by how much the count has grown, as far as that is to be heeded.
func (m *markState) reported(count uint64, packets int, largest, next uint64) (grown int) {
	m.acked += uint64(packets)
	if count > m.counted && count <= m.acked {
		grown = int(count - m.counted)
		m.counted = count
	}
	switch {
	case m.verdict == markUnseen && grown > 0:
		m.verdict, m.end = markOnTrial, next
	case m.verdict == markOnTrial && grown < packets:
		m.verdict = markTrusted
	case m.verdict == markOnTrial && packets > 0 && largest >= m.end:
		m.end = next
		if m.rounds++; m.rounds == markRounds {
			m.verdict = markIgnored
		}
	}
	if m.verdict == markIgnored {
		return 0
	}
	return grown
}
