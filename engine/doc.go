// Package engine runs the Mesh Streaming Protocol over an MDP node, in two ways.
//
// An [Engine] is driven by a goroutine of its own, one for all connections of a
// node, and gives connections and listeners with blocking calls. Package
// mspnet makes net.Conn and net.Listener of them; most programs want that.
//
// A [Manual] set of sockets is the interface of the protocol's original: the
// program calls [Manual.Recv] and [Manual.Processing] by itself, and handlers
// are called from within. It has no goroutine.
//
// Both are thin: what the protocol does is in package engine/msp.
//
// # Cancellation
//
// A call that takes a context returns its error when it is done before the
// result is there; a result that is there wins.
//
// # Limitations
//
// An engine's connections share one goroutine for the protocol and for
// enciphering what is sent.
package engine
