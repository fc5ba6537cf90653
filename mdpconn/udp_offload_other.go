//go:build !linux

package mdpconn

func (u *udpLink) receiveBuffer() int             { return 0 }
func (u *udpLink) startOffload()                  {}
func appendSegmentSize(b []byte, size int) []byte { return b }
func segmentSize(control []byte) int              { return 0 }
func offloadEnds(err error, worked bool) bool     { return false }
