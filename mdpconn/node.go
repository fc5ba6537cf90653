package mdpconn

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Node is a member of a Serval mesh: it owns identities, hands out their MDP
// ports, and carries datagrams between them and those of other nodes: directly,
// or through others that relay, as it does itself for them (Config.Relay). With
// Config.Servald it is a client of a servald daemon instead, and has the
// daemon's identities and reach.
//
// All methods may be called concurrently. Datagrams travel like those of UDP:
// they may be lost, repeated and reordered. They are enciphered and
// authenticated, unless asked for otherwise (Datagram.Mode): what a handler gets
// is from the SID it names.
//
// Each link has a receiving goroutine, and the node one more for what is to
// happen later. That one sleeps, without a timer, while the node neither
// announces itself, nor looks for anybody, nor has neighbours, nor watches over
// peers. Close ends them all.
type Node struct {
	// Constant.
	config        Config
	carrier       carrier // what the node's datagrams travel by
	log           *slog.Logger
	start         time.Time // stamps of challenges count from here
	tokenKey      [32]byte  // authenticates challenges
	challengePort Port      // challenges come back here; nobody else may bind it
	done          chan struct{}
	closed        chan struct{}
	wake          chan struct{} // cap 1; wakes the maintenance goroutine
	running       sync.WaitGroup
	count         counters
	signKeys      signKeys
	sessions      *sessions   // nil: the node keeps to the published box
	deafLogged    atomic.Bool // that broadcasts are not received

	// own are the node's identities: replaced, never changed. Written with mu
	// held.
	own atomic.Pointer[identitySet]

	// mu guards what follows. It is a leaf: nothing is waited for, no link is
	// used and no handler called while it is held.
	mu         sync.Mutex
	state      nodeState
	links      []*nodeLink
	heard      []Link // sockets that only receive broadcasts
	linksMade  uint64
	heardAt    time.Time // when opening them was tried last
	ports      portTable
	unbound    sink
	attached   attachments
	peers      peerTable
	hints      hintTable
	acquainted acquaintances
	keyRate    bucket // keys computed for strangers
	answers    bucket // answers to questions of anybody
	helloRate  bucket // offers of strangers
	notices    noticeLimit
	waiting    int // datagrams in all the peers' waiting queues
	active     []*peer
	watches    watches
	nextWake   time.Time // when the maintenance goroutine wakes of itself; zero: never
	beacon     beacon
	mesh       mesh
	services   serviceTable
	stamp      int64 // newest stamp of a challenge
}

type nodeState int

const (
	nodeOpen    nodeState = iota
	nodeClosing           // attachments are being closed; datagrams still pass
	nodeClosed
)

// NewNode makes a node and starts it. The caller closes it. An error is one of
// a bad Config, or of a UDP socket that cannot be opened.
func NewNode(config Config) (*Node, error) {
	n, err := newNode(config)
	if err != nil {
		for _, l := range config.Links {
			if l != nil {
				l.Close()
			}
		}
		return nil, err
	}
	if config.Servald != nil {
		if err := n.openDaemon(); err != nil {
			return nil, err
		}
		return n, nil
	}
	n.running.Add(1)
	go n.maintain()
	for _, l := range config.Links {
		if err := n.addLink(&nodeLink{link: l}); err != nil {
			n.Close()
			return nil, err
		}
	}
	for _, bind := range n.config.udp() {
		if _, err := n.Listen(bind); err != nil {
			n.Close()
			return nil, err
		}
	}
	if len(config.Interfaces) > 0 {
		f := newInterfaces(n)
		if err := f.match(); err != nil {
			n.Close()
			return nil, err
		}
		n.running.Add(1)
		go f.follow()
	}
	if config.Announce == AnnounceAlways {
		n.Announce()
	}
	return n, nil
}

// newNode makes a node without links or goroutines.
func newNode(config Config) (*Node, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	n := &Node{
		config: config,
		log:    config.logger(),
		start:  time.Now(),
		done:   make(chan struct{}),
		closed: make(chan struct{}),
		wake:   make(chan struct{}, 1),
	}
	n.carrier = overlayCarrier{n}
	if _, err := rand.Read(n.tokenKey[:]); err != nil {
		return nil, err
	}
	n.config.Interfaces = append([]Interface(nil), config.Interfaces...)
	n.config.Identities = append([]*Identity(nil), config.Identities...)
	if len(n.config.Identities) == 0 && config.Servald == nil {
		id, err := NewIdentity()
		if err != nil {
			return nil, err
		}
		n.config.Identities = []*Identity{id}
	}
	set := new(identitySet)
	for _, id := range n.config.Identities {
		set = set.with(id)
	}
	n.own.Store(set)
	n.ports.init()
	n.signKeys.init()
	n.challengePort = n.ports.randomPort()
	n.attached.init()
	n.peers.init(config.maxPeers())
	n.hints.init()
	n.mesh.init(&n.config)
	n.services.init()
	n.keyRate = newBucket(strangerKeyRate, strangerKeyBurst)
	n.helloRate = newBucket(strangerHelloRate, strangerHellos)
	if config.sessions() {
		n.sessions = newSessions(&n.config, n.start)
	}
	n.answers = newBucket(answerRate, answerBurst)
	return n, nil
}

// Close closes what is attached to the node, then its sockets, then its links,
// and returns when all of the node's goroutines have ended. Attachments can
// still send and receive while they are being closed. Every Close returns only
// when that is done; after the first they give net.ErrClosed. Close must not be
// called by a Handler.
func (n *Node) Close() error {
	n.mu.Lock()
	if n.state != nodeOpen {
		n.mu.Unlock()
		<-n.closed
		return net.ErrClosed
	}
	n.state = nodeClosing
	n.mu.Unlock()

	errs := n.closeAttachments()

	n.mu.Lock()
	n.state = nodeClosed
	links, heard := n.links, n.heard
	for _, p := range n.active {
		n.dropWaitingLocked(p)
	}
	n.active = nil
	n.mu.Unlock()
	close(n.done)
	for _, l := range links {
		errs = append(errs, l.link.Close())
	}
	for _, l := range heard {
		errs = append(errs, l.Close())
	}
	errs = append(errs, n.carrier.close())
	n.running.Wait()
	close(n.closed)
	return errors.Join(errs...)
}

// isClosedLocked reports whether datagrams no longer pass. Caller holds mu.
func (n *Node) isClosedLocked() bool { return n.state == nodeClosed }
