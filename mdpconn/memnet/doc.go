// Package memnet is a packet network inside one process: what UDP on a bad
// network is to the nodes of package mdpconn, without sockets, and with all that
// is bad about it chosen by a seed.
//
// A Network has any number of attachments (Link), each with an address like
// 10.0.0.1:4110. A Link implements mdpconn.Link. Each direction between two
// links may lose, delay, reorder, duplicate and slow down packets (Impairment);
// who hears whom may change at any time (Connect, Cut, Partition), and so may
// addresses (Link.Rebind). Taps see every packet and what became of it.
//
// The package is for tests, of this module and of programs that import it. It is
// at home in a bubble of testing/synctest: make the network inside the bubble,
// and close it before the bubble ends. It has no goroutines of its own, only a
// timer for each link to which delayed packets are on their way.
//
// # What is deterministic
//
// The fate of a packet depends on the seed, on the first addresses of the two
// links, and on how many packets went in that direction before it (what nobody
// could hear did not go). It does not depend on other directions, nor on
// impairments other than the one in question. What the program under test sends,
// and when, is its own affair; in a bubble, a program that is itself
// deterministic finds the same network in every run.
//
// # Limitations
//
// There is one broadcast domain, and no port but UDP's. Packets are not
// fragmented, and no maximum size is enforced below that of UDP. A rate limits a
// direction between two links, not all a link sends.
package memnet
