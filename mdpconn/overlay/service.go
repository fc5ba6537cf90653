package overlay

import (
	"fmt"
	"strconv"
	"strings"
)

// A Service is an answer to a service discovery, port [PortServiceDiscovery]:
// NAME.msp.port=NUMBER (docs/overlay.md §9).
type Service struct {
	Name     string // printable ASCII without space and '='
	Protocol string // "msp" or "mdp"
	Port     uint32 // 1…MaxPort
}

// Check refuses values that an answer cannot carry.
func (s Service) Check() error {
	if s.Name == "" {
		return fmt.Errorf("overlay: service name is empty")
	}
	for _, c := range []byte(s.Name) {
		if c <= ' ' || c > '~' || c == '=' {
			return fmt.Errorf("overlay: service name %q: want printable ASCII without space and '='", s.Name)
		}
	}
	if s.Protocol != "msp" && s.Protocol != "mdp" {
		return fmt.Errorf("overlay: service protocol %q: want msp or mdp", s.Protocol)
	}
	if s.Port < 1 || s.Port > MaxPort {
		return fmt.Errorf("overlay: service port %d: want 1…%d", s.Port, MaxPort)
	}
	return nil
}

// String gives the answer as it is on the wire.
func (s Service) String() string { return fmt.Sprintf("%s.%s.port=%d", s.Name, s.Protocol, s.Port) }

// ParseService parses the application data of an answer.
func ParseService(data []byte) (Service, error) {
	fail := func() (Service, error) {
		return Service{}, fmt.Errorf("overlay: service answer %.80q: want NAME.msp.port=NUMBER", data)
	}
	key, number, ok := strings.Cut(string(data), "=")
	if !ok {
		return fail()
	}
	key, ok = strings.CutSuffix(key, ".port")
	dot := strings.LastIndexByte(key, '.')
	port, err := strconv.ParseUint(number, 10, 31)
	if !ok || dot < 0 || err != nil {
		return fail()
	}
	s := Service{Name: key[:dot], Protocol: key[dot+1:], Port: uint32(port)}
	if s.Check() != nil {
		return fail()
	}
	return s, nil
}

// AppendService appends the application data of an answer. Errors: those of
// [Service.Check].
func AppendService(dst []byte, s Service) ([]byte, error) {
	if err := s.Check(); err != nil {
		return dst, err
	}
	return append(dst, s.String()...), nil
}
