package servald

import (
	"strings"
	"testing"
)

// FuzzName makes names of sockets of anything: they fit an address, and only an
// absolute path makes one.
func FuzzName(f *testing.F) {
	f.Add("/var/serval", "a")
	f.Add("/", "")
	f.Add("relative", "a/b")
	f.Add("/"+strings.Repeat("x", 120), "\x00")
	f.Fuzz(func(t *testing.T, instance, client string) {
		socket, err := SocketName(instance)
		if err != nil {
			return
		}
		if len(socket) > maxSockPath || strings.Contains(socket, "\x00") || instance != "" && instance[0] != '/' {
			t.Fatalf("instance %q makes socket %q", instance, socket)
		}
		name, err := ClientName(socket, client)
		if err != nil {
			return
		}
		if len(name) > maxSockPath || strings.Contains(name, "\x00") || name == socket || name[0] != socket[0] ||
			strings.Count(name, "/") != strings.Count(socket, "/") {
			t.Fatalf("client %q of %q makes %q", client, socket, name)
		}
	})
}
