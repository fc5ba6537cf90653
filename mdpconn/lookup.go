package mdpconn

import (
	"context"
	"net"
	"slices"
	"time"

	"mesh.example/msp/mdpconn/overlay"
)

// Looking up services. Implementation.
const (
	lookupAgain   = 500 * time.Millisecond // between questions, doubled each time
	lookupSlowest = 4 * time.Second
	lookupProof   = 2 * time.Second // for an answer to be repeated enciphered
	proofAgain    = 300 * time.Millisecond
	maxFound      = 1024 // answers to one look-up that are told apart
	lookupQueue   = 64   // answers that wait for who asked
)

// A Service is one that answered a look-up.
type Service struct {
	// Name is its name, and Addr where it listens.
	Name string
	Addr Addr
	// Verified tells that the holder of the SID says so itself: the answer came
	// enciphered. Otherwise anybody may have said so in its name, which costs a
	// dial that fails, as no one else can take it.
	Verified bool
}

// A lookup is one that goes on.
type lookup struct {
	name  string
	port  Port // answers come here
	found chan Service
}

// heard notes an answer. What is no answer, or does not fit, is dropped.
func (l *lookup) heard(from SID, data []byte, verified bool) {
	s, err := overlay.ParseService(data)
	if err != nil || from.Check() != nil || CheckServiceName(s.Name) != nil || l.name != "" && s.Name != l.name {
		return
	}
	select {
	case l.found <- Service{s.Name, Addr{from, Port(s.Port)}, verified}:
	default:
	}
}

// HandleDatagrams takes enciphered answers.
func (l *lookup) HandleDatagrams(batch []Datagram) {
	for i := range batch {
		l.heard(batch[i].Remote.SID, batch[i].Data, true)
		batch[i].Release()
	}
}

// LookupServices asks the mesh for services of a name, all of them if it is empty,
// and calls found for each that answers, once, until found returns false or ctx is
// done: then it returns nil, or ctx's error. The node's own services are among
// them. found is called by the calling goroutine. While it asks the node announces
// itself, so that answers find it.
//
// The question is a broadcast in the clear: who is looked for is no secret. Each
// answer is asked for again enciphered, and shown when that came, or after
// two seconds (Service.Verified).
func (n *Node) LookupServices(ctx context.Context, name string, found func(Service) bool) error {
	if name != "" {
		if err := CheckServiceName(name); err != nil {
			return err
		}
	}
	l := &lookup{name: name, found: make(chan Service, lookupQueue)}
	socket, err := n.Bind(Addr{SID: Primary}, l)
	if err != nil {
		return err
	}
	defer socket.Close()
	l.port = socket.LocalAddr().Port
	n.mu.Lock()
	n.services.lookups[l.port] = l
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.services.lookups, l.port)
	}()
	defer n.Announce()()
	return l.run(ctx, n, found)
}

// run asks, and shows what is found.
func (l *lookup) run(ctx context.Context, n *Node, found func(Service) bool) error {
	question := "*.msp.*"
	if l.name != "" {
		question = l.name + ".msp.*"
	}
	results := lookupResults{shown: make(map[Service]bool)}
	again, pause := time.NewTimer(0), lookupAgain
	defer again.Stop()
	proof := time.NewTimer(time.Hour)
	defer proof.Stop()
	for {
		select {
		case s := <-l.found:
			results.add(time.Now(), s)
		case <-again.C:
			if err := n.carrier.askServices(l.port, []byte(question)); err != nil {
				return err
			}
			again.Reset(pause)
			pause = min(2*pause, lookupSlowest)
		case <-proof.C:
		case <-ctx.Done():
			for _, s := range results.due(time.Time{}) {
				if !found(s) {
					return nil
				}
			}
			return ctx.Err()
		case <-n.done:
			return net.ErrClosed
		}
		for _, s := range results.due(time.Now()) {
			if !found(s) {
				return nil
			}
		}
		for _, sid := range results.unproven(time.Now()) {
			n.Send([]Datagram{{Local: Addr{Primary, l.port}, Remote: Addr{sid, portService}, Data: []byte(question)}})
		}
		if at := results.next(); !at.IsZero() {
			proof.Reset(time.Until(at))
		}
	}
}

// lookupResults are the answers to one look-up: those that wait to be proven, in
// the order in which they came, and those that were shown.
type lookupResults struct {
	waiting []waitingService
	shown   map[Service]bool // with Verified false, whatever it was
}

type waitingService struct {
	Service
	until time.Time
	askAt time.Time // for it to be repeated enciphered
}

// add takes an answer.
func (r *lookupResults) add(now time.Time, s Service) {
	key := s
	key.Verified = false
	if r.shown[key] || len(r.shown)+len(r.waiting) >= maxFound {
		return
	}
	i := slices.IndexFunc(r.waiting, func(w waitingService) bool { return w.Name == s.Name && w.Addr == s.Addr })
	if i < 0 {
		r.waiting = append(r.waiting, waitingService{s, now.Add(lookupProof), now})
		return
	}
	r.waiting[i].Verified = r.waiting[i].Verified || s.Verified
}

// unproven gives the SIDs that are to be asked now.
func (r *lookupResults) unproven(now time.Time) (sids []SID) {
	for i := range r.waiting {
		if w := &r.waiting[i]; !now.Before(w.askAt) {
			w.askAt = now.Add(proofAgain)
			if !slices.Contains(sids, w.Addr.SID) {
				sids = append(sids, w.Addr.SID)
			}
		}
	}
	return sids
}

// due takes out what is to be shown: what is proven, and what waited long enough;
// with a zero time all.
func (r *lookupResults) due(now time.Time) (due []Service) {
	keep := r.waiting[:0]
	for _, w := range r.waiting {
		if !w.Verified && !now.IsZero() && now.Before(w.until) {
			keep = append(keep, w)
			continue
		}
		due = append(due, w.Service)
		w.Verified = false
		r.shown[w.Service] = true
	}
	r.waiting = keep
	return due
}

// next tells when something is due; zero if never.
func (r *lookupResults) next() (at time.Time) {
	for i := range r.waiting {
		at = earlier(earlier(at, r.waiting[i].until), r.waiting[i].askAt)
	}
	return at
}
