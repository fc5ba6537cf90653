package main

import "slices"

// loopback is the link that is no link: the lo device.
const loopback = "loopback"

// A LinkSpec describes an emulated link, the same in both directions. What is
// zero is absent, except where a field says otherwise.
type LinkSpec struct {
	Name      string
	Title     string
	RateBit   float64 // bits per second; 0: unlimited
	DelayMs   float64 // one way
	JitterMs  float64 // uniform, either side of the delay; the order is kept
	Loss      float64 // independent share, in each direction
	BurstP    float64 // Gilbert-Elliott: good to bad, per packet
	BurstR    float64 // bad to good
	BurstLoss float64 // loss while bad
	Reorder   float64 // share of packets that come ReorderMs late, and are overtaken
	ReorderMs float64
	Dup       float64 // share of packets that come twice
	QueueBDP  float64 // queue in products of rate and round trip; 0: 1, and at least 30 kB
}

// links are the links that the program knows, in the order of its tables.
var links = []LinkSpec{
	{Name: "clean", Title: "100 Mbit/s, 20 ms, no loss", RateBit: 100e6, DelayMs: 10},
	{Name: "loss1", Title: "100 Mbit/s, 20 ms, 1% loss each way", RateBit: 100e6, DelayMs: 10, Loss: 0.01},
	{Name: "loss5", Title: "100 Mbit/s, 20 ms, 5% loss each way", RateBit: 100e6, DelayMs: 10, Loss: 0.05},
	{Name: "loss10", Title: "100 Mbit/s, 20 ms, 10% loss each way", RateBit: 100e6, DelayMs: 10, Loss: 0.10},
	{Name: "wan2", Title: "50 Mbit/s, 100 ms, 2% loss each way", RateBit: 50e6, DelayMs: 50, Loss: 0.02},
	{Name: "burst", Title: "100 Mbit/s, 20 ms, about 2% loss in bursts", RateBit: 100e6, DelayMs: 10, BurstP: 0.003, BurstR: 0.10, BurstLoss: 0.7},
	{Name: "reorder", Title: "100 Mbit/s, 20 ms, 2 ms jitter, 2% of packets 5 ms late, 0.5% twice", RateBit: 100e6, DelayMs: 10, JitterMs: 2, Reorder: 0.02, ReorderMs: 5, Dup: 0.005},
	{Name: "radio", Title: "250 kbit/s, 400 ms, 5% loss each way, 30 kB queue", RateBit: 250e3, DelayMs: 200, Loss: 0.05},
	{Name: "deep", Title: "100 Mbit/s, 20 ms, no loss, queue of 4 BDP", RateBit: 100e6, DelayMs: 10, QueueBDP: 4},
	{Name: "lan", Title: "no limit, no delay, no loss, 1,500 byte packets"},
}

// queue returns the bytes that wait in front of the link at most.
func (s LinkSpec) queue() float64 {
	bdp := s.RateBit / 8 * 2 * s.DelayMs / 1000
	return max(bdp*max(s.QueueBDP, 1), 30e3)
}

// survival is the share of packets that independent or burst loss lets pass.
func (s LinkSpec) survival() float64 {
	lost := s.Loss
	if s.BurstP > 0 {
		lost += s.BurstLoss * s.BurstP / (s.BurstP + s.BurstR)
	}
	return 1 - lost
}

// carried is the payload in Mbit/s that full packets of UDP take over the link
// when none is lost: 1,472 of each 1,500 bytes.
func (s LinkSpec) carried() float64 { return s.RateBit / 1e6 * 1472 / 1500 }

func findLink(name string) (LinkSpec, bool) {
	i := slices.IndexFunc(links, func(s LinkSpec) bool { return s.Name == name })
	if i < 0 {
		return LinkSpec{}, false
	}
	return links[i], true
}

// linkNames are the names of all links, loopback first.
func linkNames() []string {
	names := []string{loopback}
	for _, s := range links {
		names = append(names, s.Name)
	}
	return names
}
