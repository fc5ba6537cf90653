// Package servaldtest is a servald daemon for tests: it speaks the recorded client
// protocol (docs/servald.md) over a real socket, with the quirks of stock, and
// joins daemons into a mesh within the process.
//
// # Limitations
//
// Every daemon of a mesh is the direct neighbour of all others, nothing is
// enciphered, and a daemon knows of its own services only echo.
package servaldtest
