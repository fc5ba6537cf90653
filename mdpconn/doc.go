// Package mdpconn is MDP, the datagram protocol of Serval meshes: enciphered
// and authenticated datagrams between identities, whatever addresses these have
// at the moment. It is for those who want datagrams, or write a protocol on top;
// streams are in package mspnet.
//
// An [Identity] is a secret from which keys follow; its public key is its [SID].
// An [Addr] is a SID and a [Port]. A [Node] has identities, binds ports ([Socket],
// or with [Node.ListenPacket] a net.PacketConn), and sends and receives
// [Datagram]s over its [Link]s: UDP sockets, or the memory networks of package
// memnet. Nodes find each other by hints ([Node.AddHint]), by announcements
// ([Node.Announce]) and by asking, and believe no address until the peer has
// answered from there. Those further away are reached through neighbours that
// relay.
//
// With [Config.Servald] a node is a client of a servald daemon on the same host
// instead (docs/servald.md): the daemon's identities, its neighbours and its
// routes, with the same methods. The daemon keeps the ports of a client that ends
// without [Node.Close], after a crash or os.Exit, and refuses them to others;
// [ServaldConfig] tells how to get them back. When the daemon goes away a
// [DownHandler] is told, sockets stay, and are bound again when it is back.
//
// Nothing here takes a context: nothing blocks for long but reading from a
// net.PacketConn, which has deadlines. [Node.Close] ends everything that belongs
// to a node; nothing belongs to the package.
//
// # Limitations
//
// Datagrams that are plain or signed only, and broadcasts, are delivered to
// sockets that ask for them (Socket.SetAccept); anybody can replay them, and
// make up the plain ones. Signed ones are dropped until the sender has told its
// sign key. Relays repeat to each other what their link records show to be
// lost; end to end nothing is repeated. What neighbours tell about the mesh is
// not proven: one that lies can keep datagrams from arriving, but neither read
// nor forge them. MDP itself gives neither forward secrecy nor protection from
// replays; session keys, which nodes of this package agree on, over relays too,
// give both (Config.NoSessions, RequireSessionKeys). Without them a handler
// has to bear datagrams that come twice. Long after, that happens only with
// those of stock nodes, and with those whose originals this node has not heard
// since it started.
package mdpconn
