package mdpconn

import "sync/atomic"

// Stats is what a node has counted since it was made, and the sizes of its
// tables now. The JSON names are stable.
type Stats struct {
	Sent      SentStats      `json:"sent"`
	Received  ReceivedStats  `json:"received"`
	Dropped   DroppedStats   `json:"dropped"`
	Discovery DiscoveryStats `json:"discovery"`
	Mesh      MeshStats      `json:"mesh"`
	Relayed   RelayStats     `json:"relayed"`
	Tables    TableStats     `json:"tables"`
	Sessions  SessionStats   `json:"sessions"`
	Servald   ServaldStats   `json:"servald"`
}

// SessionStats counts what belongs to session keys (docs/extension.md §9 to §14).
type SessionStats struct {
	Offers     uint64 `json:"offers"`     // sent, repetitions included
	Answers    uint64 `json:"answers"`    // sent to offers of peers
	Refused    uint64 `json:"refused"`    // hellos heard that lead to nothing: damaged, replayed, crossed
	Begun      uint64 `json:"begun"`      // sessions that became current, replacements included
	Restarts   uint64 `json:"restarts"`   // of them, those with a peer that had begun anew
	Sent       uint64 `json:"sent"`       // packets, or bodies for relays, under session keys, each counted once
	Received   uint64 `json:"received"`   // of those of peers, that opened
	Unknown    uint64 `json:"unknown"`    // packets of a session that is unknown here
	Notices    uint64 `json:"notices"`    // notices of peers that know none of ours
	Unsealed   uint64 `json:"unsealed"`   // packets not sent, as their session had just ended
	TooLarge   uint64 `json:"tooLarge"`   // datagrams of Send for which packets to the peer are too small now
	Downgrades uint64 `json:"downgrades"` // datagrams in the box that a peer with session keys cannot have sent now
	Early      uint64 `json:"early"`      // datagrams in the box dropped, as Config.RequireSessionKeys asks
	Pongs      uint64 `json:"pongs"`      // pings of some size, or that may be marked, that have passed
	Pings      uint64 `json:"pings"`      // sent for a sign of life
	Gone       uint64 `json:"gone"`       // peers that did not give one for so long that they are gone
	Crowded    uint64 `json:"crowded"`    // datagrams in the box beyond what can be remembered against replays
	Markable   uint64 `json:"markable"`   // packets given to a link so that routers may mark them for congestion
	Marked     uint64 `json:"marked"`     // of Received, those that a router has marked
}

// SentStats counts what went out.
type SentStats struct {
	Packets   uint64 `json:"packets"`   // overlay packets given to a link
	Bytes     uint64 `json:"bytes"`     // their lengths
	Errors    uint64 `json:"errors"`    // packets a link refused, or that may not be sent
	Datagrams uint64 `json:"datagrams"` // datagrams of Send that left, each counted once
	Local     uint64 `json:"local"`     // datagrams of Send to an identity of this node
	Copies    uint64 `json:"copies"`    // packets sent to a further candidate address as well
	Echoes    uint64 `json:"echoes"`    // answers of the echo service
	KeyMaps   uint64 `json:"keyMaps"`   // answers about signing keys
	Explains  uint64 `json:"explains"`  // answers about own SIDs
	Lookups   uint64 `json:"lookups"`   // questions for services
	Services  uint64 `json:"services"`  // answers to such
}

// ReceivedStats counts what came in and was of use.
type ReceivedStats struct {
	Packets   uint64 `json:"packets"`   // overlay packets, whatever became of them
	Bytes     uint64 `json:"bytes"`     // their lengths
	Ticks     uint64 `json:"ticks"`     // packets without a payload
	Payloads  uint64 `json:"payloads"`  // payloads of every kind
	Datagrams uint64 `json:"datagrams"` // datagrams handed to the handler of a bound port
	Unbound   uint64 `json:"unbound"`   // datagrams handed to the handler of unbound ports
	Echoes    uint64 `json:"echoes"`    // echo requests
	KeyMaps   uint64 `json:"keyMaps"`   // requests about signing keys
	Explains  uint64 `json:"explains"`  // please-explains
	Lookups   uint64 `json:"lookups"`   // questions for services
}

