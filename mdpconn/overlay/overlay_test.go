package overlay

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// lab names the SIDs of the vectors that tests of single structures use.
type lab struct{ a, b, c, c2, n SID }

func newLab(t testing.TB) lab {
	v := vectors(t)
	return lab{v.sid(t, "A"), v.sid(t, "B"), v.sid(t, "C"), v.sid(t, "C2"), v.sid(t, "N")}
}

func (l lab) all() SIDs { return SIDs{l.a, l.b, l.c, l.c2, l.n} }

// wantError fails unless err says all of want.
func wantError(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", want)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q, want %q in it", err, w)
		}
	}
}

// wantUntouched fails if an encoder that failed gave back anything but dst.
func wantUntouched(t *testing.T, dst, got []byte) {
	t.Helper()
	if !bytes.Equal(dst, got) {
		t.Errorf("failed append gave %x, want the %x from before", got, dst)
	}
}

// sizedPorts gives a plaintext of n bytes: echo ports and data.
func sizedPorts(n int) []byte {
	return slices.Concat([]byte{0x0e, 0xd9, 0x36}, make([]byte, n-3))
}

// vectorBodies gives the bodies, or the application data to a port, that stand
// in the vectors, without repetition.
func vectorBodies(t testing.TB, pick func(*vecPayload) string) (out [][]byte) {
	seen := map[string]bool{}
	v := vectors(t)
	for i := range v.Packets {
		payloads := v.Packets[i].Decoded.Payloads
		for j := range payloads {
			if h := pick(&payloads[j]); h != "" && !seen[h] {
				seen[h] = true
				out = append(out, unhex(t, h))
			}
		}
	}
	return out
}

// dataTo picks the application data of messages to a port.
func dataTo(port uint32) func(*vecPayload) string {
	return func(p *vecPayload) string {
		if p.MDP == nil || p.MDP.DstPort != port {
			return ""
		}
		return p.MDP.Data
	}
}
