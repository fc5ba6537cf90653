package mdpconn

import (
	"fmt"
	glob "path"
	"slices"
	"strings"
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

// portService is where services are asked for (docs/overlay.md §9).
// Specification.
const portService Port = 11

// Implementation.
const (
	maxServices    = 256 // registered with one node
	maxServiceName = 63  // bytes
	serviceAnswers = 8   // to one question

	// To compare a pattern with one name takes 70 µs at worst, and anybody can send
	// one.
	maxPattern  = 128 // bytes; longer ones mean nothing
	lookupRate  = 20  // questions per second that are looked at
	lookupBurst = 100
)

// A serviceTable is the services that a node answers for, and the look-ups of
// its own that go on. Guarded by Node.mu.
type serviceTable struct {
	registered []overlay.Service
	lookups    map[Port]*lookup // by the port that answers come to
	questions  bucket
}

func (t *serviceTable) init() {
	t.lookups = make(map[Port]*lookup)
	t.questions = newBucket(lookupRate, lookupBurst)
}

// CheckServiceName refuses what is no name of a service: 1 … 63 letters, digits,
// '-', '_' and '.'.
func CheckServiceName(name string) error {
	bad := strings.IndexFunc(name, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
	})
	if name == "" || len(name) > maxServiceName || bad >= 0 {
		return fmt.Errorf("mdpconn: service name %s: expected 1 … %d letters, digits, '-', '_' or '.'", clip(name), maxServiceName)
	}
	return nil
}

// RegisterService has the node answer questions for a service of that name
// (docs/overlay.md §9), which listens at an MDP port of the primary identity,
// until release is called. Questions are answered in the mode in which they come,
// those in the clear for everybody in the mesh. Several services may have one name.
// In a node at a daemon the daemon's port 11 is bound meanwhile, which only one of
// the daemon's clients can: if another has it the error unwraps to
// syscall.EADDRINUSE.
func (n *Node) RegisterService(name string, port Port) (release func(), err error) {
	if err := CheckServiceName(name); err != nil {
		return nil, err
	}
	s := overlay.Service{Name: name, Protocol: "msp", Port: uint32(port)}
	if err := s.Check(); err != nil {
		return nil, err
	}
	n.mu.Lock()
	full := len(n.services.registered) >= maxServices
	if !full {
		n.services.registered = append(n.services.registered, s)
	}
	n.mu.Unlock()
	if full {
		return nil, fmt.Errorf("mdpconn: service %s is one too many: %d are registered", name, maxServices)
	}
	stop, err := n.carrier.serveServices()
	if err != nil {
		n.removeService(s)
		return nil, err
	}
	once := false
	return func() {
		n.mu.Lock()
		done := once
		once = true
		n.mu.Unlock()
		if !done {
			n.removeService(s)
			stop()
		}
	}, nil
}

func (n *Node) removeService(s overlay.Service) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i := slices.Index(n.services.registered, s); i >= 0 {
		n.services.registered = slices.Delete(n.services.registered, i, i+1)
	}
}

// serviceAnswersLocked gives the answers to a question. Caller holds mu.
func (n *Node) serviceAnswersLocked(question []byte) (answers [][]byte) {
	for _, s := range n.services.registered {
		if len(answers) < serviceAnswers && asksFor(string(question), s) {
			b, err := overlay.AppendService(nil, s)
			if err == nil {
				answers = append(answers, b)
			}
		}
	}
	return answers
}

// asksFor reports whether a question may mean a service. A pattern such as
// NAME.msp.* says which; stock asks and answers without one, too, so that
// anything else means all.
func asksFor(question string, s overlay.Service) bool {
	if !strings.Contains(question, ".msp.") && !strings.Contains(question, ".mdp.") {
		return question != ""
	}
	if len(question) > maxPattern {
		return false
	}
	for _, protocol := range []string{"msp", "mdp"} {
		if ok, _ := glob.Match(question, s.Name+"."+protocol+".port"); ok {
			return true
		}
	}
	return false
}

// hasServices reports whether any is registered.
func (n *Node) hasServices() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.services.registered) > 0
}

// answersFor gives the answers to a question of somebody who may be anybody, from
// a port, as far as answers may be given: none that could end a stock node which
// has that port (docs/overlay.md §11).
func (n *Node) answersFor(question []byte, from Port, now time.Time) [][]byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.services.registered) == 0 {
		return nil
	}
	if !n.services.questions.take(now) {
		n.count.dropped.answerLimit.Add(1)
		return nil
	}
	answers := n.serviceAnswersLocked(question)
	for i := range answers {
		if checkContent(&Datagram{Local: Addr{Port: portService}, Remote: Addr{Port: from}, Data: answers[i]}) != nil {
			n.count.dropped.ignored.Add(1)
			return answers[:i]
		}
		if !n.answers.take(now) {
			n.count.dropped.answerLimit.Add(1)
			return answers[:i]
		}
	}
	return answers
}