// DroppedStats counts what was dropped, by reason.
type DroppedStats struct {
	Malformed      uint64 `json:"malformed"`      // packets that do not parse
	OwnPacket      uint64 `json:"ownPacket"`      // packets and payloads of an identity of this node, heard back
	Reflected      uint64 `json:"reflected"`      // own enciphered payloads that came back in another name
	UnknownSender  uint64 `json:"unknownSender"`  // packets from an abbreviation that fits no known SID, or several
	UnknownSID     uint64 `json:"unknownSID"`     // payloads with such an abbreviation
	BadSID         uint64 `json:"badSID"`         // packets and payloads with a SID that fails SID.Check
	NotOurs        uint64 `json:"notOurs"`        // payloads for others
	Plain          uint64 `json:"plain"`          // data payloads that are not enciphered, and that no socket accepts
	Crypto         uint64 `json:"crypto"`         // enciphered payloads that do not open
	KeyLimit       uint64 `json:"keyLimit"`       // payloads of strangers beyond the rate at which keys are computed for them
	SignKeyLimit   uint64 `json:"signKeyLimit"`   // sign keys in place of SIDs, beyond the rate at which they are worked out
	SignKeyUnknown uint64 `json:"signKeyUnknown"` // signed payloads of a SID whose sign key is not known yet
	UnknownType    uint64 `json:"unknownType"`    // payloads of a type that is not known here
	Ignored        uint64 `json:"ignored"`        // payloads for a service that is not offered here: link state and the like
	TooLong        uint64 `json:"tooLong"`        // datagrams beyond what the node's buffers hold
	Empty          uint64 `json:"empty"`          // datagrams without data
	Unbound        uint64 `json:"unbound"`        // datagrams for a port that nobody bound
	QueueFull      uint64 `json:"queueFull"`      // datagrams for a net.PacketConn whose queue was full
	NoRoute        uint64 `json:"noRoute"`        // datagrams of Send for which no address was found in time
	Budget         uint64 `json:"budget"`         // copies not sent to an unproven address that had its share
	Late           uint64 `json:"late"`           // recordings: made long before they arrived
	AnswerLimit    uint64 `json:"answerLimit"`    // questions beyond the rate at which they are answered
	Repeated       uint64 `json:"repeated"`       // packets and payloads whose number was there before
	NoLink         uint64 `json:"noLink"`         // broadcasts heard from an address that no link of the node reaches
	LinkFull       uint64 `json:"linkFull"`       // packets beyond what may wait for an interface (Config.Interfaces)
	LinkLate       uint64 `json:"linkLate"`       // packets that waited there for more than a second
}

// DiscoveryStats counts what is done to find peers and to prove addresses.
type DiscoveryStats struct {
	TicksSent         uint64 `json:"ticksSent"`
	AsksSent          uint64 `json:"asksSent"`          // questions for the address of a SID
	ChallengesSent    uint64 `json:"challengesSent"`    // echo requests to unproven addresses
	ChallengesPassed  uint64 `json:"challengesPassed"`  // answers that proved an address
	ChallengesRefused uint64 `json:"challengesRefused"` // answers that were too late, or from another address
	EndpointChanges   uint64 `json:"endpointChanges"`   // addresses that became a peer's endpoint
	BroadcastErrors   uint64 `json:"broadcastErrors"`   // broadcasts that could not be sent or sockets for them not opened
}

// MeshStats counts what neighbours tell each other.
type MeshStats struct {
	RecordsSent  uint64 `json:"recordsSent"`  // packets with link state
	RecordsHeard uint64 `json:"recordsHeard"` // messages with link state, from neighbours
	Refused      uint64 `json:"refused"`      // neighbours and links beyond the limits
	SentVia      uint64 `json:"sentVia"`      // datagrams of Send that were given to a relay
	Repaired     uint64 `json:"repaired"`     // packets to or from relays that were lost and sent again
}

