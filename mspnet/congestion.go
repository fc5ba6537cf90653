package mspnet

import "mesh.example/msp/engine/cc"

// Congestion is how a connection avoids congestion: how much of it is in flight,
// and how fast that leaves. The published format has its own way, a window of
// packets.
type Congestion = cc.Algorithm

const (
	// BBR models the path by what it passes and the round trip without a queue.
	// Random loss, as of radio links, does not slow it, and it keeps queues short.
	BBR = cc.BBR

	// CUBIC is what most TCP does, RFC 9438 with HyStart++: it takes each loss for
	// congestion, and fills queues until something is lost.
	CUBIC = cc.CUBIC
)

// ParseCongestion gives the value of a name, "bbr" or "cubic".
func ParseCongestion(name string) (Congestion, error) { return cc.ParseAlgorithm(name) }
