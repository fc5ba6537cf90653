// Package mspnet gives streams between public keys the shape of package net: a
// program that uses net.Dial and http.Serve runs over the Mesh Streaming
// Protocol by changing those two calls.
//
//	ln, err := mspnet.Listen("msp", ":80")       // on the default node
//	err = http.Serve(ln, handler)
//
//	c, err := mspnet.Dial("msp", "SID:80")       // or "SID:80@host:port"
//
// # Nouns
//
// A SID is a Curve25519 public key, written as 64 hex digits; it is who a node
// is. Where the node is on the network is found by asking the neighbours, by
// what it announces, or from a hint: the UDP address behind the @. All packets
// are enciphered and authenticated between the two SIDs, from the first one on;
// there is no handshake, so a connection takes one round trip.
//
// A [Conn] is a stream of bytes like *net.TCPConn, and keeps the boundaries of
// messages for those who ask: [Conn.WriteMessage] and [Conn.ReadMessage].
//
// A node (package mdpconn) owns identities and sockets. Programs that set
// nothing share the one that [DefaultNode] makes, with a fresh identity; servers
// want one with a saved identity.
//
// A service is a listener with a name (ListenConfig.Service). [LookupService] finds
// it by that, some hops away too, and takes only an answer that is proven to come
// from the SID in it; who may have the name is for its user to know.
//
// # Closing
//
// Close returns at once and what was written is delivered in the background. A
// program that exits calls [Drain] before, or [Conn.CloseContext] to learn
// whether the peer has acknowledged everything.
//
// # Cancellation
//
// A context bounds the call that it is given to and nothing after it. A result
// that is there wins over a context that is done. A deadline wins over data
// that is there, as in package net.
//
// # Limitations
//
// A stream passes nodes that relay, which the default node does not. A servald
// daemon (mdpconn.ServaldConfig) is silent for ports that nobody has bound: a
// dial of one ends by time-out. The published protocol has no forward secrecy,
// and its window of 32 messages bounds the rate to 32 KB per round trip; two
// nodes of this package speak an extended one without that bound, and have
// session keys with forward secrecy once the first packets have gone to and fro
// ([Conn.Early]). What a node of this package sends is not taken twice, as long as
// the node runs that heard it; what was recorded of a stock node's opening can be
// played back when a minute has passed. Requests that must not be repeated need
// their own guard.
package mspnet
