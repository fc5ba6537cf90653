package memnet_test

import (
	"fmt"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
)

// One packet in five is lost: always the same ones.
func Example() {
	n := memnet.New(memnet.Config{Unguarded: true, Seed: 1, Impairment: memnet.Impairment{Loss: 0.2}})
	defer n.Close()
	a, b := n.Link(), n.Link()
	for i := range 10 {
		a.WritePackets([]mdpconn.Packet{{Addr: b.LocalAddr(), Data: fmt.Append(nil, i)}})
	}
	s := n.Stats()
	fmt.Println(s.Sent, "sent,", s.Delivered, "delivered,", s.Lost, "lost")
	// Output: 10 sent, 7 delivered, 3 lost
}