// RelayStats counts what was relayed for others, and what was not.
type RelayStats struct {
	Payloads uint64 `json:"payloads"` // passed on
	Bytes    uint64 `json:"bytes"`    // of their bodies
	Floods   uint64 `json:"floods"`   // broadcasts passed on
	NoRoute  uint64 `json:"noRoute"`  // not passed on: no way is known, or only back
	Limited  uint64 `json:"limited"`  // the source, the neighbour, or all had their share
	Expired  uint64 `json:"expired"`  // the TTL was used up
	Refused  uint64 `json:"refused"`  // they may not be sent
	Off      uint64 `json:"off"`      // the node does not relay
}

// TableStats gives the sizes of the node's tables and their limits.
type TableStats struct {
	Identities    int `json:"identities"`
	Sockets       int `json:"sockets"`
	Links         int `json:"links"`
	Peers         int `json:"peers"` // pairs of an own and another SID, without the next two
	PeersLimit    int `json:"peersLimit"`
	Strangers     int `json:"strangers"` // of those, pairs of which nothing is proven
	StrangerLimit int `json:"strangerLimit"`
	Held          int `json:"held"` // pairs with a live connection; not limited here
	Hints         int `json:"hints"`
	HintsLimit    int `json:"hintsLimit"`
	Heard         int `json:"heard"` // other SIDs that announced themselves lately
	HeardLimit    int `json:"heardLimit"`
	SignKeys      int `json:"signKeys"` // sign keys that stand for SIDs, remembered
	SignKeysLimit int `json:"signKeysLimit"`
	Waiting       int `json:"waiting"` // datagrams that wait for an address
	WaitingLimit  int `json:"waitingLimit"`
	Attachments   int `json:"attachments"`

	Neighbours      int `json:"neighbours"`
	NeighboursLimit int `json:"neighboursLimit"`
	Unproven        int `json:"unproven"` // of those, the ones that have not answered yet
	UnprovenLimit   int `json:"unprovenLimit"`
	Routes          int `json:"routes"`
	RoutesLimit     int `json:"routesLimit"`
	LinksTold       int `json:"linksTold"` // of which neighbours told
	LinksToldLimit  int `json:"linksToldLimit"`
	Relayed         int `json:"relayed"` // sources whose payloads are relayed, counted at a time
	RelayedLimit    int `json:"relayedLimit"`
	Kept            int `json:"kept"` // packets that a neighbour may have missed
	KeptLimit       int `json:"keptLimit"`
	Queued          int `json:"queued"` // packets that wait for their turn on Config.Interfaces
	QueuedLimit     int `json:"queuedLimit"`
}

// counters are the live values behind Stats, in the same order. They may be
// counted up from everywhere.
type counters struct {
	sent struct {
		packets, bytes, errors, datagrams, local, copies, echoes, keyMaps, explains, lookups, services atomic.Uint64
	}
	received struct {
		packets, bytes, ticks, payloads, datagrams, unbound, echoes, keyMaps, explains, lookups atomic.Uint64
	}
	dropped struct {
		malformed, ownPacket, reflected, unknownSender, unknownSID, badSID, notOurs, plain, crypto,
		keyLimit, signKeyLimit, signKeyUnknown, unknownType, ignored, tooLong, empty, unbound, queueFull, noRoute, budget, late,
		answerLimit, noLink, repeated, linkFull, linkLate atomic.Uint64
	}
	mesh struct {
		recordsSent, recordsHeard, refused, sentVia, repaired atomic.Uint64
	}
	relayed struct {
		payloads, bytes, floods, noRoute, limited, expired, refused, off atomic.Uint64
	}
	discovery struct {
		ticksSent, asksSent, challengesSent, challengesPassed, challengesRefused, endpointChanges,
		broadcastErrors atomic.Uint64
	}
	sessions struct {
		offers, answers, refused, begun, restarts, sent, received, unknown, notices, unsealed, tooLarge,
		downgrades, early, crowded, pongs, pings, gone atomic.Uint64
		markable, marked atomic.Uint64
	}
	servald servaldCounters
}

