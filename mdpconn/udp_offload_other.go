//go:build !linux

package mdpconn

// A messageReader reads several packets with one call, where the system can.
type messageReader struct{}

func (*messageReader) readPackets([]Packet) (int, error) { return 0, nil }

func (u *udpLink) start()                             {}
func (u *udpLink) receiveBuffer() int                 { return 0 }
func (u *udpLink) writeSeveral([]Packet) (int, error) { return 0, nil }
