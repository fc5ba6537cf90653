package mdpconn

import (
	"net/netip"
	"testing"

	"mesh.example/msp/mdpconn/overlay"
)

// What would end a stock node is refused by the encoder, and that does not end ours:
// in a plain packet to port 11 from port 8, say, a peer may have chosen the ports.
func TestUnsendableIsCounted(t *testing.T) {
	f := newFuzzTarget(t)
	own := f.node.own.Load().order[0]
	for _, port := range []Port{8, 70} {
		o := f.node.outbox(own, nil)
		to := []Packet{{Addr: netip.MustParseAddrPort("10.0.0.2:4110")}}
		o.plainTo(f.node.links[0], to, 1, overlay.PacketUnicast, &overlay.Payload{
			Flags: overlay.OneHop, Destination: overlay.To(overlay.SID(f.peer.SID())),
			Type: overlay.TypeData, Body: plainBody(port, portService, []byte("data")),
		})
		o.free()
	}
	if s := f.node.Stats().Sent; s.Packets != 1 || s.Errors != 1 {
		t.Errorf("%d packets sent, %d errors; want the one to port 70 sent, the other an error", s.Packets, s.Errors)
	}
}