// Stats gives what the node has counted so far. The counters are read one after
// the other while the node works, so that sums over them may be off by what
// happened meanwhile.
func (n *Node) Stats() Stats {
	s := n.count.stats()
	n.mu.Lock()
	defer n.mu.Unlock()
	s.Tables = TableStats{
		Identities:    len(n.carrier.sids()),
		Sockets:       n.ports.len(),
		Links:         len(n.links),
		Peers:         n.peers.known.len(),
		PeersLimit:    n.peers.known.limit,
		Strangers:     n.peers.strangers.len(),
		StrangerLimit: n.peers.strangers.limit,
		Held:          n.peers.held,
		Hints:         n.hints.len(),
		HintsLimit:    hintLimit,
		Heard:         len(n.acquainted.all),
		HeardLimit:    acquaintanceLimit,
		SignKeys:      n.signKeys.len(),
		SignKeysLimit: signKeyLimit,
		Waiting:       n.waiting,
		WaitingLimit:  waitingLimit,
		Attachments:   n.attached.len(),

		Neighbours:      len(n.mesh.neighbours),
		NeighboursLimit: maxNeighbours,
		Unproven:        n.mesh.unproven,
		UnprovenLimit:   maxUnproven,
		Routes:          len(n.mesh.routes),
		RoutesLimit:     maxRoutes,
		LinksTold:       n.mesh.links,
		LinksToldLimit:  maxLinks,
		Relayed:         len(n.mesh.limits.sources),
		RelayedLimit:    maxSources,
		KeptLimit:       maxNeighbours * maxKept,
	}
	for _, nb := range n.mesh.neighbours {
		s.Tables.Kept += nb.kept.len()
	}
	for _, l := range n.links {
		if p, ok := l.link.(*pacedLink); ok {
			s.Tables.Queued += p.waiting()
			s.Tables.QueuedLimit += queueLen
		}
	}
	return s
}

func (c *counters) stats() Stats {
	return Stats{
		Sent: SentStats{
			Packets:   c.sent.packets.Load(),
			Bytes:     c.sent.bytes.Load(),
			Errors:    c.sent.errors.Load(),
			Datagrams: c.sent.datagrams.Load(),
			Local:     c.sent.local.Load(),
			Copies:    c.sent.copies.Load(),
			Echoes:    c.sent.echoes.Load(),
			KeyMaps:   c.sent.keyMaps.Load(),
			Explains:  c.sent.explains.Load(),
			Lookups:   c.sent.lookups.Load(),
			Services:  c.sent.services.Load(),
		},
		Received: ReceivedStats{
			Packets:   c.received.packets.Load(),
			Bytes:     c.received.bytes.Load(),
			Ticks:     c.received.ticks.Load(),
			Payloads:  c.received.payloads.Load(),
			Datagrams: c.received.datagrams.Load(),
			Unbound:   c.received.unbound.Load(),
			Echoes:    c.received.echoes.Load(),
			KeyMaps:   c.received.keyMaps.Load(),
			Explains:  c.received.explains.Load(),
			Lookups:   c.received.lookups.Load(),
		},
		Dropped:   c.droppedStats(),
		Discovery: c.discoveryStats(),
		Sessions:  c.sessionStats(),
		Servald:   c.servald.stats(),
		Mesh: MeshStats{
			RecordsSent:  c.mesh.recordsSent.Load(),
			RecordsHeard: c.mesh.recordsHeard.Load(),
			Refused:      c.mesh.refused.Load(),
			SentVia:      c.mesh.sentVia.Load(),
			Repaired:     c.mesh.repaired.Load(),
		},
		Relayed: c.relayStats(),
	}
}

