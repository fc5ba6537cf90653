package main

import (
	"net"
	"time"

	"mesh.example/msp/mspnet"
)

// published has our end of a connection not announce the extension.
const published = "MSPDEBUG=published=1"

func mspListen(addr string) (net.Listener, error) { return mspnet.Listen("msp", addr) }

// mspDialer gives what Dial and Open of a Transport are: the one returns at once, and its
// clock runs until the reply, as everybody's does.
func mspDialer(early, published bool) func(addr string) (net.Conn, error) {
	d := mspnet.Dialer{Early: early, Published: published, Timeout: 60 * time.Second}
	return func(addr string) (net.Conn, error) { return d.Dial("msp", addr) }
}

func init() {
	register(Transport{Name: "msp", Secure: "e2e", Note: "ours; dialled with Early where the dial is in the clock",
		Listen: mspListen, Dial: mspDialer(true, false), Open: mspDialer(false, false)})
	register(Transport{Name: "msp-published", Secure: "e2e", Note: "ours, to a server of ours that announces nothing",
		ServerEnv: []string{published}, Only: []string{"clean"},
		Listen: mspListen, Dial: mspDialer(true, false), Open: mspDialer(false, false)})
	register(Transport{Name: "msp-dial-published", Secure: "e2e", Note: "ours, dialled with Published", Only: []string{"clean"},
		Listen: mspListen, Dial: mspDialer(true, true), Open: mspDialer(false, true)})
}
