// Package stocktest is the other side for tests of what this module does among
// stock nodes: the recorded packets and sessions of stock (Record), the rules by
// which a stock receiver judges what it gets (Rules), and a stock neighbour whose
// side of a conversation is taken from the record (Peer).
//
// What a recorded peer sends leaves when it has heard what the recorded one had
// heard by then, whatever the clock says. Only what has to agree with what it hears
// is made anew: acknowledgements, numbers of packets and payloads, and the answers
// of stock's services.
//
// # Limitations
//
// The rules are those of docs/overlay.md and docs/protocol.md, read by the codecs of
// this module, which are checked against the same record. A Peer has one interface
// and one neighbour, and repeats nothing.
package stocktest