func (c *counters) relayStats() RelayStats {
	return RelayStats{
		Payloads: c.relayed.payloads.Load(),
		Bytes:    c.relayed.bytes.Load(),
		Floods:   c.relayed.floods.Load(),
		NoRoute:  c.relayed.noRoute.Load(),
		Limited:  c.relayed.limited.Load(),
		Expired:  c.relayed.expired.Load(),
		Refused:  c.relayed.refused.Load(),
		Off:      c.relayed.off.Load(),
	}
}

func (c *counters) droppedStats() DroppedStats {
	return DroppedStats{
		Malformed:      c.dropped.malformed.Load(),
		OwnPacket:      c.dropped.ownPacket.Load(),
		Reflected:      c.dropped.reflected.Load(),
		UnknownSender:  c.dropped.unknownSender.Load(),
		UnknownSID:     c.dropped.unknownSID.Load(),
		BadSID:         c.dropped.badSID.Load(),
		NotOurs:        c.dropped.notOurs.Load(),
		Plain:          c.dropped.plain.Load(),
		Crypto:         c.dropped.crypto.Load(),
		KeyLimit:       c.dropped.keyLimit.Load(),
		SignKeyUnknown: c.dropped.signKeyUnknown.Load(),
		SignKeyLimit:   c.dropped.signKeyLimit.Load(),
		UnknownType:    c.dropped.unknownType.Load(),
		Ignored:        c.dropped.ignored.Load(),
		TooLong:        c.dropped.tooLong.Load(),
		Empty:          c.dropped.empty.Load(),
		Unbound:        c.dropped.unbound.Load(),
		QueueFull:      c.dropped.queueFull.Load(),
		NoRoute:        c.dropped.noRoute.Load(),
		Budget:         c.dropped.budget.Load(),
		Late:           c.dropped.late.Load(),
		AnswerLimit:    c.dropped.answerLimit.Load(),
		NoLink:         c.dropped.noLink.Load(),
		LinkFull:       c.dropped.linkFull.Load(),
		LinkLate:       c.dropped.linkLate.Load(),
		Repeated:       c.dropped.repeated.Load(),
	}
}

func (c *counters) discoveryStats() DiscoveryStats {
	return DiscoveryStats{
		TicksSent:         c.discovery.ticksSent.Load(),
		AsksSent:          c.discovery.asksSent.Load(),
		ChallengesSent:    c.discovery.challengesSent.Load(),
		ChallengesPassed:  c.discovery.challengesPassed.Load(),
		ChallengesRefused: c.discovery.challengesRefused.Load(),
		EndpointChanges:   c.discovery.endpointChanges.Load(),
		BroadcastErrors:   c.discovery.broadcastErrors.Load(),
	}
}

func (c *counters) sessionStats() SessionStats {
	return SessionStats{
		Offers:     c.sessions.offers.Load(),
		Answers:    c.sessions.answers.Load(),
		Refused:    c.sessions.refused.Load(),
		Begun:      c.sessions.begun.Load(),
		Restarts:   c.sessions.restarts.Load(),
		Sent:       c.sessions.sent.Load(),
		Received:   c.sessions.received.Load(),
		Unknown:    c.sessions.unknown.Load(),
		Notices:    c.sessions.notices.Load(),
		Unsealed:   c.sessions.unsealed.Load(),
		TooLarge:   c.sessions.tooLarge.Load(),
		Downgrades: c.sessions.downgrades.Load(),
		Early:      c.sessions.early.Load(),
		Pongs:      c.sessions.pongs.Load(),
		Pings:      c.sessions.pings.Load(),
		Gone:       c.sessions.gone.Load(),
		Crowded:    c.sessions.crowded.Load(),
		Markable:   c.sessions.markable.Load(),
		Marked:     c.sessions.marked.Load(),
	}
}
