package overlay

import "fmt"

// A Probe is the body of a message from port [PortProbe] to [PortEcho], which
// tries an address of the one who receives it (docs/overlay.md §9). Whoever
// gets one answers it as an echo; only its sender reads it.
type Probe struct {
	Interface byte   // of the prober
	Sockaddr  []byte // of the target, in a form of the prober's own; parsed: aliases data
}

// ParseProbe parses the application data of a probe.
func ParseProbe(data []byte) (Probe, error) {
	if len(data) == 0 {
		return Probe{}, errNoData
	}
	return Probe{Interface: data[0], Sockaddr: data[1:]}, nil
}

// AppendProbe appends the application data of a probe.
func AppendProbe(dst []byte, p Probe) []byte {
	return append(append(dst, p.Interface), p.Sockaddr...)
}

// String gives the probe on one line.
func (p Probe) String() string { return fmt.Sprintf("probe if %d %x", p.Interface, p.Sockaddr) }
