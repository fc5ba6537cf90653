// Package servald is the codec of the datagrams between a servald daemon and
// its local clients, in both directions, and the name of the socket that they
// travel through. Package mdpconn speaks it to reach a mesh through a daemon.
//
// Encoders refuse what would end a stock daemon. Decoders take any bytes and
// return a value or an error.
//
// docs/servald.md describes the protocol; comments cite it as §n.
package servald
