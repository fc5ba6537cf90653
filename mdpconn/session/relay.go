package session

import "mesh.example/msp/mdpconn/overlay"

// MaxRelayed is the largest body of form Relayed, in bytes: stock takes no
// larger ones on the way (MSX-12.2).
const MaxRelayed = 1199

// IsRelayed reports whether the body of an overlay payload is under session
// keys. The body of the published box begins with its nonce, whose top bit is
// clear (MSX-12.1).
func IsRelayed(body []byte) bool { return len(body) > 0 && body[0] == byte(Relayed) }

// ParseRelayed splits the plaintext of a relayed body into ports, which pass
// Check, and data. ok is false for a plaintext without bytes, which is a packet
// that only confirms a session (MSX-10.2).
func ParseRelayed(plaintext []byte) (p overlay.Ports, data []byte, ok bool, err error) {
	if len(plaintext) == 0 {
		return overlay.Ports{}, nil, false, nil
	}
	if p, data, err = overlay.ParsePorts(plaintext); err == nil {
		err = p.Check()
	}
	if err != nil {
		return overlay.Ports{}, nil, false, err
	}
	return p, data, true, nil
}

// AppendRelayed appends the plaintext of a relayed body. Errors are those of
// [overlay.Ports.Check]; dst is then as it was.
func AppendRelayed(dst []byte, p overlay.Ports, data []byte) ([]byte, error) {
	b, err := overlay.AppendPorts(dst, p)
	if err != nil {
		return dst, err
	}
	return append(b, data...), nil
}
