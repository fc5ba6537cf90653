package mdpconn

import (
	"encoding/binary"
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// controlRoom is room for the control messages of one message, either way: the size
// of its packets, and their codepoint.
const controlRoom = 64

// tellECN has a socket tell the codepoint of what arrives, and reports whether it
// does.
func tellECN(fd int, is4 bool) bool {
	if is4 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVTOS, 1) == nil
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1) == nil
}

// appendControl appends a control message, and gives it and the room for its data.
func appendControl(b []byte, level, kind int32, size int) (all, data []byte) {
	n := len(b)
	b = append(b, make([]byte, unix.CmsgSpace(size))...)
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[n]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(size))
	return b, b[n+unix.CmsgLen(0):][:size]
}

// appendSegmentSize appends the control message that has the kernel cut what is
// written into packets of a size.
func appendSegmentSize(b []byte, size int) []byte {
	b, data := appendControl(b, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)
	binary.NativeEndian.PutUint16(data, uint16(size))
	return b
}

// appendECN appends the control message that has packets leave with a codepoint,
// of either family.
func appendECN(b []byte, ecn ECN, is4 bool) []byte {
	var data []byte
	if is4 {
		b, data = appendControl(b, unix.IPPROTO_IP, unix.IP_TOS, 4)
	} else {
		b, data = appendControl(b, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, 4)
	}
	binary.NativeEndian.PutUint32(data, uint32(ecn))
	return b
}

// parseControl reads what the kernel tells of a message: the size of the packets
// that it put together, 0 if it did not, and their codepoint.
func parseControl(control []byte) (segment int, ecn ECN) {
	for len(control) >= unix.CmsgLen(0) {
		h, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			break
		}
		switch {
		case h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			segment = max(0, int(int32(binary.NativeEndian.Uint32(data))))
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_TOS && len(data) >= 1: // one byte is all there is
			ecn = ECN(data[0] & 3)
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_TCLASS && len(data) >= 4:
			ecn = ECN(binary.NativeEndian.Uint32(data) & 3)
		}
		control = rest
	}
	return segment, ecn
}

// ecnEnds reports whether an error of a write with a codepoint says that no other
// will pass, if the same packets pass without: EINVAL or the like if none ever passed,
// as of a kernel or a container that does not let programs choose it. A firewall gives
// EPERM too, for the packets themselves.
func ecnEnds(err error, worked bool) bool {
	return !worked && (errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EPERM) ||
		errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EOPNOTSUPP))
}
