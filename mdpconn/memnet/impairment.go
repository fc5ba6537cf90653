package memnet

import "time"

// defaultQueueBytes and defaultReorderBy stand for zero fields of an
// Impairment. Implementation: 256 KiB are 21 ms at 100 Mbit/s, as in a common
// router; 10 ms are overtaken at any rate worth testing.
const (
	defaultQueueBytes = 256 << 10
	defaultReorderBy  = 10 * time.Millisecond
)

// An Impairment is what happens to the packets of one direction between two
// links. The zero Impairment delivers everything at once and in order.
//
// Probabilities are 0 … 1, and anything beyond is taken as the nearer of the two;
// negative times, rates and sizes are taken as zero.
type Impairment struct {
	// Loss is the probability that a packet is lost, each for itself.
	Loss float64

	// Burst makes losses come in bursts, besides those of Loss.
	Burst Burst

	// Delay is how long every packet takes.
	Delay time.Duration

	// Jitter is the most that a packet takes longer than Delay, evenly
	// distributed. It does not change the order of packets: who would overtake
	// another arrives together with it, right after it. The same holds when
	// Delay becomes shorter at run time.
	Jitter time.Duration

	// Reorder is the probability that a packet is held back for ReorderBy more,
	// while later ones pass.
	Reorder float64

	// ReorderBy is how long such a packet is held back. If zero, 10 ms.
	ReorderBy time.Duration

	// Duplicate is the probability that a packet which arrives does so twice.
	// The second comes right after the first, or up to Jitter later.
	Duplicate float64

	// Rate limits the direction, in bits per second of Packet.Data. If zero,
	// there is no limit. A packet that is lost later has taken its time all the
	// same.
	Rate int64

	// QueueBytes is how many bytes of packets may wait for Rate, the one being
	// sent included; one more packet is dropped, unless the queue is empty. If
	// zero, 262,144.
	QueueBytes int

	// MarkAfter is how long a packet may wait for Rate without a mark: one that waits
	// longer, and may be marked, arrives as mdpconn.CE. If zero, none does.
	MarkAfter time.Duration
}

// A Burst is the Gilbert–Elliott model: a direction is in a good or a bad state,
// which may change with each packet.
type Burst struct {
	// GoodToBad is the probability of turning bad. If zero, it never does.
	GoodToBad float64

	// BadToGood is the probability of turning good again: 1/BadToGood is how
	// many packets the bad state lasts on average.
	BadToGood float64

	// LossBad is the probability of losing a packet while bad. If zero, 1.
	LossBad float64
}

// transmission is how long bytes take at the rate, which is not zero.
func (im *Impairment) transmission(bytes int) time.Duration {
	return time.Duration(float64(bytes) * 8 * float64(time.Second) / float64(im.Rate))
}

// queueBytes is QueueBytes or its default.
func (im *Impairment) queueBytes() int {
	if im.QueueBytes <= 0 {
		return defaultQueueBytes
	}
	return im.QueueBytes
}

// reorderBy is ReorderBy or its default.
func (im *Impairment) reorderBy() time.Duration {
	if im.ReorderBy <= 0 {
		return defaultReorderBy
	}
	return im.ReorderBy
}

// lossBad is LossBad or its default.
func (b *Burst) lossBad() float64 {
	if b.LossBad <= 0 {
		return 1
	}
	return b.LossBad
}
